#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Slots that describe themselves, under the engine: what flipside shows of them, installs that put
the trailer to the slot's end, and rollbacks that hold the slot against it and against nothing else."""
import hashlib
import json

from lab import MIB, main
from machine import overwrite
from machine_test import MachineTest, create_payload
from payload import Payload
from slot_image import BLOCK, slot_image

DONE, FAILED, USAGE, NOTHING, NO_DAEMON, REFUSED = range(6)
KERNEL = b"a kernel" * 1000
FS_BYTES = 8 * MIB


class Trailers(MachineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contents, cls.payloads = {}, {}
        for version, fs in {"1.0.0": cls.image_a, "2.0.0": cls.image_b}.items():
            content = slot_image(fs.read_bytes(), "demo", version, uki=KERNEL)
            image = cls.lab.folder / f"{version}.img"
            image.write_bytes(content)
            cls.contents[version] = content
            cls.payloads[version] = create_payload(cls.lab.folder / f"{version}.payload", image,
                                                   cls.key, version=version)

    def fill(self, machine, label, version):
        """As who writes a slot by hand: the trailer at its end."""
        place, content = machine.places[label], self.contents[version]
        overwrite(machine.disk, place["start"], content[:-BLOCK])
        overwrite(machine.disk, place["start"] + place["size"] - BLOCK, content[-BLOCK:])

    def start(self):
        """Runs 1.0.0 from USR-A."""
        machine = self.machine(image=None)
        self.fill(machine, "USR-A", "1.0.0")
        machine.running_before = machine.slot_sha256("USR-A")
        machine.start_engine()
        return machine

    def reboot(self, machine, version):
        machine.versions[machine.slotctl("next").stdout.split()[0]] = version
        machine.reboot()
        machine.slotctl("mark-good", machine.running)
        machine.running_before = machine.slot_sha256(machine.running)
        machine.start_engine()

    def names(self, machine):
        return {slot["label"]: (slot["product"], slot["version"])
                for slot in machine.status()["slots"]}

    def records(self, machine):
        return json.loads((machine.state / "state.json").read_text())["slots"]

    def damage(self, machine, label, offset):
        overwrite(machine.disk, machine.places[label]["start"] + offset, b"damage")

    def refuses(self, machine, status, words):
        before = machine.slots()
        done = machine.flipside("rollback", check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(machine.slots(), before)

    def test_both_slots_are_named(self):
        machine = self.start()
        self.assertEqual(self.names(machine), {"USR-A": ("demo", "1.0.0"), "USR-B": ("", "")})
        machine.flipside("install", self.payloads["2.0.0"])
        named = {"USR-A": ("demo", "1.0.0"), "USR-B": ("demo", "2.0.0")}
        self.assertEqual(self.names(machine), named)
        text = machine.flipside("status").stdout
        self.assertRegex(text, r"(?m)^USR-A +demo +1\.0\.0 ")
        self.assertRegex(text, r"(?m)^USR-B +demo +2\.0\.0 ")
        shown = json.loads(machine.slotctl("status", "--json").stdout)["slots"]
        self.assertEqual({s["label"]: (s["product"], s["version"]) for s in shown}, named)
        self.assertIn("holds demo 2.0.0 whole", machine.slotctl("verify", "USR-B").stdout)
        # Without the daemon the slots say the same of themselves.
        machine.stop_engine()
        done = machine.flipside("--disk", machine.disk, "status", "--json", check=False)
        self.assertEqual({s["label"]: (s["product"], s["version"])
                          for s in json.loads(done.stdout)["slots"]}, named)

    def test_what_is_written_is_the_image_and_its_trailer_at_the_end(self):
        machine = self.start()
        machine.flipside("install", self.payloads["2.0.0"])
        content, place = self.contents["2.0.0"], machine.places["USR-B"]
        self.assertEqual(machine.slot_sha256("USR-B", len(content)),
                         hashlib.sha256(content).hexdigest())
        with open(machine.disk, "rb") as disk:
            disk.seek(place["start"] + place["size"] - BLOCK)
            self.assertEqual(disk.read(BLOCK), content[-BLOCK:])
        self.assert_untouched(machine)

    def test_a_running_slot_that_describes_itself_is_not_read_before_an_install(self):
        machine = self.start()
        machine.flipside("install", self.payloads["2.0.0"])
        self.assertNotIn("USR-A", self.records(machine))

    def test_rollback_needs_no_record(self):
        machine = self.start()
        machine.flipside("install", self.payloads["2.0.0"])
        self.reboot(machine, "2.0.0")
        self.assertIn("back to version 1.0.0", machine.flipside("rollback").stdout)
        self.reboot(machine, "1.0.0")
        self.assertEqual(machine.running, "USR-A")

    def test_rollback_to_a_slot_that_somebody_wrote(self):
        machine = self.start()
        machine.flipside("install", self.payloads["2.0.0"])
        self.reboot(machine, "2.0.0")
        machine.flipside("rollback")
        self.reboot(machine, "1.0.0")
        # The record still says 2.0.0 of it.
        self.assertEqual(self.records(machine)["USR-B"]["version"], "2.0.0")
        self.fill(machine, "USR-B", "1.0.0")
        self.assertIn("back to version 1.0.0", machine.flipside("rollback").stdout)

    def test_rollback_to_a_slot_that_is_rotten_is_refused(self):
        kernel_at = FS_BYTES + len(self.contents["1.0.0"]) - FS_BYTES - BLOCK - 8192
        for offset, words in ((5 * MIB + 5, "block"), (FS_BYTES + 5, "block"),
                              (kernel_at, "the kernel image does not match")):
            with self.subTest(words):
                machine = self.start()
                machine.flipside("install", self.payloads["2.0.0"])
                self.reboot(machine, "2.0.0")
                self.damage(machine, "USR-A", offset)
                self.refuses(machine, FAILED, "USR-A no longer holds version 1.0.0 whole")
                self.assertIn(words, machine.property("LastError"))
                machine.stop_engine()

    def test_rollback_to_a_slot_whose_trailer_is_damaged_is_refused(self):
        machine = self.start()
        machine.flipside("install", self.payloads["2.0.0"])
        self.reboot(machine, "2.0.0")
        self.damage(machine, "USR-A", machine.places["USR-A"]["size"] - 1000)
        self.refuses(machine, REFUSED, "its trailer has a wrong checksum")
        self.assertEqual(self.names(machine)["USR-A"], ("", ""))

    def test_a_payload_whose_trailer_is_not_true_is_refused(self):
        machine = self.start()
        self.fill(machine, "USR-B", "1.0.0")
        payload = Payload(self.contents["1.0.0"], version="2.0.0").write(
            self.lab.folder / "lies.payload", self.key)
        done = machine.flipside("install", payload, check=False)
        self.assertIn("the trailer of its image says demo 1.0.0",
                      self.assert_refused(machine, done, [23]))


if __name__ == "__main__":
    main()
