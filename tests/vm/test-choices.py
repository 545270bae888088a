#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an administrator decides on a running machine: another channel."""
from vm_test import COMPLETE, DONE, REBOOTED, VmTest
from lab import main


class Choices(VmTest):
    def test_another_channel(self):
        self.serve(stable=self.distribution.payload("2.0.0"), beta=self.distribution.payload("3.0.0"))
        machine = self.machine("2.0.0", FIRST_CHECK=20)
        boot = machine.choose().wait_until_started()
        self.see_answer(boot, "flipside check", status=3)
        self.see_answer(boot, "flipside channel beta")
        self.see_event(boot, COMPLETE, DONE)
        self.see_reset(boot)
        boot = machine.choose()
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="2.0.0")
        boot.wait_until_started()
        self.see_answer(boot, "flipside status && flipside channel")
        boot.cut_power()
        self.assertEqual(machine.slots()["USR-B"]["version"], "3.0.0")


main()
