#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Updates that do not become the system: the machine is back in the old slot by itself, the server
is told, and the cluster's lock does not go to the next machine before that."""
import json

from vm_test import COMPLETE, DID_NOT_BOOT, DONE, FAILED, REBOOTED, STARTED, VmTest
import etcd
from lab import main
from lock_observer import KEY
from server import HOST

JOURNALD = "/lib/systemd/systemd-journald"  # runs before the slot can be declared good
# A person waits for 15 minutes; a test does not.
SOON = {"etc/systemd/system/slot-deadline.timer.d/soon.conf":
        "[Timer]\nOnActiveSec=\nOnActiveSec=25s\n"}


class Fallback(VmTest):
    def n_installs(self):
        return sum((event["type"], event["result"]) == (STARTED, DONE)
                   for event in self.server.events())

    def update(self, machine):
        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-A")
        self.see_event(boot, COMPLETE, DONE)
        self.see_reset(boot)

    def see_old_slot(self, machine):
        """The old slot runs, and the server has been told why."""
        boot = machine.power_on()
        self.see(boot, "flipside: USR-A is chosen")
        self.see(boot, "flipside: /usr is USR-A")
        self.see_event(boot, COMPLETE, FAILED, errorcode=DID_NOT_BOOT)
        return boot


class RottenUsr(Fallback):
    def test_a_rotten_usr_falls_back_and_is_not_installed_again(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine()
        self.update(machine)
        machine.rot("USR-B", JOURNALD, "2.0.0")

        for tries in (2, 1, 0):
            boot = machine.power_on()
            self.see(boot, f"flipside: USR-B is chosen: priority 2, tries {tries + 1}")
            self.see(boot, "flipside: /usr is USR-B")
            self.see(boot, "Kernel panic")
            self.see_reset(boot)
            self.see_bits(machine, "USR-B", 2, tries, False)

        boot = self.see_old_slot(machine)
        n_checks, n_installs = len(self.server.checks()), self.n_installs()
        boot.wait_until_started()
        boot.wait("a check", lambda: len(self.server.checks()) > n_checks)
        self.see_in_journal(boot, "update-engine", "2.0.0")
        self.see_answer(boot, "flipside status")
        self.assertEqual(self.n_installs(), n_installs, "2.0.0 was installed again")

        self.serve(stable=self.distribution.payload("3.0.0"))
        boot.wait("the next installation", lambda: self.n_installs() > n_installs)
        self.see_reset(boot)
        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-B")
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="1.0.0")
        self.see(boot, "USR-B: priority 2, tries 0, successful")
        boot.cut_power()
        self.assertEqual(machine.slots()["USR-B"]["version"], "3.0.0")


class Unhealthy(Fallback):
    def holders(self):
        document = json.loads(self.etcd.get(KEY) or '{"holders": []}')
        return document["holders"]

    def see_holder(self, expected):
        self.assertEqual(self.holders(), expected)
        self.note(f"etcd: the lock's holders are {self.holders()}")

    def test_a_boot_that_fails_its_health_check_falls_back_and_keeps_the_lock_till_then(self):
        self.etcd = etcd.Cluster(self.lab).start()
        self.serve(stable=self.distribution.payload("2.0.0", unhealthy="yes"))
        machine = self.machine(
            BOOT_TRIES=2, REBOOT_STRATEGY="etcd-lock",
            LOCKSMITHD_ENDPOINT=self.etcd.urls[0].replace("127.0.0.1", HOST))
        machine.put(SOON)
        self.update(machine)
        me = self.holders()
        self.assertEqual(len(me), 1)

        for tries in (1, 0):
            self.see_holder(me)
            boot = machine.power_on()
            self.see(boot, f"flipside: USR-B is chosen: priority 2, tries {tries + 1}")
            self.see(boot, "flipside: /usr is USR-B")
            boot.wait_until_started()
            self.see_answer(boot, "systemctl is-active multi-user.target test-health.service "
                            "boot-complete.target slot-mark-good.service; slotctl is-good", 10)
            self.see_answer(boot, "locksmithctl status --long")
            self.see_reset(boot)
            self.see_bits(machine, "USR-B", 2, tries, False)

        self.see_holder(me)
        boot = self.see_old_slot(machine)
        boot.wait("the lock to be given back", lambda: self.holders() == [])
        self.see_holder([])
        boot.wait_until_started()
        self.see_in_journal(boot, "locksmithd", "after the boot: done")
        self.see_answer(boot, "flipside status && flipside history")
        boot.cut_power()
        self.see_bits(machine, "USR-A", 1, 0, True)


main()
