#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every full payload is a delta: what of it the machine holds already is not fetched, wherever it
lies. What lies about it costs a fetch and never a wrong slot."""
import json
import os
import random
import re
import time

from lab import MIB, main, program, run, wait_for
from machine import table_bytes, write_at
from machine_test import MachineTest, create_payload
from payload import BLOCK
from slot_image import slot_image

METADATA_SIZE = 32
OPERATION_HASH = 29
N_KILLS = 20


class AdaptiveTest(MachineTest):
    """B has 40 new blocks, in 10 places; the rest of it is A's, moved by 3 blocks."""
    frame_prefix = None  # as create has it

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        source = random.Random(11)
        content = bytearray(source.randbytes(3 * BLOCK) + cls.image_a.read_bytes()[:-3 * BLOCK])
        for _ in range(10):
            at = source.randrange(len(content) // BLOCK - 4) * BLOCK
            content[at:at + 4 * BLOCK] = source.randbytes(4 * BLOCK)
        cls.image_b = cls.lab.folder / "b.img"
        cls.image_b.write_bytes(content)
        cls.payload = create_payload(cls.lab.folder / "b.payload", cls.image_b, cls.key,
                                     frame_prefix=cls.frame_prefix)
        cls.n_payload = cls.payload.stat().st_size

    def offered(self, payload=None, metadata_size=None, **more):
        machine, server = self.machine(**more), self.server()
        server.parts = "all of them"
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(payload or self.payload, metadata_size=metadata_size)
        return machine, server

    def estimate(self, payload):
        """What the tool says that this takes."""
        return json.loads(run([program("update-payload"), "estimate", "--json", "--from",
                               self.image_a, payload]).stdout)

    def n_signed(self, payload=None):
        """What an offer may tell as MetadataSize."""
        header = (payload or self.payload).read_bytes()[:24]
        return 24 + int.from_bytes(header[12:20], "big")

    def old_slot(self, name):
        """All of a slot with A, whose tree has the salt of the payload, so that it is believed."""
        slot = slot_image(self.image_a.read_bytes(), version="1.0.0",
                          salt=self.salt_of(self.payload))
        path = self.lab.folder / name
        path.write_bytes(slot[:-BLOCK] + bytes(self.slot_mib * MIB - len(slot)) + slot[-BLOCK:])
        return path

    def salt_of(self, payload):
        shown = run([program("update-payload"), "show", payload]).stdout
        line = next(line for line in shown.splitlines() if "salt" in line)
        return bytes.fromhex(line.split("salt")[1].strip(" :").split()[0].rstrip(","))

    def n_metadata(self, payload=None):
        header = (payload or self.payload).read_bytes()[:24]
        return self.n_signed(payload) + int.from_bytes(header[20:24], "big")


class Fetches(AdaptiveTest):
    def test_what_is_here_is_not_fetched(self):
        machine, server = self.offered()
        machine.flipside("update")
        self.assert_installed(machine)
        server.wait_until_idle()
        n_new = 43 * BLOCK + 11 * 3 * BLOCK  # a frame has four blocks
        self.assertLess(server.bytes_sent(), self.n_metadata() + n_new * 1.02)
        self.assertLess(server.bytes_sent(), self.n_payload // 8)
        told = self.estimate(self.payload)["fetched_by_parts"]["size_bytes"]
        self.assertGreaterEqual(server.bytes_sent(), told)
        self.assertLess(server.bytes_sent(), told * 1.05)  # what lies between the parts

    def test_frames_of_each_size(self):
        """What is fetched is whole frames; B's new blocks lie in 11 places of up to 4 blocks."""
        for kib in (4, 8, 16, 32, 64, 128, 256):
            with self.subTest(kib=kib):
                payload = create_payload(self.lab.folder / f"b.{kib}", self.image_b, self.key,
                                         frame_size=f"{kib}K", frame_prefix=self.frame_prefix)
                machine, server = self.offered(payload)
                machine.flipside("update")
                self.assert_installed(machine)
                server.wait_until_idle()
                told = self.estimate(payload)["fetched_by_parts"]["size_bytes"]
                self.assertGreaterEqual(server.bytes_sent(), told)
                self.assertLess(server.bytes_sent(), told * 1.05)
                n_per_frame = kib // 4
                n_most = 11 * (4 + 2 * (n_per_frame - 1)) * BLOCK
                self.assertGreater(server.bytes_sent(), self.n_metadata(payload) + 43 * BLOCK)
                self.assertLess(server.bytes_sent(), self.n_metadata(payload) + n_most * 1.02)

    def test_what_it_costs_is_told(self):
        machine, server = self.offered()
        done = machine.flipside("update")
        server.wait_until_idle()
        status = machine.status()
        self.assertEqual(status["fetch_way"], "adaptive")
        self.assertRegex(status["fetch_text"], r"^fetched .* of 6.4 MB in \d+ requests \(adaptive\)")
        self.assertEqual(status["bytes_whole"], self.n_payload)
        self.assertEqual(status["requests"], len(server.sent))
        n_sent = server.bytes_sent()
        self.assertLess(abs(status["bytes_to_fetch"] - n_sent), n_sent // 50)
        self.assertIn("fetched ", machine.flipside("status").stdout)
        self.assertRegex(machine.log.read_text(),
                         r"fetching \S+ .B of 6.4 MB: the rest is in USR-A")
        last = json.loads(machine.flipside("history", "--json").stdout.splitlines()[-1])
        self.assertEqual((last["way"], last["requests"]), ("adaptive", status["requests"]))
        self.assertIn("(adaptive)", machine.flipside("history").stdout)
        self.assertNotIn("the rest is", done.stderr)

    def test_a_file_is_not_fetched(self):
        machine = self.machine()
        machine.start_engine()
        machine.flipside("install", self.payload)
        self.assertEqual(machine.status()["fetch_way"], "file")
        self.assertEqual(machine.status()["fetch_text"], "")

    def test_at_a_rate(self):
        machine, server = self.offered()
        machine.configure(SERVER=server.omaha_url, DOWNLOAD_RATE="100K")
        began = time.monotonic()
        machine.flipside("update")
        took = time.monotonic() - began
        self.assert_installed(machine)
        server.wait_until_idle()
        self.assertGreater(took, server.bytes_sent() / 100_000 * 0.5)

    def test_nothing_is_here(self):
        other = self.lab.make_image("other.img", self.image_mib, seed=77)
        payload = create_payload(self.lab.folder / "other.payload", other, self.key)
        machine, server = self.offered(payload)
        machine.flipside("update")
        self.assert_installed(machine, other)
        server.wait_until_idle()
        self.assertLess(server.bytes_sent(), payload.stat().st_size * 1.01)
        self.assertEqual(machine.status()["fetch_way"], "whole")
        self.assertRegex(machine.log.read_text(),
                         "fetching all .* MB: hardly anything of it is in USR-A")

    def test_out_of_the_trees_leaves(self):
        """A slot that describes itself, and one of the same salt; nothing is hashed that need not
        be, which a tree that lies shows: what it denies is fetched."""
        def image(name, content, version):
            path = self.lab.folder / name
            fs = self.lab.folder / "fs"
            fs.write_bytes(content)
            run([program("update-payload"), "image", "--product", "demo", "--version", version,
                 "--fs", fs, "--size", f"{self.slot_mib}M", "-o", path])
            return path
        old = image("old.img", self.image_a.read_bytes(), "1.0.0")
        new = image("new.img", self.image_b.read_bytes(), "2.0.0")
        payload = create_payload(self.lab.folder / "new.payload", new, self.key)
        sent = []
        for is_damaged in (False, True):
            machine, server = self.offered(payload, image=old)
            if is_damaged:
                at = machine.places["USR-A"]["start"] + self.image_mib * MIB + 2 * BLOCK
                with open(machine.disk, "r+b") as disk:
                    disk.seek(at)
                    disk.write(bytes(3 * BLOCK))
                machine.running_before = machine.slot_sha256("USR-A")
            machine.flipside("update")
            self.assert_installed(machine, new)
            server.wait_until_idle()
            sent.append(server.bytes_sent())
        self.assertLess(sent[0], self.n_payload // 8)
        self.assertGreater(sent[1], sent[0] + MIB // 2)
        self.assertLess(sent[1], sent[0] + 2 * MIB)

    def test_what_the_target_holds_is_not_written(self):
        new = self.lab.folder / "new.img"
        old = self.lab.folder / "old.img"
        content = self.image_a.read_bytes()
        old.write_bytes(slot_image(content, version="1.0.0", salt=b""))
        salt = self.salt_of(self.payload)
        new.write_bytes(slot_image(self.image_b.read_bytes(), salt=salt))
        target = self.lab.folder / "target.img"
        changed = bytearray(self.image_b.read_bytes())
        changed[5 * MIB:5 * MIB + 64 * BLOCK] = random.Random(5).randbytes(64 * BLOCK)
        target.write_bytes(slot_image(bytes(changed), salt=salt, version="0.9.0"))
        machine, server = self.offered()
        with open(machine.disk, "r+b") as disk:
            disk.seek(machine.places["USR-B"]["start"])
            disk.write(target.read_bytes())
            disk.seek(machine.places["USR-B"]["start"] + machine.places["USR-B"]["size"] - BLOCK)
            disk.write(target.read_bytes()[-BLOCK:])
        before = self.n_written(machine)
        machine.flipside("update")
        self.assert_installed(machine)
        # The tree is written anew, and the state.
        self.assertLess(self.n_written(machine) - before, MIB)

    def n_written(self, machine):
        with open(f"/proc/{machine.engine.pid}/io", encoding="ascii") as io:
            return int(dict(line.split(": ") for line in io.read().splitlines())["wchar"])


class FetchesAlone(Fetches):
    """The same, of frames that refer to nothing, as any zstd decoder reads them."""
    frame_prefix = "0"


class RefersBack(AdaptiveTest):
    """Images of text, of which hardly a frame stands alone."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        source = random.Random(12)
        words = [source.randbytes(source.randrange(4, 12)) for _ in range(3000)]

        def text(n_bytes):
            return b" ".join(source.choices(words, k=n_bytes // 5))[:n_bytes]

        content = text(cls.image_mib * MIB)
        cls.image_a = cls.lab.folder / "text.a"
        cls.image_a.write_bytes(content)
        content = bytearray(content[-3 * BLOCK:] + content[:-3 * BLOCK])
        cls.new_blocks = sorted(source.sample(range(100, len(content) // BLOCK, 20), 12))
        for block in cls.new_blocks:
            content[block * BLOCK:(block + 1) * BLOCK] = text(BLOCK)
        content[50 * BLOCK:60 * BLOCK] = bytes(10 * BLOCK)
        cls.image_b = cls.lab.folder / "text.b"
        cls.image_b.write_bytes(content)
        cls.payload = create_payload(cls.lab.folder / "text.payload", cls.image_b, cls.key)
        cls.n_payload = cls.payload.stat().st_size
        shown = json.loads(run([program("update-payload"), "show", "--json", cls.payload]).stdout)
        assert set(shown["partitions"][0]["operations"]) == {"REPLACE_ZSTD_PREFIX"}

    def test_less_is_sent_and_less_is_fetched(self):
        alone = create_payload(self.lab.folder / "text.alone", self.image_b, self.key,
                               frame_prefix="0")
        self.assertLess(self.n_payload, alone.stat().st_size * 0.95)
        told = [self.estimate(payload) for payload in (self.payload, alone)]
        self.assertLess(told[0]["lacking_bytes"], told[1]["lacking_bytes"] * 0.95)
        machine, server = self.offered()
        machine.flipside("update")
        self.assert_installed(machine)
        server.wait_until_idle()
        n_told = told[0]["fetched_by_parts"]["size_bytes"]
        self.assertGreaterEqual(server.bytes_sent(), n_told)
        self.assertLess(server.bytes_sent(), n_told * 1.05)

    def test_all_of_it_at_once(self):
        machine, server = self.offered()
        server.has_ranges = False
        machine.flipside("update")
        self.assert_installed(machine)
        self.assertEqual(machine.status()["fetch_way"], "whole")

    def test_rot_before_what_is_fetched(self):
        """Blocks to which frames refer that are fetched, and which the slot's tree promises."""
        machine, server = self.offered(image=self.old_slot("rotten.img"))
        with open(machine.disk, "r+b") as disk:
            for block in self.new_blocks[::3]:
                frame = block // 4 * 4  # its frame's first; the source has it three before
                disk.seek(machine.places["USR-A"]["start"] + (frame - 1 - 3) * BLOCK)
                disk.write(random.Random(block).randbytes(BLOCK))
        machine.running_before = machine.slot_sha256("USR-A")
        machine.flipside("update")
        self.assert_installed(machine)
        server.wait_until_idle()
        self.assertEqual(machine.status()["fetch_way"], "adaptive")
        self.assertGreater(server.bytes_sent(), self.n_payload // 4)  # some operations, whole
        self.assertLess(server.bytes_sent(), self.n_payload)


class MetadataSize(AdaptiveTest):
    """An offer that tells it saves a request, and does not change what is accepted."""

    def test_one_request_for_header_and_metadata(self):
        machine, server = self.offered(metadata_size=self.n_signed())
        machine.flipside("update")
        self.assert_installed(machine)
        server.wait_until_idle()
        self.assertEqual(server.asked[0], f"bytes=0-{self.n_signed() + 1023}")
        self.assertIn(",", server.asked[1])
        without, _ = self.fetched()
        self.assertEqual(len(server.asked), len(without.asked) - 1)
        self.assertLess(server.bytes_sent(), without.bytes_sent() + 1024)
        self.assertEqual(machine.status()["fetch_way"], "adaptive")

    def fetched(self, payload=None, **more):
        machine, server = self.offered(payload, **more)
        machine.flipside("update")
        self.assert_installed(machine)
        server.wait_until_idle()
        return server, machine

    def test_a_signature_that_is_longer(self):
        """By five keys: what the header says is fetched, from the start."""
        keys = [self.key, *(self.lab.make_key(f"more-{i}")[0] for i in range(4))]
        payload = create_payload(self.lab.folder / "signed.payload", self.image_b, *keys)
        n_signed, n_metadata = self.n_signed(payload), self.n_metadata(payload)
        self.assertGreater(n_metadata, n_signed + 1024)
        server, _ = self.fetched(payload, metadata_size=n_signed)
        self.assertEqual(server.asked[:2], [f"bytes=0-{n_signed + 1023}",
                                            f"bytes=0-{n_metadata - 1}"])

    def test_hardly_more_than_metadata(self):
        """What would be the whole file is not asked for as a part of it."""
        image = self.lab.folder / "zeros.img"
        image.write_bytes(bytes(self.image_mib * MIB))
        payload = create_payload(self.lab.folder / "zeros.payload", image, self.key)
        self.assertLess(payload.stat().st_size, self.n_signed(payload) + 1024)
        machine, server = self.offered(payload, metadata_size=self.n_signed(payload))
        machine.flipside("update")
        self.assert_installed(machine, image)
        self.assertEqual(server.asked[0], "bytes=0-23")

    def test_a_server_without_ranges(self):
        machine, server = self.offered(metadata_size=self.n_signed())
        server.has_ranges = False
        machine.flipside("update")
        self.assert_installed(machine)
        self.assertEqual(machine.status()["fetch_way"], "whole")

    def test_lies(self):
        """The header rules, and nothing behind the request that it ended is asked for."""
        for size in (1, 24, self.n_signed() - 1, self.n_signed() + 1, self.n_metadata(),
                     self.n_payload):
            with self.subTest(size=size):
                machine, server = self.offered(metadata_size=size)
                done = machine.flipside("update", check=False)
                line = self.assert_refused(machine, done, [METADATA_SIZE])
                self.assertIn(f"metadata of {self.n_signed()} bytes, but {size} were", line)
                self.assertEqual(len(server.asked), 1)


class Lies(AdaptiveTest):
    def test_each_part_that_is_fetched_altered(self):
        """One byte of each range behind the metadata, one after the other."""
        machine, server = self.offered()
        machine.flipside("update")
        server.wait_until_idle()
        ranges = [(int(first), int(last)) for asked in server.asked
                  for first, last in re.findall(r"(\d+)-(\d+)", asked)]
        ranges = [(first, last) for first, last in ranges if first >= self.n_metadata()]
        self.assertGreater(len(ranges), 8)
        content = self.payload.read_bytes()
        for first, last in ranges:
            with self.subTest(first=first):
                damaged = bytearray(content)
                damaged[(first + last) // 2] ^= 0x20
                bad = self.lab.folder / "b.payload.bad"
                bad.write_bytes(damaged)
                machine, server = self.offered()
                server.files[self.payload.name] = bad
                done = machine.flipside("update", check=False)
                self.assert_refused(machine, done, [OPERATION_HASH])

    def test_blocks_of_the_running_slot_rotten(self):
        """After its tree was made: what the tree promises is not there."""
        old = self.old_slot("rotten.img")
        for source in range(4):
            with self.subTest(seed=source):
                machine, server = self.offered(image=old)
                at = random.Random(source).randrange(self.image_mib * MIB // BLOCK - 64)
                with open(machine.disk, "r+b") as disk:
                    disk.seek(machine.places["USR-A"]["start"] + at * BLOCK)
                    disk.write(random.Random(source).randbytes(BLOCK * (1 + 20 * source)))
                machine.running_before = machine.slot_sha256("USR-A")
                machine.flipside("update")
                self.assert_installed(machine)
                server.wait_until_idle()
                self.assertLess(server.bytes_sent(), self.n_payload // 2)

    def test_a_server_without_ranges(self):
        machine, server = self.offered()
        server.has_ranges = False
        machine.flipside("update")
        self.assert_installed(machine)
        self.assertEqual(machine.status()["fetch_way"], "whole")
        self.assertRegex(machine.log.read_text(), "fetching all .* MB: the server does not answer")

    def test_a_server_that_loses_its_ranges(self):
        """All is fetched though less was planned: that is said."""
        machine, server = self.offered()

        def get(handler):
            server.has_ranges = len(server.sent) < 2
            server._serve(handler)

        server.get = get
        server.rate_bytes_per_sec = 8 * MIB
        machine.flipside("update")
        self.assert_installed(machine)
        self.assertRegex(machine.log.read_text(), "fetching all .* MB: .*with the whole file")
        self.assertEqual(machine.status()["bytes_to_fetch"], self.n_payload)

    def test_another_file_in_between(self):
        """The next release under the same name, when the metadata has been taken."""
        other = self.lab.make_image("other.img", self.image_mib, seed=77)
        payload = create_payload(self.lab.folder / "other.payload", other, self.key)
        machine, server = self.offered()

        def get(handler):
            if len(server.sent) == 2:
                server.files[self.payload.name] = payload
            server._serve(handler)

        server.get = get
        done = machine.flipside("update", check=False)
        self.assert_refused(machine, done)


class Budget(AdaptiveTest):
    def deferred(self, budget, image=None, has_ranges=True):
        """A machine with a bootable other slot, whose check has come to the end that is told."""
        machine, server = self.machine(**({"image": image} if image else {})), self.server()
        server.parts, server.has_ranges = "all of them", has_ranges
        write_at(machine.disk, machine.places["USR-B"]["start"], self.image_a)
        machine.slotctl("mark-good", "USR-B")
        machine.before = machine.slot_sha256("USR-B"), table_bytes(machine.disk)
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0, DOWNLOAD_BUDGET=budget)
        server.offer(self.payload)
        self.check_again(machine, server)
        return machine, server

    def check_again(self, machine, server):
        n_events = len(self.deferrals(server))
        machine.start_engine()
        wait_for("the event", lambda: len(self.deferrals(server)) > n_events, logs=[machine.log])
        machine.wait_for_phase("idle")

    def deferrals(self, server):
        return [attributes for kind, result, attributes in server.events()
                if (kind, result) == ("3", "9")]

    def assert_deferred(self, machine, server):
        self.assertEqual({event["errorcode"] for event in self.deferrals(server)}, {"36"})
        self.assertEqual((machine.slot_sha256("USR-B"), table_bytes(machine.disk)), machine.before)
        self.assert_untouched(machine)
        status = machine.status()
        self.assertRegex(status["deferred"], r"^version 2.0.0 would fetch \S+ .B, more than the")
        self.assertEqual((status["phase"], status["last_error"]), ("idle", ""))
        self.assertIn("Waits: ", machine.flipside("status").stdout)

    def test_too_much_waits_and_nothing_is_touched(self):
        machine, server = self.deferred("100K")
        self.assert_deferred(machine, server)
        server.wait_until_idle()
        n_sent = server.bytes_sent()
        self.assertLess(n_sent, self.n_metadata() + 1024)
        for _ in range(2):
            machine.stop_engine()
            self.check_again(machine, server)
            self.assert_deferred(machine, server)
        server.wait_until_idle()
        self.assertEqual(server.bytes_sent(), n_sent, "the metadata was fetched again")
        self.assertIn("deferred", machine.flipside("history").stdout)
        # A person may; and what was kept is of use.
        machine.flipside("update")
        self.assert_installed(machine)
        status = machine.status()
        self.assertEqual((status["deferred"], status["fetch_way"]), ("", "adaptive"))
        server.wait_until_idle()
        self.assertLess(server.bytes_sent(), self.n_payload // 8)

    def test_what_can_be_afforded_is_installed(self):
        machine, server = self.machine(), self.server()
        server.parts = "all of them"
        server.offer(self.payload)
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0, DOWNLOAD_BUDGET="1M")
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assertEqual(self.deferrals(server), [])

    def test_all_of_it_is_too_much(self):
        """Nothing to save by, and no end of a stream: without ranges, and with another image."""
        other = self.lab.make_image("other.img", self.image_mib, seed=77)
        for more in ({"has_ranges": False}, {"image": other}):
            with self.subTest(**more):
                machine, server = self.deferred("1M", **more)
                self.assert_deferred(machine, server)
                machine.stop_engine()
                server.wait_until_idle()
                n_sent = server.bytes_sent()
                self.check_again(machine, server)
                self.assert_deferred(machine, server)
                server.wait_until_idle()
                self.assertEqual(server.bytes_sent(), n_sent)
                machine.flipside("update")
                self.assert_installed(machine)
                self.assertEqual(machine.status()["fetch_way"], "whole")

    def test_a_larger_budget_lets_it_go_on(self):
        machine, server = self.deferred("100K")
        machine.stop_engine()
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0, DOWNLOAD_BUDGET="1M")
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)


class KilledAnywhere(AdaptiveTest):
    """kill -9 at random moments. FLIPSIDE_SEED repeats a run."""

    def test_at_twenty_moments(self):
        seed = os.environ.get("FLIPSIDE_SEED") or str(random.SystemRandom().randrange(1 << 32))
        print(f"# FLIPSIDE_SEED={seed}", flush=True)
        source, phases = random.Random(seed), {}
        for kill in range(N_KILLS):
            with self.subTest(kill=kill + 1):
                self.one(source, phases)
        print(f"# killed in {phases}")

    def one(self, source, phases):
        machine, server = self.machine(), self.server()
        server.parts = source.choice([None, "all of them"])
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        server.offer(self.payload, metadata_size=source.choice([None, self.n_signed()]))
        server.rate_bytes_per_sec = 100_000
        goal = source.randrange(self.n_payload // 12)
        machine.start_engine()
        wait_for("the moment", lambda: server.bytes_sent() >= goal
                 or machine.phase() == "need-reboot", logs=[machine.log])
        phase = machine.phase()
        phases[phase] = phases.get(phase, 0) + 1
        machine.kill_engine()
        if machine.slots()["USR-B"].is_bootable:
            self.assert_holds(machine, "USR-B", self.image_b)
        server.rate_bytes_per_sec = 0
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        machine.kill_engine()


if __name__ == "__main__":
    main()
