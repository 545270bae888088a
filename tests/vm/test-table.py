#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A partition table that is damaged while the machine runs, and a slot that was good once."""
from vm_test import VmTest
from lab import main

PRIMARY = "dd if=/dev/zero of=/dev/vda bs=512 seek=1 count=33 conv=fsync status=none"
BACKUP = ("dd if=/dev/zero of=/dev/vda bs=512 seek=$(($(cat /sys/block/vda/size) - 33)) count=33 "
          "conv=fsync status=none")
JOURNALD = "/lib/systemd/systemd-journald"


class Damage(VmTest):
    def test_either_copy_of_the_table_is_destroyed_on_the_running_machine(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(SERVER="disabled")
        before = machine.slotctl("--json", "status").stdout
        boot = machine.choose().wait_until_started()
        for command, words in ((PRIMARY, "damaged: the primary"), (BACKUP, "damaged: the backup")):
            boot.tell(command)
            self.see_in_journal(boot, "update-engine", words)
            self.see_answer(boot, "slotctl status")
            self.assertEqual(machine.table_problems(), "")
        self.see_answer(boot, "flipside history")
        # Without the daemon it is a person's turn.
        boot.tell("systemctl stop update-engine")
        for command in (PRIMARY, BACKUP):
            boot.tell(command)
            self.see_answer(boot, "slotctl status", status=3)
            self.see_answer(boot, "flipside status")
            self.see_answer(boot, "slotctl repair && slotctl status")
            self.assertEqual(machine.table_problems(), "")
        boot.tell(PRIMARY)
        boot.cut_power()
        # The choice at boot repairs it, too.
        boot = machine.choose()
        self.see(boot, "flipside: /usr is USR-A")
        self.see(boot, "USR-A: priority 1, tries 0, successful")
        boot.cut_power()
        self.assertEqual(machine.table_problems(), "")
        self.assertEqual(machine.slotctl("--json", "status").stdout, before)


class GoodSlot(VmTest):
    def test_a_good_slot_that_no_longer_boots_does_not_loop(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(SERVER="disabled")
        machine.fill("USR-B", "2.0.0")
        machine.rot("USR-B", JOURNALD, "2.0.0")
        for starts in (1, 2, 3, 4):
            boot = machine.choose()
            self.see(boot, "flipside: /usr is USR-B")
            self.see(boot, "Kernel panic")
            self.see_reset(boot)
            self.assertEqual(machine.slots()["USR-B"]["starts"], starts)
        boot = machine.choose()
        self.see(boot, "flipside: /usr is USR-A")
        boot.wait_until_started()
        self.see_answer(boot, "slotctl status")
        boot.cut_power()


main()
