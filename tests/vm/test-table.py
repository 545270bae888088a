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
        before, table = machine.slotctl("--json", "status").stdout, machine.table_bytes()
        boot = machine.power_on().wait_until_started()
        for command, words in ((PRIMARY, "damaged: the primary"), (BACKUP, "damaged: the backup")):
            boot.tell(command)
            self.see_in_journal(boot, "update-engine", words)
            boot.wait("the repair", lambda: machine.table_problems() == "")
            self.see_answer(boot, "slotctl status")
        self.see_answer(boot, "flipside history && flipside status")
        self.assertEqual(machine.table_bytes(), table)

        # Without the daemon, and then without power: firmware and chooser repair it.
        boot.tell(f"systemctl stop update-engine && {PRIMARY}")
        self.see_answer(boot, "slotctl status", status=3)
        boot.cut_power()
        boot = machine.power_on()
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
        for starts in (0, 1, 2, 3):
            boot = machine.power_on()
            self.see(boot, f"flipside: USR-B is chosen: priority 2, successful, started {starts} times")
            self.see(boot, "Kernel panic")
            self.see_reset(boot)
            self.assertEqual(machine.slots()["USR-B"]["starts"], starts + 1)
        boot = machine.power_on()
        self.see(boot, "flipside: USR-A is chosen")
        self.see(boot, "flipside: /usr is USR-A")
        boot.wait_until_started()
        self.see_answer(boot, "slotctl status")
        boot.cut_power()


main()
