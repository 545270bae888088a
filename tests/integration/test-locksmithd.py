#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One locksmithd among logind, systemd and an update engine that fake-logind plays: every state is
reached and shown, and what must end a reboot does. The lock with real etcds is in
test-lock-chain.py and test-lock-faults.py."""
import os
import signal
import time
import unittest

from fleet import BOOT_COMPLETE, NEED_REBOOT, Away, Host
from lab import Lab, main, run, tail, wait_for


class HostTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.n_hosts = 0

    def host(self, good=True, start=True, **config):
        cls = type(self)
        cls.n_hosts += 1
        folder = self.lab.folder / f"host{cls.n_hosts}"
        host = Host(self.lab, folder, Away(), {"REBOOT_STRATEGY": "reboot", **config})
        host.start_bus()
        wait_for("the bus", host.socket.exists)
        host.start_fake()
        if good:
            host.do("unit", BOOT_COMPLETE, "active")
        if start:
            host.start_daemon()
            self.until(host, "the daemon", lambda: host.property("State"))
        self.addCleanup(self.put_away, host)
        return host

    def put_away(self, host):
        if host.daemon is not None and host.daemon.poll() is None:
            host.daemon.terminate()
            self.assertEqual(host.daemon.wait(10), 0, tail(host.log))
        self.assertEqual(host.unexpected, [])
        for process in (host.fake, host.bus_process):
            self.lab.end(process, signal.SIGKILL)
        host.fake.stdout.close()

    def until(self, host, what, condition, seconds=20):
        def step():
            host.step(time.monotonic())
            return condition()
        return wait_for(what, step, seconds, logs=[host.log])

    def wait_state(self, host, state, text=""):
        self.until(host, f"state {state} {text!r}",
                   lambda: host.property("State") == state and text in host.property("Text"))

    def wait_rebooted(self, host, n=1):
        self.until(host, "the reboot", lambda: host.n_reboots >= n and not host.is_away)

    def reboots_asked(self, host):
        return [r for r in host.reports if r["what"] == "reboot"]


class States(HostTest):
    def test_a_reboot_from_end_to_end(self):
        host = self.host()
        self.assertEqual(host.property("State"), "idle")
        self.assertEqual(host.property("Strategy"), "reboot")
        host.offer_update()
        self.wait_rebooted(host)
        self.assertEqual(len(self.reboots_asked(host)), 1)
        self.until(host, "the daemon again", lambda: host.property("State") == "idle")
        self.until(host, "the boot to be settled", lambda: host.property("Release") == "done")


if __name__ == "__main__":
    main()
