#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deltas: made by update-payload and applied by a second reader with Debian's bspatch, installed
from what runs, refused where that is another or has begun to rot, and gone on with after cuts and
kills."""
import hashlib
import json
import lzma
import os
import random
import subprocess

import payload as book
from lab import MIB, main, program, run, wait_for
from machine import table_bytes
from machine_test import MachineTest, create_payload
from omaha import OmahaServer
from payload import BLOCK, Layout, Operation, Payload, fields, operations_of, patch
from slot_image import slot_image

# Omaha's error codes, as updater/update-error.h has them.
SOURCE, MANIFEST, OPERATION, OPERATION_HASH = 20, 23, 28, 29
VERSION_REFUSED = 45

N_KILLS = 8


def changed(old, seed=7):
    """What a new version is to an old one: blocks that moved, text and code that changed by bytes,
    something new, something gone, zeros."""
    source = random.Random(seed)
    new = bytearray(old)
    new[MIB:MIB] = source.randbytes(5 * BLOCK)                   # all behind it moves by blocks
    for at in range(2 * MIB, 3 * MIB, 50000):
        new[at] ^= 0x5A                                          # bytes change where they are
    new[4 * MIB + 1000:4 * MIB + 1000] = source.randbytes(333)   # all behind it moves by bytes
    del new[6 * MIB:6 * MIB + 333 + 5 * BLOCK]                   # and back
    new[-MIB:-MIB // 2] = bytes(MIB // 2)
    assert len(new) == len(old)
    return bytes(new)


def n_signed(payload):
    """What an offer may tell as MetadataSize."""
    return 24 + int.from_bytes(payload.read_bytes()[12:20], "big")


class DeltaTest(MachineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.old = cls.image_a.read_bytes()
        cls.new = changed(cls.old)
        cls.image_b.write_bytes(cls.new)
        cls.full = create_payload(cls.lab.folder / "full.payload", cls.image_b, cls.key)
        cls.delta = cls.create(cls.lab.folder / "delta.payload")

    @classmethod
    def create(cls, path, *more, old=None, new=None, check=True):
        done = run([program("update-payload"), "create", "--product", "demo", "--version", "2.0.0",
                    "--key", cls.key, "-o", path, "--from", old or cls.image_a,
                    "--from-version", "1.0.0", *more, f"USR={new or cls.image_b}"], check=check)
        return path if check else done

    def tool(self, verb, *more, check=True):
        return run([program("update-payload"), verb, *more], check=check)

    def keys(self):
        return "--public-key", self.public_key

    def file(self, name, content):
        path = self.lab.folder / name
        path.write_bytes(content)
        return path

    def machine(self, **more):
        machine = super().machine(**more)
        machine.table_before = table_bytes(machine.disk)
        machine.target_before = machine.slot_sha256("USR-B")
        return machine

    def started(self, **more):
        machine = self.machine(**more)
        machine.start_engine()
        return machine

    def install(self, machine, path, check=True):
        return machine.flipside("install", path, check=check)

    def assert_nothing_happened(self, machine):
        """Not a bit of the table has changed, nor a byte of the other slot."""
        self.assertEqual(table_bytes(machine.disk), machine.table_before)
        self.assertEqual(machine.slot_sha256("USR-B"), machine.target_before)
        self.assert_untouched(machine)


class Tool(DeltaTest):
    """What update-payload makes, taken apart without our code."""

    def apply(self, path, old):
        """The partition, by Debian's bspatch and zstd and Python's xz; what its operations are."""
        content = path.read_bytes()
        layout = Layout(content)
        manifest = dict(fields(content[slice(*layout.manifest)]))
        partition = list(fields(manifest[13]))
        kinds = []
        image = bytearray(dict(fields(dict(partition)[7]))[1])
        for message in (value for field, value in partition if field == 8):
            facts = dict(fields(message))
            extents = {field: [dict(fields(value)) for number, value in fields(message)
                               if number == field] for field in (4, 6)}
            source = b"".join(old[e.get(1, 0) * BLOCK:(e.get(1, 0) + e[2]) * BLOCK]
                              for e in extents[4])
            if source:
                self.assertEqual(hashlib.sha256(source).digest(), facts[9])
            begin = layout.blobs[0] + facts.get(2, 0)
            blob = content[begin:begin + facts.get(3, 0)]
            n_target = sum(e[2] for e in extents[6]) * BLOCK
            if facts[1] == book.REPLACE_ZSTD_PREFIX:
                target = self.target_of_frames(blob, book.numbers(facts[1000]), manifest, n_target)
            else:
                target = self.target_of(facts[1], blob, source, n_target)
            self.assertEqual(len(target), n_target)
            for extent in extents[6]:
                at, n = extent.get(1, 0) * BLOCK, extent[2] * BLOCK
                image[at:at + n], target = target[:n], target[n:]
            kinds.append(facts[1])
        return bytes(image), kinds

    def target_of_frames(self, blob, frame_bytes, manifest, n_target):
        n_frame, n_prefix, target = manifest.get(1004, 16384), manifest[1005], b""
        self.assertEqual(len(frame_bytes), -(-n_target // n_frame))
        for n_bytes in frame_bytes:
            frame, blob = self.file("frame", blob[:n_bytes]), blob[n_bytes:]
            before = self.file("before", target[-n_prefix:])
            words = ["zstd", "-dcq"] + ([f"--patch-from={before}"] if target else [])
            made = subprocess.run([*words, frame], check=True, capture_output=True).stdout
            self.assertEqual(len(made), min(n_frame, n_target - len(target)))
            target += made
        self.assertEqual(blob, b"")
        return target

    def target_of(self, kind, blob, source, n_target):
        if kind == book.SOURCE_COPY:
            return source
        if kind == book.SOURCE_BSDIFF:
            old, bsdiff = self.file("old", source), self.file("patch", blob)
            run(["bspatch", old, self.lab.folder / "new", bsdiff])
            return (self.lab.folder / "new").read_bytes()
        if kind == book.REPLACE_XZ:
            return lzma.decompress(blob)
        if kind == book.REPLACE_ZSTD:
            return subprocess.run(["zstd", "-dcq"], input=blob, check=True,
                                  capture_output=True).stdout
        return {book.REPLACE: blob, book.ZERO: bytes(n_target)}[kind]

    def test_a_second_reader_makes_the_same_image(self):
        path = self.create(self.lab.folder / "second.payload", "--no-verity")
        image, kinds = self.apply(path, self.old)
        self.assertEqual(image, self.new)
        self.assertLessEqual({book.SOURCE_COPY, book.SOURCE_BSDIFF, book.ZERO}, set(kinds))

    def test_a_second_reader_takes_frames_that_refer_back(self):
        """Of a full payload, each with what lies before it as zstd's --patch-from."""
        path, new = self.lab.folder / "second.full", bytearray(self.new[:3 * MIB])
        words = [self.new[at:at + 9] for at in range(0, 20000, 9)]
        text = b"".join(random.Random(4).choices(words, k=MIB // 5))[:-777]
        new[MIB:2 * MIB] = text[:MIB]
        image = self.file("second.image", new + text[MIB:])
        self.tool("create", "--product", "demo", "--version", "2.0.0", "--key", self.key, "-o",
                  path, "--no-verity", f"USR={image}")
        made, kinds = self.apply(path, b"")
        self.assertEqual(made, image.read_bytes() + bytes(-len(text[MIB:]) % BLOCK))
        self.assertEqual(kinds.count(book.REPLACE_ZSTD_PREFIX), 2)

    def test_it_is_small(self):
        sizes = self.delta.stat().st_size, self.full.stat().st_size
        print(f"# a delta of {sizes[0]} bytes, where the full payload has {sizes[1]}")
        self.assertLess(sizes[0], sizes[1] // 20)

    def test_the_same_images_make_the_same_bytes(self):
        for n in (1, 3):
            again = self.create(self.lab.folder / "again", "--threads", n)
            self.assertEqual(again.read_bytes(), self.delta.read_bytes(), f"{n} threads")

    def test_what_was_made_is_made_again(self):
        """Images of each kind there and back, and the tool's own proof."""
        source = random.Random(11)
        images = {
            "same": self.old,
            "longer": self.new + source.randbytes(MIB + 100),
            "shorter": self.new[:3 * MIB],
            "not on a block": self.new[:-777],
            "all new": source.randbytes(2 * MIB),
            "all zeros": bytes(2 * MIB),
            "a block": self.old[5 * BLOCK:6 * BLOCK],
            "backwards": b"".join(self.old[at:at + BLOCK]
                                  for at in reversed(range(0, MIB, BLOCK))),
        }
        path, out = self.lab.folder / "pair.payload", self.lab.folder / "pair.img"
        for name, content in images.items():
            for there in (True, False):
                with self.subTest(image=name, there=there):
                    old, new = self.file("one.img", self.old), self.file("two.img", content)
                    if not there:
                        old, new, content = new, old, self.old
                    self.create(path, old=old, new=new)
                    self.tool("extract", *self.keys(), "--from", old, "-o", out, path)
                    self.assertEqual(out.read_bytes()[:len(content)], content)
                    self.tool("verify", *self.keys(), "--full", "--from", old, path)

    def test_verify_says_what_it_could_not_tell(self):
        done = self.tool("verify", *self.keys(), self.delta)
        self.assertIn("only --from tells", done.stdout)
        done = self.tool("verify", *self.keys(), "--from", self.image_a, self.delta)
        self.assertNotIn("--from", done.stdout)
        for words, more in {
                "must name the image that it begins with, that of version 1.0.0": ["--full"],
                "its hash is another": ["--from", self.image_b],
                "too short": ["--from", self.file("short", self.old[:-BLOCK])],
                "given twice": ["--from", self.image_a, "--from", f"USR={self.image_a}"],
                "cannot be opened": ["--from", "/none"]}.items():
            done = self.tool("verify", *self.keys(), *more, self.delta, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)
        done = self.tool("verify", *self.keys(), "--from", self.image_a, self.full, check=False)
        self.assertIn("is not a delta", done.stderr)

    def test_extract_needs_what_it_begins_with(self):
        out = self.lab.folder / "none.img"
        for more in ([], ["--from", self.image_b]):
            done = self.tool("extract", *self.keys(), *more, "-o", out, self.delta, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertFalse(out.exists())

    def test_show_tells_what_it_begins_with(self):
        text = self.tool("show", self.delta).stdout
        self.assertRegex(text, r"delta from: +1\.0\.0")
        facts = json.loads(self.tool("show", "--json", self.delta).stdout)
        self.assertEqual((facts["minor_version"], facts["source_version"]), (6, "1.0.0"))
        self.assertEqual(facts["partitions"][0]["source"],
                         {"size_bytes": len(self.old), "sha256": hashlib.sha256(self.old).hexdigest()})
        facts = json.loads(self.tool("show", "--json", self.full).stdout)
        self.assertEqual((facts["minor_version"], facts["partitions"][0]["source"]), (0, None))
        self.assertNotIn("delta", self.tool("show", self.full).stdout)

    def test_several_partitions(self):
        path = self.lab.folder / "several"
        oem = self.file("oem.img", self.new[:MIB])
        run([program("update-payload"), "create", "--product", "demo", "--version", "2.0.0",
             "--key", self.key, "-o", path, "--from", f"USR={self.image_a}",
             f"USR={self.image_b}", f"OEM={oem}"])
        out = self.lab.folder / "out.img"
        for name, content, more in (("OEM", self.new[:MIB], []),
                                    ("USR", self.new, ["--from", f"USR={self.image_a}"])):
            self.tool("extract", *self.keys(), "-p", name, *more, "-o", out, path)
            self.assertEqual(out.read_bytes()[:len(content)], content)
        for word in (str(self.image_a), f"ROOT={self.image_a}"):
            done = run([program("update-payload"), "create", "--product", "demo", "--version", "2",
                        "--key", self.key, "-o", path, "--from", word, f"USR={self.image_b}",
                        f"OEM={oem}"], check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("say NAME=OLD", done.stderr)

    def test_a_trailer_says_the_version(self):
        old = self.file("self-a.img", slot_image(self.old[:MIB], version="1.5.0"))
        new = self.file("self-b.img", slot_image(self.new[:MIB]))
        path = self.lab.folder / "self.payload"
        words = [program("update-payload"), "create", "--product", "demo", "--version", "2.0.0",
                 "--key", self.key, "-o", path, "--from", old]
        run([*words, f"USR={new}"])
        facts = json.loads(self.tool("show", "--json", path).stdout)
        self.assertEqual(facts["source_version"], "1.5.0")
        self.tool("verify", *self.keys(), "--full", "--from", old, path)
        done = run([*words, "--from-version", "1.4.0", f"USR={new}"], check=False)
        self.assertIn("is of the version 1.5.0, not 1.4.0", done.stderr)
        other = self.file("other.img", slot_image(self.old[:MIB], product="other"))
        done = run([*words[:-1], other, f"USR={new}"], check=False)
        self.assertIn("is of the product other, not demo", done.stderr)

    def test_wrong_command_lines(self):
        for words in (["--format", "1", "--from", self.image_a],
                      ["--product", "demo", "--version", "2", "--from-version", "1"]):
            done = run([program("update-payload"), "create", *words, "--key", self.key, "-o",
                        self.lab.folder / "no", f"USR={self.image_b}"], check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--from", done.stderr)


class Installs(DeltaTest):
    def test_from_a_file(self):
        machine = self.started()
        self.install(machine, self.delta)
        self.assert_installed(machine)

    def test_from_a_server(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(self.delta)
        machine.flipside("update")
        self.assert_installed(machine)
        # The header comes twice.
        self.assertEqual(server.bytes_sent(), self.delta.stat().st_size + 24)

    def test_after_cuts(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.delta, max_failures=10)
        size = self.delta.stat().st_size
        server.cut_after = [100, size // 3, size // 3]
        machine.start_engine()
        machine.flipside("update")
        self.assert_installed(machine)

    def test_images_that_describe_themselves(self):
        old = self.file("self-a.img", slot_image(self.old[:6 * MIB], version="1.0.0"))
        new = self.file("self-b.img", slot_image(self.new[:6 * MIB]))
        path = self.create(self.lab.folder / "self.payload", old=old, new=new)
        machine = self.started(image=old)
        self.install(machine, path)
        self.assert_installed(machine, new)

    def test_what_others_make(self):
        """As the least of AOSP's deltas: minor version 2, source and target in several extents."""
        half = len(self.old) // 2 // BLOCK
        copy = Operation(b"", 0, book.SOURCE_COPY, extents=[(half, 100), (0, 100)],
                         sources=[(0, 50), (7, 150)], source_sha256=hashlib.sha256(
                             self.old[:50 * BLOCK] + self.old[7 * BLOCK:157 * BLOCK]).digest())
        content = self.old[:50 * BLOCK] + self.old[7 * BLOCK:157 * BLOCK]
        image = bytearray(MIB + half * BLOCK)
        image[half * BLOCK:(half + 100) * BLOCK] = content[:100 * BLOCK]
        image[:100 * BLOCK] = content[100 * BLOCK:]
        rest = [(100, half - 100), (half + 100, len(image) // BLOCK - half - 100)]
        zeros = [Operation(b"", 0, book.ZERO, extents=[(at, min(2048, start + n - at))])
                 for start, n in rest for at in range(start, start + n, 2048)]
        path = Payload(bytes(image), [copy, *zeros], source=self.old, minor_version=2).write(
            self.lab.folder / "aosp", self.key)
        machine = self.started()
        self.install(machine, path)
        self.assert_installed(machine, self.file("aosp.img", bytes(image)))


class Refusals(DeltaTest):
    def refuse_first(self, machine, path, *words):
        """Refused before anything was touched."""
        line = self.assert_not_done(machine, self.install(machine, path, check=False))
        for word in words:
            self.assertIn(word, line)
        self.assert_nothing_happened(machine)

    def assert_not_done(self, machine, done):
        self.assertNotEqual(done.returncode, 0)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertEqual(machine.number("LastErrorCode"), SOURCE, lines[0])
        return lines[0]

    def rot(self, machine, at):
        """A bit of the running slot turns."""
        with open(machine.disk, "r+b") as disk:
            disk.seek(machine.places["USR-A"]["start"] + at)
            byte = disk.read(1)[0]
            disk.seek(-1, os.SEEK_CUR)
            disk.write(bytes([byte ^ 4]))
        machine.running_before = machine.slot_sha256("USR-A")

    def test_another_version_runs(self):
        machine = self.started(version="0.9.0")
        self.refuse_first(machine, self.delta, "begins with version 1.0.0, and 0.9.0 runs",
                          "install a full payload")

    def test_another_image_runs(self):
        machine = self.started(image=self.image_b)
        self.refuse_first(machine, self.delta, "version 1.0.0", "USR-A")
        self.install(machine, self.full)

    def test_a_running_slot_that_has_begun_to_rot(self):
        for at in (0, 5 * MIB + 7, len(self.old) - 1):
            with self.subTest(at=at):
                machine = self.machine()
                self.rot(machine, at)
                machine.start_engine()
                self.refuse_first(machine, self.delta, "does not hold that as it was released")
        self.install(machine, self.full)
        self.assert_installed(machine)

    def test_what_follows_the_image_does_not_matter(self):
        machine = self.machine()
        self.rot(machine, len(self.old) + 5)
        machine.start_engine()
        self.install(machine, self.delta)
        self.assert_installed(machine)

    def test_a_source_that_rots_meanwhile(self):
        """Here: a hash that never was right. The target is not bootable by then."""
        machine = self.started()
        copy = Operation(b"", 0, book.SOURCE_COPY, extents=[(0, 1)], sources=[(3, 1)],
                         source_sha256=bytes(32))
        path = Payload(self.old[3 * BLOCK:4 * BLOCK], [copy], source=self.old).write(
            self.lab.folder / "rots", self.key)
        line = self.assert_refused(machine, self.install(machine, path, check=False), [SOURCE])
        self.assertIn("from block 3", line)

    def test_patches_that_lie(self):
        n = len(self.old[:MIB])
        good = patch([(n, 0, 0)], bytes(n), b"", n)
        lies = {
            "cut": good[:-9],
            "empty": b"B",
            "with a tail": good + b"x",
            "another format": b"BSDF2" + good[5:],
            "longer than its target": patch([(n, 1, 0)], bytes(n), b"x", n + 1),
            "shorter than its target": patch([(n - BLOCK, 0, 0)], bytes(n - BLOCK), b"",
                                             n - BLOCK),
            "a negative step": patch([(-1, n, 0)], b"", bytes(n), n),
            "reads behind its source": patch([(0, 0, 1), (n, 0, 0)], bytes(n), b"", n),
            "leaves its source": patch([(1, 0, -2), (n - 1, 0, 0)], bytes(n), b"", n),
            "a bomb": patch([(n, 0, 0)], bytes(64 * MIB), b"", n),
            "streams past its end": patch([(n, 0, 0)], bytes(n), b"", n,
                                          lengths=(1 << 62, 1 << 62, n)),
        }
        machine = self.started()
        sources = {"sources": [(0, n // BLOCK)],
                   "source_sha256": hashlib.sha256(self.old[:n]).digest()}

        def write(blob):
            first = Operation(self.old[:n], 0, book.SOURCE_BSDIFF, blob, **sources)
            return Payload(self.old, [first, *operations_of(self.old)[1:]], source=self.old).write(
                self.lab.folder / "lie", self.key)

        for name, blob in lies.items():
            with self.subTest(patch=name):
                path = write(blob)
                self.assert_refused(machine, self.install(machine, path, check=False), [OPERATION])
        self.install(machine, write(good))
        self.assert_installed(machine, self.image_a)

    def test_manifests_that_lie(self):
        def copying(**more):
            return Operation(b"", 0, book.SOURCE_COPY, extents=[(0, 1)], **{
                "sources": [(3, 1)], "source_sha256": hashlib.sha256(
                    self.old[3 * BLOCK:4 * BLOCK]).digest(), **more})

        machine = self.started()
        target = self.old[3 * BLOCK:4 * BLOCK]
        for words, (codes, operation, more) in {
                "beyond the": ([MANIFEST], copying(sources=[(len(self.old) // BLOCK, 1)]), {}),
                "no SHA-256 hash of it": ([OPERATION_HASH], copying(source_sha256=None), {}),
                "copies 8192 bytes": ([MANIFEST], copying(sources=[(3, 2)]), {}),
                "reads 0 bytes": ([MANIFEST], copying(sources=[]), {}),
                "not that it is a delta": ([MANIFEST], copying(), {"minor_version": 0}),
                "of the minor version 7": ([VERSION_REFUSED], copying(), {"minor_version": 7}),
                "minor version 1": ([VERSION_REFUSED], copying(), {"minor_version": 1}),
        }.items():
            with self.subTest(words):
                path = Payload(target, [operation], source=self.old, **more).write(
                    self.lab.folder / "lie", self.key)
                done = self.install(machine, path, check=False)
                self.assertIn(words, done.stderr)
                self.assertIn(machine.number("LastErrorCode"), codes)
                self.assert_nothing_happened(machine)

    def test_bits_flipped_anywhere(self):
        source = random.Random(5)
        content = self.delta.read_bytes()
        machine = self.started()
        for at in sorted(source.randrange(20, len(content)) for _ in range(10)):
            with self.subTest(offset=at):
                damaged = bytearray(content)
                damaged[at] ^= 0x10
                done = self.install(machine, self.file("damaged", damaged), check=False)
                self.assert_refused(machine, done)

    def test_a_full_one_after_a_delta_that_fails(self):
        machine, server = self.machine(image=self.image_b), self.server()
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(self.delta)
        done = machine.flipside("update", check=False)
        self.assert_not_done(machine, done)
        self.assert_nothing_happened(machine)
        wait_for("the server to hear of it",
                 lambda: ("3", "0", {"errorcode": str(SOURCE)}) in server.events())
        server.offer(self.full)
        machine.flipside("update")
        self.assert_installed(machine)


class Killed(DeltaTest):
    slot_mib = 40
    image_mib = 32

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # So much that is new that the moments fall into the download, too.
        source = random.Random(3)
        new = bytearray(cls.new)
        for at in range(0, len(new), 4 * MIB):
            new[at + MIB:at + MIB + 300 * 1024] = source.randbytes(300 * 1024)
        cls.image_b.write_bytes(new)
        cls.delta = cls.create(cls.lab.folder / "killed.payload")

    def test_killed_at_random_moments_of_one_install(self):
        seed = os.environ.get("FLIPSIDE_SEED") or str(random.SystemRandom().randrange(1 << 32))
        print(f"# FLIPSIDE_SEED={seed}", flush=True)
        source = random.Random(seed)
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        size = self.delta.stat().st_size
        server.offer(self.delta, max_failures=100)
        server.rate_bytes_per_sec = size // 10
        machine.start_engine()
        for kill in range(N_KILLS):
            at = server.bytes_sent() + source.randrange(1, size // N_KILLS)
            wait_for(f"kill {kill + 1} at byte {at}",
                     lambda: server.bytes_sent() >= at or self.is_done(machine),
                     logs=[machine.log])
            machine.kill_engine()
            self.assertFalse(self.is_done(machine) and not self.is_whole(machine))
            machine.start_engine()
        server.rate_bytes_per_sec = 0
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assertLess(server.bytes_sent(), 3 * size)

    def is_done(self, machine):
        return machine.slots()["USR-B"].is_bootable

    def is_whole(self, machine):
        self.assert_holds(machine, "USR-B", self.image_b)
        return True


class Offered(DeltaTest):
    """Beside the full payload."""

    def offered(self, version="1.0.0", **more):
        machine, server = self.machine(version=version, **more), self.server()
        server.parts = "all of them"
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(self.full, deltas=[(self.delta, "1.0.0")])
        return machine, server

    def names(self, server):
        server.wait_until_idle()
        return {name for name, _, _ in server.sent}

    def update(self, machine, server):
        machine.flipside("update")
        self.assert_installed(machine)
        return machine.status(), self.names(server)

    def assert_left(self, machine, server, reason):
        status, names = self.update(machine, server)
        self.assertIn(self.full.name, names)
        self.assertIn(status["fetch_way"], ("adaptive", "whole"))
        self.assertRegex(status["fetch_text"], "; the delta from version 1.0.0 failed: .*" + reason)
        self.assertIn("; the full payload is fetched", machine.log.read_text())
        self.assertEqual({result for kind, result, _ in server.events() if kind == "3"} - {"2"},
                         {"1"})

    def test_it_is_taken_where_its_base_runs(self):
        machine, server = self.offered()
        status, names = self.update(machine, server)
        self.assertEqual((status["fetch_way"], names), ("delta", {self.delta.name}))
        self.assertLess(server.bytes_sent(), self.delta.stat().st_size * 1.02)
        self.assertEqual(status["bytes_whole"], self.full.stat().st_size)

    def test_omaha_server_offers_it(self):
        machine, server = self.machine(), OmahaServer(self.lab)
        self.addCleanup(server.stop)
        server.add_release("stable", self.full)
        server.add_delta("stable", self.delta, "1.0.0")
        machine.configure(SERVER=server.start().url)
        machine.start_engine()
        machine.flipside("update")
        self.assert_installed(machine)
        self.assertEqual(machine.status()["fetch_way"], "delta")

    def test_a_look_at_the_other_way_would_cost_too_much(self):
        machine, server = self.offered()
        server.offer(self.full, deltas=[(self.delta, "1.0.0")], metadata_size=n_signed(self.full))
        status, names = self.update(machine, server)
        self.assertEqual((status["fetch_way"], names), ("delta", {self.delta.name}))

    def test_it_is_not_taken_elsewhere(self):
        machine, server = self.offered(version="1.0.1")
        status, names = self.update(machine, server)
        self.assertEqual(status["fetch_way"], "adaptive")
        self.assertNotIn(self.delta.name, names)

    def test_it_costs_too_much(self):
        machine, server = self.machine(), self.server()
        budget = self.delta.stat().st_size - 1
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0, DOWNLOAD_BUDGET=budget)
        server.offer(self.full, deltas=[(self.delta, "1.0.0")])
        machine.start_engine()
        wait_for("the event", lambda: [event for event in server.events() if event[1] == "9"],
                 logs=[machine.log])
        self.assertEqual(self.names(server), {self.full.name})
        self.assert_nothing_happened(machine)

    def test_it_is_not_there(self):
        machine, server = self.offered()
        del server.files[self.delta.name]
        self.assert_left(machine, server, "404")

    def test_it_is_damaged(self):
        machine, server = self.offered()
        content = bytearray(self.delta.read_bytes())
        content[-2000] ^= 0x40
        server.files[self.delta.name] = self.file("damaged.payload", content)
        self.assert_left(machine, server, "")

    def test_what_runs_is_rotten(self):
        machine, server = self.offered()
        with open(machine.disk, "r+b") as disk:
            disk.seek(machine.places["USR-A"]["start"] + 5 * MIB)
            disk.write(bytes(BLOCK))
        machine.running_before = machine.slot_sha256("USR-A")
        self.assert_left(machine, server, "")
        # It is not tried twice.
        machine.flipside("rollback")
        n_sent = len(server.sent)
        machine.flipside("update")
        server.wait_until_idle()
        self.assertNotIn(self.delta.name, {name for name, _, _ in server.sent[n_sent:]})


class Weighed(DeltaTest):
    """Where the full payload's metadata is small beside the delta it is looked at first, and what is
    cheaper is taken. There are two: `delta` is cheaper than an adaptive download, and `large` is
    not, for it was made from what nobody runs, and is of no use to anybody."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        source = random.Random(9)
        new = bytearray(cls.new)
        new[3 * MIB:3 * MIB + 80 * BLOCK] = source.randbytes(80 * BLOCK)
        cls.new = bytes(new)
        cls.image_b.write_bytes(cls.new)
        cls.full = create_payload(cls.lab.folder / "full-2.payload", cls.image_b, cls.key)
        cls.delta = cls.create(cls.lab.folder / "delta-2.payload")
        other = cls.lab.folder / "other.img"
        other.write_bytes(new[:4 * MIB] + source.randbytes(4 * MIB))
        cls.large = cls.create(cls.lab.folder / "large.payload", old=other)
        cls.n_full, cls.n_delta = cls.full.stat().st_size, cls.delta.stat().st_size

    def offered(self, delta=None, metadata_size=None, **keys):
        machine, server = self.machine(), self.server()
        server.parts = "all of them"
        machine.configure(SERVER=server.omaha_url, **keys)
        server.offer(self.full, deltas=[(delta or self.delta, "1.0.0")], max_failures=3,
                     metadata_size=metadata_size or n_signed(self.full))
        machine.start_engine()
        return machine, server

    def names(self, server, since=0):
        server.wait_until_idle()
        return {name.replace("parts", self.full.name) for name, _, _ in server.sent[since:]}

    def update(self, machine, server):
        machine.flipside("update")
        self.assert_installed(machine)
        return machine.status(), self.names(server)

    def assert_way(self, machine, status, way):
        self.assertEqual((status["fetch_way"], status["bytes_whole"]), (way, self.n_full))
        ways = r"; to choose from: delta [\d.]+ .B, adaptive [\d.]+ .B"
        self.assertRegex(status["fetch_text"], rf"^fetched .* of 6.\d MB in .* \({way}\){ways}$")
        self.assertRegex(machine.log.read_text(), rf"fetching .* of 6.\d MB: .*{ways}\n")
        last = json.loads(machine.flipside("history", "--json").stdout.splitlines()[-1])
        self.assertEqual((last["result"], last["way"]), ("done", way))
        self.assertRegex("; " + last["text"], ways)

    def test_the_delta_is_cheaper(self):
        machine, server = self.offered()
        at_delta = []

        def get(handler):
            if self.delta.name in handler.path and not at_delta:
                at_delta.append((table_bytes(machine.disk), machine.slot_sha256("USR-B")))
            server._serve(handler)

        server.get = get
        status, names = self.update(machine, server)
        self.assertEqual(names, {self.full.name, self.delta.name})
        self.assert_way(machine, status, "delta")
        self.assertEqual(at_delta, [(machine.table_before, machine.target_before)])
        self.assertLess(server.bytes_sent(), self.n_delta * 1.02 + n_signed(self.full) + 1024)
        self.assertEqual(status["requests"], len(server.sent))

    def test_adaptive_is_cheaper(self):
        machine, server = self.offered(self.large)
        status, names = self.update(machine, server)
        self.assertEqual(names, {self.full.name})
        self.assert_way(machine, status, "adaptive")
        self.assertLess(server.bytes_sent(), self.large.stat().st_size)

    def test_of_omaha_server(self):
        for delta, way in ((self.delta, "delta"), (self.large, "adaptive")):
            with self.subTest(way=way):
                machine, server = self.machine(), OmahaServer(self.lab)
                self.addCleanup(server.stop)
                server.add_release("stable", self.full)
                server.add_delta("stable", delta, "1.0.0")
                machine.configure(SERVER=server.start().url)
                machine.start_engine()
                machine.flipside("update")
                self.assert_installed(machine)
                self.assert_way(machine, machine.status(), way)

    def test_what_the_metadata_costs_is_not_told(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.full, deltas=[(self.delta, "1.0.0")])
        machine.start_engine()
        status, names = self.update(machine, server)
        self.assertEqual((status["fetch_way"], names), ("delta", {self.delta.name}))

    def test_the_full_payload_cannot_be_looked_at(self):
        for name, size in (("it is not there", None), ("it is not as told", 77)):
            with self.subTest(name):
                machine, server = self.offered(metadata_size=size)
                if not size:
                    del server.files[self.full.name]
                status, _ = self.update(machine, server)
                self.assertEqual(status["fetch_way"], "delta")
                self.assertIn("what the full payload costs here is not known: ",
                              machine.log.read_text())

    def test_the_delta_fails(self):
        machine, server = self.offered()
        del server.files[self.delta.name]
        status, _ = self.update(machine, server)
        self.assertEqual(status["fetch_way"], "adaptive")
        self.assertRegex(status["fetch_text"],
                         r"\(adaptive\); the delta from version 1.0.0 failed: .*404")

    def test_both_fail(self):
        machine, server = self.offered()
        server.files.clear()
        self.assertNotEqual(machine.flipside("update", check=False).returncode, 0)
        self.assert_nothing_happened(machine)

    def test_a_budget_that_one_of_them_keeps(self):
        machine, server = self.offered(FIRST_CHECK=0, DOWNLOAD_BUDGET=self.n_delta)
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assert_way(machine, machine.status(), "delta")
        self.assertEqual([event for event in server.events() if event[1] == "9"], [])

    def killed(self, machine, server, name):
        """While that file is fetched, when there is something to go on with; what comes then."""
        server.rate_bytes_per_sec, server.parts = 60_000, None
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        machine.kill_engine()
        machine.start_engine()
        wait_for("the checkpoint", lambda: machine.phase() == "downloading"
                 and self.is_begun(machine, server, name), logs=[machine.log])
        machine.kill_engine()
        n_sent, server.rate_bytes_per_sec = len(server.sent), 0
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        return self.names(server, n_sent)

    def is_begun(self, machine, server, name):
        return (machine.state / "checkpoint").exists() and server.sent[-1][0] == name

    def test_killed_while_the_delta_comes(self):
        machine, server = self.offered()
        self.assertEqual(self.killed(machine, server, self.delta.name), {self.delta.name})

    def test_killed_while_the_full_payload_comes(self):
        machine, server = self.offered(self.large)
        self.assertEqual(self.killed(machine, server, self.full.name), {self.full.name})

    def test_killed_while_it_comes_in_place_of_the_delta(self):
        machine, server = self.offered()
        del server.files[self.delta.name]

        def get(handler):
            server._serve(handler)
            if self.delta.name in handler.path:  # from its second request on, it is there
                server.files[self.delta.name] = self.delta

        server.get = get
        self.assertEqual(self.killed(machine, server, self.full.name), {self.full.name})


if __name__ == "__main__":
    main()
