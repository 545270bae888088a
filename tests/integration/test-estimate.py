#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`update-payload estimate` says what a machine would fetch, by what the machine itself plans with;
test-adaptive.py holds it against machines that do."""
import json
import random
import unittest

from lab import MIB, Lab, main, program, run
from slot_image import slot_image

BLOCK = 4096
SALT = b"a salt"


def update_payload(*args, check=True):
    return run([program("update-payload"), *args], check=check)


class Estimate(unittest.TestCase):
    """NEW is OLD moved by 5 blocks, with 30 new blocks in 6 places. What is random is not
    compressed, and lacks its blocks one by one; in the second half it is compressed in frames."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.key = cls.lab.make_key("key", "ed25519")[0]
        source = random.Random(3)
        old = bytearray(source.randbytes(4 * MIB))
        old += b"".join(source.randbytes(64) * (BLOCK // 64) for _ in range(4 * MIB // BLOCK))
        new = bytearray(source.randbytes(5 * BLOCK) + old[:-5 * BLOCK])
        cls.places = [100, 200, 500, 1100, 1201, 1302]
        for at in cls.places:
            new[at * BLOCK:(at + 5) * BLOCK] = source.randbytes(5 * BLOCK) if at < 1024 else \
                b"".join(source.randbytes(64) * (BLOCK // 64) for _ in range(5))
        cls.old, cls.new = cls.write("old", old), cls.write("new", new)
        cls.payload = cls.create("payload", f"USR={cls.new}")

    @classmethod
    def path(cls, name):
        return cls.lab.folder / name

    @classmethod
    def write(cls, name, content):
        cls.path(name).write_bytes(content)
        return cls.path(name)

    @classmethod
    def create(cls, name, *args):
        update_payload("create", "--product", "demo", "--version", "2.0.0", "--key", cls.key, "-o",
                       cls.path(name), *args)
        return cls.path(name)

    def estimate(self, old, payload=None):
        return json.loads(update_payload("estimate", "--json", "--from", old,
                                         payload or self.payload).stdout)

    def refused(self, words, *args, code=1):
        done = update_payload("estimate", *args, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_what_the_figures_say(self):
        told = self.estimate(self.old)
        shown = json.loads(update_payload("show", "--json", self.payload).stdout)
        self.assertEqual(told["payload_bytes"], self.payload.stat().st_size)
        self.assertEqual(told["metadata_bytes"], shown["data_offset_bytes"])
        self.assertEqual(told["block_index_bytes"], self.new.stat().st_size // BLOCK * 8)
        self.assertTrue(told["adaptive"])
        # 4 places lie where nothing is compressed; of the others no more than frames.
        self.assertGreater(told["lacking_bytes"], 20 * BLOCK)
        self.assertLess(told["lacking_bytes"], 20 * BLOCK + 3 * 3 * 4 * 200)
        parts, single = told["fetched_by_parts"], told["fetched_one_by_one"]
        self.assertEqual(parts, {"size_bytes": told["metadata_bytes"] + told["lacking_bytes"],
                                 "requests": 1, "ranges": 7})
        self.assertEqual(single["requests"], single["ranges"])
        self.assertLess(single["requests"], 7)  # those that are compressed are near each other
        self.assertGreater(single["size_bytes"], parts["size_bytes"])

    def test_what_a_person_reads(self):
        told = self.estimate(self.old)
        lines = update_payload("estimate", "--from", self.old, self.payload).stdout.splitlines()
        self.assertEqual(len(lines), 6)
        for n, line in zip((told["payload_bytes"], told["metadata_bytes"],
                            told["block_index_bytes"], told["lacking_bytes"],
                            told["fetched_by_parts"]["size_bytes"],
                            told["fetched_one_by_one"]["size_bytes"]), lines):
            self.assertIn(f" {n} bytes", line)
            self.assertIn(f" {n / told['payload_bytes'] * 100:.2f} %", line)
        self.assertIn("1 requests for 7 ranges", lines[4])

    def test_all_is_there(self):
        told = self.estimate(self.new)
        self.assertEqual(told["lacking_bytes"], 0)
        self.assertEqual(told["fetched_by_parts"],
                         {"size_bytes": told["metadata_bytes"], "requests": 0, "ranges": 0})

    def test_nothing_is_there(self):
        for content in (b"", b"x", bytes(BLOCK), random.Random(9).randbytes(3 * BLOCK + 1)):
            with self.subTest(n=len(content)):
                told = self.estimate(self.write("other", content))
                self.assertFalse(told["adaptive"])
                self.assertEqual(told["fetched_one_by_one"],
                                 {"size_bytes": told["payload_bytes"], "requests": 1, "ranges": 1})
        text = update_payload("estimate", "--from", self.path("other"), self.payload).stdout
        self.assertIn("all is fetched", text)

    def test_larger_frames_bring_more(self):
        lacking = [self.estimate(self.old, self.create(
            f"of-{kib}", "--frame-size", f"{kib}K", f"USR={self.new}"))["lacking_bytes"]
            for kib in (4, 16, 64, 256)]
        self.assertEqual(lacking, sorted(lacking))
        self.assertGreater(lacking[3], lacking[0])

    def test_out_of_the_tree_where_it_fits(self):
        """What the tree says counts, and the blocks are not looked at; with another salt, or a
        trailer that is damaged, they are."""
        salted = self.create("salted", "--salt", SALT.hex(), f"USR={self.new}")
        fs = self.old.read_bytes()
        expected = self.estimate(self.old, salted)
        for salt, is_read in ((SALT, True), (b"another", False)):
            with self.subTest(salt=salt):
                image = bytearray(slot_image(fs, salt=salt))
                self.assertEqual(self.estimate(self.write("slot", image), salted), expected)
                image[:MIB] = random.Random(1).randbytes(MIB)
                told = self.estimate(self.write("slot", image), salted)
                self.assertEqual(told == expected, is_read)
        image = bytearray(slot_image(fs, salt=SALT))
        image[-1] ^= 1
        self.assertEqual(self.estimate(self.write("slot", image), salted), expected)

    def test_several_partitions(self):
        """The others are fetched whole."""
        two = self.create("two", f"USR={self.new}", f"OEM={self.old}")
        self.refused("say NAME=OLD", "--from", self.old, two)
        told = self.estimate(f"USR={self.old}", two)
        self.assertEqual(told["lacking_bytes"] - self.estimate(self.old)["lacking_bytes"],
                         json.loads(update_payload("show", "--json", two).stdout)
                         ["partitions"][1]["data_bytes"])

    def test_what_is_fetched_whole(self):
        self.refused("no block index", "--from", self.old,
                     self.create("bare", "--no-verity", f"USR={self.new}"))
        self.refused("is a delta", "--from", self.old,
                     self.create("delta", "--from", self.old, f"USR={self.new}"))
        rsa = self.lab.make_key("rsa", "rsa")[0]
        update_payload("create", "--format", "1", "--key", rsa, "-o", self.path("v1"),
                       f"USR={self.new}")
        self.refused("format 1", "--from", self.old, self.path("v1"))

    def test_wrong_input(self):
        self.refused("none cannot be opened: No such file", "--from", self.path("none"),
                     self.payload)
        self.refused("neither a file nor a block device", "--from", self.lab.folder, self.payload)
        self.refused("none cannot be opened: No such file", "--from", self.old, self.path("none"))
        self.refused("not a payload", "--from", self.old, self.new)
        self.write("cut", self.payload.read_bytes()[:-1])
        self.refused("cut", "--from", self.old, self.path("cut"))
        for args in ([], [self.payload], ["--from", self.old],
                     ["--from", self.old, self.payload, self.payload],
                     ["--from", self.old, "--from", self.old, self.payload],
                     ["--from", self.old, "--yaml", self.payload]):
            with self.subTest(args=args):
                self.refused("update-payload: ", *args, code=2)


if __name__ == "__main__":
    main()
