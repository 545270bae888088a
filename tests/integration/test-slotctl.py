#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""slotctl on disk images: what it says of good, damaged and ambiguous tables, and that sgdisk
accepts and reads every change that it makes."""
import json
import unittest

from lab import Lab, main, program, run
from machine import (SLOT_TYPE, damage_backup, damage_primary, make_disk, overwrite, partition,
                     slots_of, table_problems, wipe_table)
from slot_image import BLOCK, hash_tree, slot_image

DAMAGED, NO_SLOT, ROTTEN, UNVERIFIABLE = 3, 4, 5, 6


FS = b"".join(n.to_bytes(8, "little") * (BLOCK // 8) for n in range(300))


def put_slot(disk, number, image):
    """The image's trailer ends the partition, too, as an installer puts it there."""
    place = partition(disk, number)
    overwrite(disk, place["start"], image)
    overwrite(disk, place["start"] + place["size"] - BLOCK, image[-BLOCK:])


def slotctl(disk, *args, check=True):
    return run([program("slotctl"), "--disk", disk, *args], check=check)


class Slotctl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.n_disks = 0

    def disk(self):
        type(self).n_disks += 1
        return make_disk(self.lab.folder, self.lab.folder / f"{self.n_disks}.img", 4)

    def complains(self, disk, *words):
        """Every verb refuses in one line that holds the words, and writes nothing."""
        whole = disk.read_bytes()
        for verb in (["status"], ["next"], ["prioritize", "USR-B"], ["mark-good", "USR-A"],
                     ["mark-bad", "USR-B"], ["repair"]):
            with self.subTest(verb=verb[0]):
                done = slotctl(disk, *verb, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)
        self.assertEqual(disk.read_bytes(), whole, "the disk was written")

    def test_no_table(self):
        disk = self.disk()
        wipe_table(disk)
        self.complains(disk, "GPT")

    def test_both_copies_bad(self):
        disk = self.disk()
        damage_primary(disk)
        damage_backup(disk)
        self.complains(disk, "GPT")

    def test_two_slots_of_one_label(self):
        disk = self.disk()
        run(["sgdisk", "--change-name=3:USR-A", disk])
        self.complains(disk, "USR-A")

    def test_no_slots(self):
        disk = self.disk()
        run(["sgdisk", "--typecode=2:8300", "--typecode=3:8300", disk])
        self.complains(disk, "slot")

    def test_a_bad_copy_is_told_and_the_other_serves(self):
        for damage in (damage_primary, damage_backup):
            with self.subTest(damage=damage.__name__):
                disk = self.disk()
                damage(disk)
                for verb in ("status", "verify"):
                    self.assertEqual(slotctl(disk, verb, check=False).returncode, DAMAGED)
                self.assertEqual(slotctl(disk, "next").stdout.split()[0], "USR-A")

    def disk_with_slots(self):
        """A holds 1.0.0 and B 2.0.0, with a kernel."""
        disk = self.disk()
        for number, version in (2, "1.0.0"), (3, "2.0.0"):
            put_slot(disk, number, slot_image(FS, version=version))
        return disk

    def verdict(self, disk, slot):
        done = slotctl(disk, "verify", slot, check=False)
        return done.returncode, done.stderr.strip()

    def test_status_says_what_the_slots_hold(self):
        disk = self.disk_with_slots()
        lines = slotctl(disk, "status").stdout.splitlines()
        for label, version in ("USR-A", "1.0.0"), ("USR-B", "2.0.0"):
            self.assertTrue(any({label, "demo", version} <= set(line.split()) for line in lines))
        slots = {slot["label"]: slot for slot in
                 json.loads(slotctl(disk, "status", "--json").stdout)["slots"]}
        self.assertEqual(slots["USR-B"]["product"], "demo")
        self.assertEqual(slots["USR-B"]["version"], "2.0.0")
        self.assertEqual(slots["USR-B"]["trailer"], "valid")

    def test_whole_slots_are_verified(self):
        disk = self.disk_with_slots()
        root = hash_tree(FS, b"salt")[1].hex()
        for label, version in ("USR-A", "1.0.0"), ("USR-B", "2.0.0"):
            done = slotctl(disk, "verify", label)
            self.assertIn(f"{label} holds demo {version} whole, root hash {root}", done.stdout)
        done = json.loads(slotctl(disk, "--slot", "USR-B", "--json", "verify").stdout)
        self.assertEqual([slot.get("verified") for slot in done["slots"]], [None, "good"])

    def test_wrong_bytes_are_found_where_they_are(self):
        tree_at, uki_at = len(FS), len(FS) + len(hash_tree(FS)[0])
        for at, words in ((0, "block 0 of"), (77 * BLOCK + 4095, "block 77 of"),
                          (tree_at + BLOCK, "hash tree"), (uki_at + 5, "kernel")):
            with self.subTest(at=at):
                disk = self.disk_with_slots()
                start = partition(disk, 3)["start"]
                overwrite(disk, start + at, bytes([disk.read_bytes()[start + at] ^ 1]))
                code, line = self.verdict(disk, "USR-B")
                self.assertEqual(code, ROTTEN)
                self.assertIn("USR-B is damaged: ", line)
                self.assertIn(words, line)
                self.assertEqual(self.verdict(disk, "USR-A"), (0, ""))
                self.assertEqual(slotctl(disk, "verify").returncode, 0, "it is about the table")

    def test_trailers_that_do_not_fit(self):
        for wrong, words in (({"root": bytes(31) + b"x"}, "does not match"),
                             ({"tree_offset": len(FS) + 1}, "hash tree that cannot be"),
                             ({"uki_offset": 0}, "kernel image that cannot be"),
                             ({"version": ""}, "no proper product and version")):
            with self.subTest(wrong=wrong):
                disk = self.disk()
                put_slot(disk, 3, slot_image(FS, **wrong))
                code, line = self.verdict(disk, "USR-B")
                self.assertEqual(code, ROTTEN)
                self.assertIn(words, line)

    def test_slots_that_cannot_be_verified(self):
        disk = self.disk()
        code, line = self.verdict(disk, "USR-B")
        self.assertEqual(code, UNVERIFIABLE)
        self.assertIn("no trailer", line)
        put_slot(disk, 3, slot_image(FS, tree=b"", root=b"", salt=b""))
        code, line = self.verdict(disk, "USR-B")
        self.assertEqual(code, UNVERIFIABLE)
        self.assertIn("no hash tree", line)
        self.assertEqual(self.verdict(disk, "USR-C")[0], 1)

    def test_a_rotten_slot_on_a_damaged_disk(self):
        disk = self.disk_with_slots()
        overwrite(disk, partition(disk, 3)["start"], b"rot")
        damage_backup(disk)
        code, lines = self.verdict(disk, "USR-B")
        self.assertEqual(code, ROTTEN)
        self.assertIn("the backup copy of the partition table", lines)

    def test_nothing_can_boot(self):
        disk = self.disk()
        run(["sgdisk", "--attributes=2:clear:48", disk])
        self.assertEqual(slotctl(disk, "next", check=False).returncode, NO_SLOT)

    def test_spending_tries(self):
        disk = self.disk()
        slotctl(disk, "prioritize", "USR-B", "--tries", "2")
        for label, tries in (("USR-B", 1), ("USR-B", 0), ("USR-A", 0)):
            self.assertEqual(slotctl(disk, "next", "--spend").stdout.split()[0], label)
            self.assertEqual(slots_of(disk)["USR-B"].tries, tries)
            self.assertEqual(table_problems(disk), "")

    def test_repair(self):
        for damage in (damage_primary, damage_backup):
            with self.subTest(damage=damage.__name__):
                disk = self.disk()
                before = [slots_of(disk), run(["sgdisk", "-i", "4", disk]).stdout]
                damage(disk)
                slotctl(disk, "repair")
                self.assertEqual(table_problems(disk), "")
                after = [slots_of(disk), run(["sgdisk", "-i", "4", disk]).stdout]
                self.assertEqual(str(before), str(after))

    def test_sgdisk_accepts_each_change_of_slotctl(self):
        disk = self.disk()
        a_only = {"USR-A": (1, 0, True), "USR-B": (0, 0, False)}
        self.assertEqual(slots_of(disk), a_only)
        for verb, label, check in (
                ("prioritize", "USR-B", lambda s: s["USR-B"].priority > s["USR-A"].priority > 0
                    and s["USR-B"].tries > 0),
                ("mark-good", "USR-B", lambda s: s["USR-B"].successful and s["USR-B"].tries == 0),
                ("prioritize", "USR-A", lambda s: s["USR-A"].priority > s["USR-B"].priority),
                ("mark-bad", "USR-B", lambda s: s["USR-B"] == (0, 0, False))):
            with self.subTest(verb=verb, label=label):
                slotctl(disk, verb, label)
                self.assertTrue(check(slots_of(disk)), slots_of(disk))
                self.assertEqual(table_problems(disk), "")
        self.assertNotEqual(slotctl(disk, "mark-bad", "USR-A", check=False).returncode, 0)
        self.assertTrue(slots_of(disk)["USR-A"].is_bootable)

    def test_other_entries_come_out_as_they_went_in(self):
        disk = self.disk()
        run(["sgdisk", "--attributes=4:set:63", "--attributes=3:set:2", "--attributes=3:set:61",
             "--change-name=1:\u00e4\u00f6 label", disk])
        before = [run(["sgdisk", "-i", n, disk]).stdout for n in ("1", "4")]
        slotctl(disk, "prioritize", "USR-B")
        self.assertEqual([run(["sgdisk", "-i", n, disk]).stdout for n in ("1", "4")], before)
        flags = run(["sgdisk", "-i", "3", disk]).stdout
        self.assertRegex(flags, "Attribute flags: 2.*4\\b")

    def test_a_third_slot_type_is_not_ours(self):
        disk = self.disk()
        run(["sgdisk", "--typecode=4:8300", disk])
        slots = json.loads(slotctl(disk, "status", "--json").stdout)
        self.assertNotIn("ROOT", json.dumps(slots))
        self.assertIn("USR-B", json.dumps(slots))
        self.assertEqual(run(["sgdisk", "-i", "2", disk]).stdout.lower().count(SLOT_TYPE), 1)


if __name__ == "__main__":
    main()
