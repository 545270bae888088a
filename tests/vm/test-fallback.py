#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Updates that do not become the system: the machine is back in the old slot by itself."""
from vm_test import COMPLETE, DID_NOT_BOOT, DONE, FAILED, REBOOTED, STARTED, VmTest
from lab import main

JOURNALD = "/lib/systemd/systemd-journald"  # runs before the slot can be declared good


class RottenUsr(VmTest):
    def test_a_rotten_usr_falls_back_and_is_not_installed_again(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine()
        boot = machine.choose()
        self.see_event(boot, COMPLETE, DONE)
        self.see_reset(boot)
        machine.rot("USR-B", JOURNALD, "2.0.0")

        for tries in (2, 1, 0):
            boot = machine.choose()
            self.see(boot, "flipside: /usr is USR-B")
            self.see(boot, "Kernel panic")
            self.see_reset(boot)
            self.see_bits(machine, "USR-B", 2, tries, False)

        boot = machine.choose()
        self.see(boot, "flipside: /usr is USR-A")
        self.see_event(boot, COMPLETE, FAILED, errorcode=DID_NOT_BOOT)
        n_checks, n_installs = len(self.server.checks()), self.n_installs()
        boot.wait_until_started()
        boot.wait("a check", lambda: len(self.server.checks()) > n_checks)
        self.see_in_journal(boot, "update-engine", "2.0.0")
        self.see_answer(boot, "flipside status")
        self.assertEqual(self.n_installs(), n_installs, "2.0.0 was installed again")

        self.serve(stable=self.distribution.payload("3.0.0"))
        boot.wait("the next installation", lambda: self.n_installs() > n_installs)
        self.see_reset(boot)
        boot = machine.choose()
        self.see(boot, "flipside: /usr is USR-B")
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="1.0.0")
        self.see(boot, "USR-B: priority 2, tries 0, successful")
        boot.cut_power()
        self.assertEqual(machine.slots()["USR-B"]["version"], "3.0.0")

    def n_installs(self):
        return sum((event["type"], event["result"]) == (STARTED, DONE)
                   for event in self.server.events())


main()
