#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""locksmithd and the real update-engine: an update that is installed, taken back, replaced by a newer
one while the engine is killed, and at last rebooted into."""
import signal

from fleet import BOOT_COMPLETE, Away, EngineHost
from host_test import HostTest
from lab import main, wait_for
from machine import MANAGER_INTERFACE
from machine_test import MachineTest, create_payload


class RealEngine(MachineTest, HostTest):
    @classmethod
    def setUpClass(cls):
        MachineTest.setUpClass.__func__(cls)
        cls.newer = create_payload(cls.lab.folder / "c.payload", cls.image_b, cls.key,
                                   version="3.0.0")

    def engine_host(self, **config):
        machine = self.machine()
        host = EngineHost(machine, self.payload, Away(), {"REBOOT_STRATEGY": "reboot", **config})
        host.exit_status = 0
        self.addCleanup(self.put_away_engine_host, host)
        host.start_fake()
        host.do("unit", BOOT_COMPLETE, "active")
        host.start_daemon()
        wait_for("the engine", machine._answers, logs=[machine.log])
        self.wait_there(host)
        return host

    def put_away_engine_host(self, host):
        if host.daemon is not None and host.daemon.poll() is None:
            host.daemon.terminate()
            self.assertEqual(host.daemon.wait(20), 0)
        self.lab.end(host.fake, signal.SIGKILL)
        host.fake.stdout.close()

    def test_an_update_on_its_way(self):
        host = self.engine_host()
        host.ctl("pause", "1h")
        host.offer_update()
        self.wait_state(host, "paused")
        self.assertEqual(host.property("Version"), "2.0.0")
        self.assertEqual(host.property("Trigger"), "update-engine")

        host.machine.call(f"{MANAGER_INTERFACE}.ResetStatus")
        self.wait_state(host, "idle")
        self.assertEqual(host.property("Version"), "")

        host.offer_update()
        self.wait_state(host, "paused")
        host.machine.kill_engine()
        self.wait_state(host, "idle", "has not said yet")
        host.machine.start_engine()
        self.wait_state(host, "paused")
        self.assertEqual(host.property("Version"), "2.0.0")

        host.machine.flipside("install", self.newer)
        self.wait_property(host, "Version", "3.0.0")
        self.wait_state(host, "paused")
        host.machine.versions["USR-B"] = "3.0.0"
        host.ctl("resume")
        self.until(host, "the reboot", lambda: host.n_reboots == 1 and not host.is_away)
        self.assertEqual(host.machine.running, "USR-B")
        self.wait_state(host, "idle")
        host.machine.running_before = host.machine.slot_sha256("USR-B")


if __name__ == "__main__":
    main()
