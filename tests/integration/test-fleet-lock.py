#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""locksmithd and locksmithctl with a FleetLock server: what is asked for, what becomes of lost and
failed answers, a server that is away, and hosts that reboot one after another."""
from fleet import Fleet
from fleet_lock_server import FleetLockServer
from host_test import HostTest
from lab import main

WAITING = "waiting-for-lock"


class OneHost(HostTest):
    strategy = "fleet-lock"

    def setUp(self):
        self.server = FleetLockServer({"default": 1, "workers": 2})
        self.addCleanup(self.server.stop)

    def start(self, **config):
        return self.host(LOCKSMITHD_FLEET_LOCK_URL=self.server.url, **config)

    def asked(self, name):
        return [(identity, status) for of, identity, status in self.server.requests if of == name]

    def wait_released(self, host):
        self.wait_property(host, "Release", "done")

    def test_reboot(self):
        host = self.start()
        self.wait_released(host)
        self.assertEqual(self.server.requests, [("steady-state", host.name, 200)])
        host.offer_update()
        self.wait_rebooted(host)
        self.wait_released(host)
        self.assertEqual(self.server.holders("default"), [])
        self.assertEqual(set(self.asked("pre-reboot")), {(host.name, 200)})

    def test_lost_answers(self):
        for what in ("cut", "drop-reply", "gateway", "conflict"):
            with self.subTest(what=what):
                host = self.start()
                self.wait_released(host)
                self.server.fail("pre-reboot", what)
                self.server.fail("steady-state", what)
                host.offer_update()
                self.wait_rebooted(host)
                self.wait_released(host)
                self.assertEqual(self.server.failures, [])
                self.assertEqual(self.server.holders("default"), [])

    def test_full(self):
        host = self.start()
        self.wait_released(host)
        self.server.held["default"].add("somebody")
        host.offer_update()
        self.wait_state(host, WAITING, "all 1 semaphore slots currently locked")
        self.assertEqual(host.property("Holds"), "no")
        host.withdraw_update()
        self.wait_state(host, "idle")
        self.assertEqual(self.server.holders("default"), ["somebody"])

    def test_unknown_group(self):
        host = self.start(LOCKSMITHD_GROUP="nogroup")
        host.offer_update()
        self.wait_state(host, WAITING, "LOCKSMITHD_GROUP")
        self.assertEqual(self.server.most, 0)

    def test_group(self):
        host = self.start(LOCKSMITHD_GROUP="workers")
        self.assertEqual(host.ctl("lock", "m1").returncode, 0)
        self.assertEqual(self.server.holders("workers"), ["m1"])
        self.assertEqual(host.ctl("unlock", "m1").returncode, 0)
        self.assertEqual(self.server.holders("workers"), [])

    def test_server_away_after_the_boot(self):
        host = self.start()
        self.wait_released(host)
        host.offer_update()
        self.until(host, "the lock", lambda: self.server.holders("default") == [host.name])
        self.server.stop()
        self.wait_rebooted(host)
        self.wait_property(host, "Release", "retrying")
        self.assertEqual(self.server.holders("default"), [host.name])
        self.server.start()
        self.wait_released(host)
        self.assertEqual(self.server.holders("default"), [])

    def test_what_fleet_lock_lacks(self):
        host = self.start()
        for words in (("groups",), ("set-max", "3")):
            done = host.ctl(*words, check=False)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("FleetLock has no such request", done.stderr)


class FleetOfFleetLock(Fleet):
    def config_of(self, i):
        return {"REBOOT_STRATEGY": "fleet-lock", "LOCKSMITHD_FLEET_LOCK_URL": self.endpoints[0]}


class OneAfterAnother(HostTest):
    def test_two_hosts(self):
        """The second one asks again after a minute or so: the protocol has nothing to watch."""
        server = FleetLockServer({"default": 1})
        self.addCleanup(server.stop)
        fleet = FleetOfFleetLock(self.lab, n=2, endpoints=[server.url])
        self.addCleanup(fleet.close)
        fleet.start()
        fleet.offer_update()
        fleet.run_until("both are updated", fleet.is_updated, seconds=150)
        self.assertEqual((fleet.away.most, server.most), (1, 1))


if __name__ == "__main__":
    main()
