#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The boot chooser under a real firmware, on every kind of disk, with everything that it must
refuse."""
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from chooser_test import (BOOT, BUSES, GOOD, KERNEL_AT, NEW, PAYLOADS, SLOT_MIB,  # noqa: E402
                          ChooserTest, Disk, changed, kernel, priorities, slot, uuid_of,
                          without_trailer)
from distribution import find_tool  # noqa: E402
from gpt_image import attributes  # noqa: E402
from lab import MIB, main, run  # noqa: E402
from qemu import VARIABLES  # noqa: E402
from slot_image import BLOCK, trailer  # noqa: E402

SNAKEOIL_VARIABLES = VARIABLES.replace(".fd", ".snakeoil.fd")
SNAKEOIL = Path("/usr/share/ovmf/PkKek-1-snakeoil.key")


class Chooser(ChooserTest):
    def test_every_kind_of_disk(self):
        for bus in BUSES:
            with self.subTest(bus=bus):
                sector = 4096 if "4096" in bus else 512
                self.make({"USR-A": (slot(), GOOD), "USR-B": (slot(), NEW)}, sector)
                said = self.boot(bus)
                self.assertEqual(said, [
                    "flipside: USR-B is chosen: priority 2, tries 3, of which one is spent now",
                    "flipside: USR-B is started: demo 2.0.0", f"payload: {uuid_of('USR-B')}"])
                self.assertEqual(self.disk.bits("USR-B"), attributes(2, 2))
                self.assertEqual(self.disk.bits("USR-A"), GOOD)

    def test_every_way_to_be_wrong(self):
        refused = "the firmware refuses its kernel image: "
        file_refused = "the firmware refuses \\EFI\\flipside\\{}.efi, which it has instead of a " \
                       "kernel image of its own: "
        other_machine = (BOOT / "chooseraa64.efi").read_bytes()
        wrong = {
            "ALTERED": (changed(slot(), KERNEL_AT + 1000), "its kernel image has a wrong checksum"),
            "CUT": (changed(slot(), KERNEL_AT + 1024, bytes(1024)),
                    "its kernel image has a wrong checksum"),
            "CUT-BEFORE": (slot(kernel()[:1024]), refused),
            "OTHER-MACHINE": (slot(other_machine), refused + "not an image for this machine"),
            "TEXT": (slot(b"#!/bin/sh\n" * 100), refused),
            "TRAILER": (changed(slot(), -1000), "its trailer has a wrong checksum"),
            "KERNEL-PAST-END": (slot(uki_offset=SLOT_MIB * MIB - BLOCK),
                                "its trailer describes a kernel image that cannot be"),
            "NO-FILE": (without_trailer(), file_refused.format("NO-FILE") + "not found"),
            "NO-KERNEL": (slot(b""), file_refused.format("NO-KERNEL") + "not found"),
            "CUT-FILE": (without_trailer(), file_refused.format("CUT-FILE")),
            "no name": (without_trailer(), "it has no kernel image, and its label is no name for"),
        }
        bits = priorities(len(wrong))
        slots = {label: (content, bits[i]) for i, (label, (content, _)) in enumerate(wrong.items())}
        slots["USR-A"] = (slot(), GOOD)
        self.make(slots, esp=self.esp({"CUT-FILE": kernel()[:1024], "USR-A": kernel()}))
        said = self.boot()
        self.assert_started(said, "USR-A")
        for label, (_, reason) in wrong.items():
            with self.subTest(label):
                self.assert_demoted(said, label, reason)

    def test_kernels_that_come_back_and_a_file_on_a_full_esp(self):
        back = kernel("payload-that-returns.efi")
        self.make({"USR-A": (without_trailer(), GOOD), "USR-B": (slot(back), NEW)},
                  esp=self.esp({"USR-A": kernel()}, is_full=True))
        said = self.boot(until=re.compile(rf"payload: {uuid_of('USR-A')}\r?\n"))
        self.assert_said(said, "USR-B is started", f"payload: {uuid_of('USR-B')}",
                         "USR-B came back: aborted (status 15)", "USR-A is chosen: priority 1",
                         r"USR-A is started: \EFI\flipside\USR-A.efi")
        self.assert_started(said, "USR-A")
        self.assertEqual(self.disk.bits("USR-B"), attributes(2, 2))
        self.assertEqual(self.disk.bits("USR-A"), attributes(1, 0, True, 1))

    def test_a_disk_that_cannot_be_written(self):
        self.make({"USR-A": (slot(), GOOD), "USR-B": (slot(), NEW)})
        before = self.disk.path.read_bytes()
        said = self.boot(options=",readonly=on")
        self.assert_said(said, "USR-B is chosen", "so no try can be spent", "USR-A is chosen")
        self.assert_started(said, "USR-A")
        self.assertEqual(self.disk.path.read_bytes(), before)

    def test_the_last_slot_keeps_its_priority(self):
        self.make({"USR-A": (changed(slot(), KERNEL_AT), GOOD), "USR-B": (slot(b"none"), NEW)})
        said = self.boot()
        self.assert_said(said, "USR-B cannot be loaded",
                         "USR-A cannot be loaded: its kernel image has a wrong checksum; it keeps "
                         "its priority, as no other slot could boot",
                         "the boot disk has no slot left")
        self.assertEqual(self.disk.bits("USR-A"), attributes(1, 0, True, 1))
        self.assertEqual(self.disk.bits("USR-B"), 0)

    def test_the_table_is_rebuilt_from_its_backup(self):
        """EDK2 repairs a primary whose checksum is wrong before any application runs; where the
        other copy is, it believes."""
        self.make({"USR-A": (slot(), GOOD), "USR-B": (slot(), NEW)}, primary={"other": 1 << 40})
        said = self.boot()
        self.assert_said(said, "the primary copy of the partition table places the other copy "
                         "where it cannot be; it is rebuilt from the backup")
        self.assert_started(said, "USR-B")
        self.assertEqual(self.disk.bits("USR-B"), attributes(2, 2))


class Refusals(ChooserTest):
    def test_tables_that_cannot_be(self):
        """EDK2 shows no partitions of such a disk, so it would start no chooser from it. One that
        came from another disk looks at them all. It is EDK2 that writes to the last of these: a
        backup, where the primary says that it is."""
        tables = [{"n_entries": 0xffffffff}, {"n_entries": 0}, {"n_entries": 1 << 25},
                  {"entry_size": 0}, {"entry_size": 1 << 31}, {"entry_size": 129},
                  {"first": 5000, "last": 100}, {"last": 1 << 63}, {"table": 1 << 40}, {"table": 0},
                  {"other": 1 << 40}, {"header_size": 513}, {"header_size": 16},
                  {"revision": 0x20000}, {"other": 0}]
        wrong = [Disk(self.lab.folder / f"wrong-{number}", {"USR-B": (slot(), NEW)}, primary=table,
                      backup=table) for number, table in enumerate(tables)]
        before = [disk.path.read_bytes() for disk in wrong]
        right = Disk(self.lab.folder / "right", {"USR-A": (slot(), GOOD)})
        self.make({})
        said = self.boot(more=[*wrong, right])
        self.assert_started(said, "USR-A")
        self.assertEqual(right.bits("USR-A"), attributes(1, 0, True, 1))
        for disk, content, table in zip(wrong[:-1], before, tables):
            self.assertTrue(disk.path.read_bytes() == content, table)

    def test_a_table_that_the_firmware_takes_alone(self):
        """With such a primary EDK2 shows no partitions, although the backup is good. The chooser's
        own opinion is tested where no firmware is in between (tests/unit/boot)."""
        self.make({"USR-A": (slot(), GOOD)}, primary={"first": 5000, "last": 100})
        self.assertEqual(self.boot(), [])
        self.assertTrue(self.is_in_firmware)

    def test_a_table_that_the_firmware_repairs(self):
        """Before the chooser runs EDK2 has rebuilt a primary or backup whose checksum is wrong."""
        for copy in ("primary", "backup"):
            with self.subTest(copy):
                self.make({"USR-A": (slot(), GOOD), "USR-B": (slot(), NEW)},
                          **{copy: {"entries_crc": 0x12345678}})
                said = self.boot()
                self.assert_started(said, "USR-B")
                self.assertNotIn("is rebuilt", " ".join(said))
                self.assertEqual(self.disk.bits("USR-B"), attributes(2, 2))

    def test_two_disks_with_slots_that_are_not_its_own(self):
        others = [Disk(self.lab.folder / name, {"USR-A": (slot(), GOOD)}) for name in "ab"]
        before = [disk.path.read_bytes() for disk in others]
        self.make({})
        said = self.boot(more=others)
        self.assert_said(said, "both have slots; start from the ESP of the one that is meant")
        self.assertEqual([disk.path.read_bytes() for disk in others], before)

    def test_no_disk_with_slots(self):
        self.make({})
        self.assert_said(self.boot(), "the boot disk has no slot: no partition is of type "
                         "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6; and no other disk has slots")

    def test_no_slot_left_goes_back_to_the_firmware(self):
        self.make({"USR-A": (slot(), attributes(0, 3, True)), "USR-B": (slot(), attributes(2))})
        before = self.disk.path.read_bytes()
        said = self.boot(until=re.compile("Interactive Shell"))
        self.assert_said(said, "has no slot left that could boot")
        self.assertEqual(self.disk.path.read_bytes(), before)

    def test_a_good_slot_that_does_not_come_up(self):
        self.make({"USR-A": (slot(), GOOD), "USR-B": (slot(), attributes(2, 0, True))})
        for n_starts in range(4):
            said = self.boot()
            self.assert_said(said, "USR-B is chosen: priority 2, successful, "
                             f"started {n_starts} times")
            self.assert_started(said, "USR-B")
        self.assert_started(self.boot(), "USR-A")
        self.assertEqual(self.disk.bits("USR-B"), attributes(2, 0, True, 4))

    def test_a_kernel_that_is_larger_than_the_memory(self):
        n_bytes = 600 * MIB
        self.make({"USR-A": (slot(), GOOD), "USR-B": (bytes(n_bytes + MIB), NEW)})
        end = trailer(BLOCK, "demo", "2.0.0", uki=bytes(n_bytes), uki_offset=BLOCK)
        with open(self.disk.path, "r+b") as disk:
            disk.seek(self.disk.starts["USR-B"] + n_bytes + MIB - len(end))
            disk.write(end)
        said = self.boot()
        self.assert_said(said, "USR-B cannot be loaded: there is no memory for its kernel image of "
                         f"{n_bytes} bytes", "USR-A is started")
        self.assertEqual(self.disk.bits("USR-B"), attributes(2, 2))

    def test_writes_that_fail(self):
        """The disk reports an error at the first write to the backup, or to the primary."""
        for what in ("backup", "primary"):
            with self.subTest(what):
                self.make({"USR-A": (slot(), GOOD), "USR-B": (slot(), NEW)})
                n_sectors = self.disk.path.stat().st_size // 512
                sector = 2 if what == "primary" else n_sectors - 33
                said = self.boot(fails_at=sector)
                self.assert_said(said, "USR-B is chosen", "writing the partition table failed: "
                                 "the device reports an error; so no try can be spent",
                                 "USR-A is chosen")
                self.assert_started(said, "USR-A")

    def test_secure_boot(self):
        """With a key of which everybody knows the private half."""
        for need in (SNAKEOIL, Path(SNAKEOIL_VARIABLES)):
            if not need.exists() or not find_tool("sbsign"):
                self.skipTest(f"{need} or sbsign is not there")
        sign = self.signer()
        kernel_file, chooser = sign(PAYLOADS / "payload.efi"), sign(BOOT / "chooserx64.efi")
        signed = kernel_file.read_bytes()
        self.make({"SIGNED": (slot(signed), GOOD), "NOT-SIGNED": (slot(), NEW),
                   "ALTERED": (slot(changed(signed, 600)), attributes(3, 1)),
                   "FILE": (without_trailer(), attributes(4, 1))},
                  esp=self.esp({"FILE": kernel()}, chooser=chooser))
        said = self.boot(variables=SNAKEOIL_VARIABLES)
        self.assert_started(said, "SIGNED")
        for label in ("NOT-SIGNED", "ALTERED"):
            self.assert_demoted(said, label, "the firmware refuses its kernel image: not signed by "
                                "a key that this machine trusts")
        self.assert_demoted(said, "FILE", r"the firmware refuses \EFI\flipside\FILE.efi")
        # And the chooser itself.
        self.make({"SIGNED": (slot(signed), GOOD)})
        self.assertEqual(self.boot(variables=SNAKEOIL_VARIABLES), [])

    def signer(self):
        key, certificate = self.lab.folder / "key.pem", SNAKEOIL.with_suffix(".pem")
        run(["openssl", "pkey", "-in", SNAKEOIL, "-passin", "pass:snakeoil", "-out", key])

        def sign(path):
            signed = self.lab.folder / f"signed-{path.name}"
            run(["sbsign", "--key", key, "--cert", certificate, "--output", signed, path])
            return signed
        return sign


if __name__ == "__main__":
    main()
