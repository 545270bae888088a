#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Partition tables that are missing, damaged or ambiguous: what the daemon says, and that nothing
is written which should not be."""
import os

from lab import main, run
from machine import damage_backup, damage_primary, wipe_table
from machine_test import MachineTest


class Tables(MachineTest):
    def complains(self, machine, *words):
        """An install is refused in one line that holds the words, or the daemon says them and ends;
        nothing on the disk changes."""
        whole = machine.disk.read_bytes()
        machine.start_engine(wait=False)
        if machine.comes_up():
            done = machine.flipside("install", self.payload, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(machine.number("LastErrorCode"), 7)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            text = done.stderr
        else:
            self.assertNotEqual(machine.engine.returncode, 0)
            text = machine.log.read_text()
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(machine.disk.read_bytes(), whole, "the disk was written")

    def test_no_table(self):
        machine = self.machine()
        wipe_table(machine.disk)
        self.complains(machine)

    def test_both_copies_bad(self):
        machine = self.machine()
        damage_primary(machine.disk)
        damage_backup(machine.disk)
        self.complains(machine)

    def test_a_slot_is_missing(self):
        machine = self.machine()
        run(["sgdisk", "--delete=3", machine.disk])
        self.complains(machine)

    def test_two_slots_of_one_label(self):
        machine = self.machine()
        run(["sgdisk", "--change-name=3:USR-A", machine.disk])
        self.complains(machine, "USR-A")

    def test_the_running_slot_is_not_on_the_disk(self):
        machine = self.machine()
        run(["sgdisk", "--change-name=2:OTHER", machine.disk])
        self.complains(machine)

    def install_with_one_copy(self, damage):
        machine = self.machine()
        damage(machine.disk)
        self.assertNotEqual(machine.table_problems(), "")
        machine.start_engine()
        machine.flipside("install", self.payload)
        self.assert_installed(machine)  # with it, that sgdisk accepts both copies again

    def test_install_with_a_bad_primary(self):
        self.install_with_one_copy(damage_primary)

    def test_install_with_a_bad_backup(self):
        self.install_with_one_copy(damage_backup)

    def test_the_only_other_slot_is_the_running_one(self):
        """Whatever is asked for, the slot that runs is not the target."""
        machine = self.machine()
        machine.running = "USR-B"
        machine.running_before = machine.slot_sha256("USR-B")
        run(["sgdisk", "--attributes=3:set:48", "--attributes=3:set:56", machine.disk])
        run(["sgdisk", "--delete=2", machine.disk])
        machine.start_engine()
        done = machine.flipside("install", self.payload, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(machine.slot_sha256("USR-B"), machine.running_before)


if __name__ == "__main__":
    main()
