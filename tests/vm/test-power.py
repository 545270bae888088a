#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The power goes at every bad moment of an update, one after the other, and the machine boots and
ends updated."""
from vm_test import COMPLETE, DONE, FINISHED, REBOOTED, STARTED, VmTest
from disk_image import table_bytes
from lab import main

MANY_BYTES = 10_000_000


class PowerCuts(VmTest):
    def cut(self, boot, when):
        boot.cut_power()
        self.note(f"power cut: {when}")

    def test_every_cut_ends_updated(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(REBOOT_STRATEGY="off")

        boot = machine.choose()
        self.see_event(boot, STARTED, DONE)
        boot.wait("many bytes in the slot", lambda: machine.n_bytes_in("USR-B") > MANY_BYTES)
        self.cut(boot, f"{machine.n_bytes_in('USR-B')} bytes are in the slot")
        self.see_bits(machine, "USR-B", 0, 0, False)

        boot = machine.choose()
        self.see(boot, "flipside: /usr is USR-A")
        self.see_event(boot, FINISHED, DONE)
        before = table_bytes(machine.disk)
        boot.wait_quickly("the flip to begin", lambda: table_bytes(machine.disk) != before)
        self.cut(boot, "the flip had begun")
        self.note(machine.slotctl("status", check=False).stdout)

        boot = machine.choose()
        if "USR-B" not in self.see(boot, "flipside: /usr is USR-"):
            self.see_event(boot, COMPLETE, DONE)
            self.cut(boot, "between flip and reboot")
            boot = machine.choose()
            self.see(boot, "flipside: /usr is USR-B")
        self.cut(boot, "before mark-good")
        self.assertFalse(machine.slots()["USR-B"]["successful"])

        boot = machine.choose()
        self.see(boot, "flipside: /usr is USR-B")
        self.see(boot, "tries 0, successful")
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="1.0.0")
        boot.wait_until_started()
        self.see_answer(boot, "slotctl verify USR-B && flipside status")
        boot.cut_power()
        self.assertEqual(machine.table_problems(), "")


main()
