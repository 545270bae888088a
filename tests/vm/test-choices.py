#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an administrator decides on a running machine: another channel, and back to what ran before."""
from vm_test import COMPLETE, DID_NOT_BOOT, DONE, FAILED, REBOOTED, VmTest
from lab import main

JOURNALD = "/lib/systemd/systemd-journald"


class Channel(VmTest):
    def test_another_channel(self):
        self.serve(stable=self.distribution.payload("2.0.0"), beta=self.distribution.payload("3.0.0"))
        machine = self.machine("2.0.0", FIRST_CHECK=30)
        boot = machine.power_on().wait_until_up()
        self.see_answer(boot, "flipside channel && flipside channel beta")
        self.see_event(boot, COMPLETE, DONE)
        self.see_reset(boot)
        boot = machine.power_on()
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="2.0.0")
        boot.wait_until_started()
        self.see_answer(boot, "flipside status && flipside channel")
        boot.cut_power()
        self.assertEqual(machine.slots()["USR-B"]["version"], "3.0.0")


class Rollback(VmTest):
    def test_back_to_a_slot_that_is_whole_and_not_to_a_rotten_one(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(FIRST_CHECK=600, REBOOT_STRATEGY="reboot")
        machine.fill("USR-B", "2.0.0")
        boot = machine.power_on()
        self.see(boot, "flipside: USR-B is chosen")
        boot.wait_until_started()
        self.see_answer(boot, "flipside rollback")
        self.see_event(boot, COMPLETE, FAILED, errorcode=DID_NOT_BOOT)  # a rollback's number, too
        self.see_reset(boot)
        machine.rot("USR-B", JOURNALD, "2.0.0")

        boot = machine.power_on()
        self.see(boot, "flipside: USR-A is chosen")
        self.see(boot, "flipside: /usr is USR-A")
        boot.wait_until_started()
        before = machine.table_bytes()
        self.see_answer(boot, "flipside rollback", status=1)
        self.see_answer(boot, "slotctl verify USR-B", status=5)
        self.see_answer(boot, "flipside status")
        self.assertEqual(machine.table_bytes(), before)
        boot.cut_power()


main()
