#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The power goes at every bad moment of an update, one after the other, and the machine boots and
ends updated."""
from vm_test import COMPLETE, DONE, FINISHED, REBOOTED, STARTED, VmTest
from lab import main

MANY_BYTES = 10_000_000


class PowerCuts(VmTest):
    def cut(self, boot, when):
        boot.cut_power()
        self.note(f"power cut: {when}")

    def cut_at_change_of_table(self, machine, boot, when):
        before = machine.table_bytes()
        boot.wait_quickly(when, lambda: machine.table_bytes() != before)
        self.cut(boot, when)
        self.note(machine.slotctl("status", check=False).stdout)

    def test_every_cut_ends_updated(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(REBOOT_STRATEGY="off", BOOT_TRIES=5)

        boot = machine.power_on()
        self.see_event(boot, STARTED, DONE)
        boot.wait("many bytes in the slot", lambda: machine.n_bytes_in("USR-B") > MANY_BYTES)
        self.cut(boot, f"{machine.n_bytes_in('USR-B')} bytes are in the slot")
        self.see_bits(machine, "USR-B", 0, 0, False)

        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-A")
        self.see_event(boot, FINISHED, DONE)
        self.cut_at_change_of_table(machine, boot, "the flip has begun")

        boot = machine.power_on()
        if "USR-B" not in self.see(boot, "is chosen"):
            self.see_event(boot, COMPLETE, DONE)
            self.cut(boot, "between flip and reboot")
            boot = machine.power_on()
            self.see(boot, "flipside: USR-B is chosen")
        self.cut(boot, "right after the choice")

        boot = machine.power_on()
        self.cut_at_change_of_table(machine, boot, "the chooser writes")

        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-B")
        self.cut(boot, "before mark-good")
        self.assertFalse(machine.slots()["USR-B"]["successful"])

        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-B")
        self.cut_at_change_of_table(machine, boot, "the slot is marked good")

        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-B")
        self.see(boot, "tries 0, successful")
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="1.0.0")
        boot.wait_until_started()
        self.see_answer(boot, "slotctl verify USR-B && flipside status")
        boot.cut_power()
        self.assertEqual(machine.table_problems(), "")


main()
