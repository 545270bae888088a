#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From an update to the reboot by the real logind, and what becomes of the slot that was booted."""
import shutil

import container
from container import REBOOTED, USER
from lab import run
from machine_test import create_payload
from nspawn_test import NspawnTest
from omaha import OmahaServer

HEALTH_CHECK = "usr/share/doc/flipside/examples/health-check.service"
BROKEN = """[Service]
Type=oneshot
ExecStart=/bin/false
[Install]
WantedBy=multi-user.target
"""
AT_ONCE = """[Unit]
ConditionVirtualization=
[Timer]
OnActiveSec=
OnActiveSec=1s
"""


class Reboots(NspawnTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.payload = create_payload(cls.lab.folder / "2.0.0.payload",
                                     cls.userland.image("2.0.0"), cls.key)

    def install(self, host):
        """An update that waits for its reboot."""
        shutil.copy(self.payload, host.root / "root/payload")
        host.run("flipside", "install", "/root/payload")

    def assert_down_for_reboot(self, host):
        self.assertEqual(host.wait_down(), REBOOTED)
        self.assertEqual(host.table_problems(), "")

    def test_an_update_by_itself(self):
        server = OmahaServer(self.lab)
        server.add_release("stable", self.payload)
        server.start()
        host = self.host(SERVER=server.url, REBOOT_STRATEGY="reboot", FIRST_CHECK=1)
        self.assertEqual(host.boot(wait=False), "USR-A")
        self.assert_down_for_reboot(host)
        self.assertEqual(host.slots()["USR-B"], (2, 3, False))

        host.configure(SERVER=server.url, REBOOT_STRATEGY="reboot", FIRST_CHECK=1)
        self.assertEqual(host.boot(), "USR-B")
        self.assertIn("demo 2.0.0 from USR-B", host.run("flipside", "status").stdout)
        self.assertEqual(host.slots()["USR-B"], (2, 0, True))
        seen = {(event["type"], event["result"]) for event in server.events()}
        self.assertLessEqual({(13, 1), (14, 1), (3, 1)}, seen)
        host.until("the event of the reboot", lambda: any(
            (event["type"], event["result"], event.get("previousversion")) == (3, 2, "1.0.0")
            for event in server.events()))
        host.until("the lock to be given back", lambda: host.locksmith("Release") == "done")
        self.assertEqual(host.locksmith("State"), "idle")

    def test_an_inhibitor_is_waited_for(self):
        host = self.host(REBOOT_STRATEGY="reboot")
        host.boot()
        host.run("systemd-run", "--unit=backup", "systemd-inhibit", "--what=shutdown",
                 "--mode=block", "--who=backup", "--why=it runs", "sleep", "infinity")
        host.until("the inhibitor", lambda: "backup" in host.run("systemd-inhibit", "--list").stdout)
        self.install(host)
        host.wait_locksmith("waiting-for-inhibitor", "backup blocks the shutdown: it runs")
        # What other programs look for, which the engine's sandbox must let it write.
        host.run("stat", "/run/reboot-required", "/run/update_engine_autoupdate_completed")
        self.assertEqual(host.run("cat", "/var/lib/update_engine/prefs/previous-version").stdout,
                         "1.0.0")
        host.run("systemctl", "stop", "backup.service")
        self.assert_down_for_reboot(host)

    def test_who_is_logged_in_is_warned_and_waited_for(self):
        host = self.host(REBOOT_STRATEGY="reboot", LOCKSMITHD_LOGIN_GRACE="1h")
        host.boot()
        terminal = host.log_in()
        self.install(host)
        host.wait_locksmith("waiting-for-users", f"{USER}: warned, until")
        screen = host.root / f"var/log/{terminal}"
        host.until("the warning", lambda: "reboots in" in screen.read_text(errors="replace"))
        host.run("systemctl", "stop", f"{terminal}.service")
        self.assert_down_for_reboot(host)


class Trial(NspawnTest):
    def host_on_trial(self, broken):
        """USR-A has two tries, USR-B is good; the health check of the manual decides."""
        host = self.host()
        run(["dd", f"if={self.image}", f"of={host.device_of('USR-B')}", "bs=1M", "status=none"])
        run(["sgdisk", "--attributes=2:clear:56", "--attributes=2:clear:48",
             "--attributes=2:set:49", "--attributes=2:set:53",
             "--attributes=3:set:48", "--attributes=3:set:56", host.device])
        host.tell_kernel()
        self.assertEqual(host.slots(), {"USR-A": (2, 2, False), "USR-B": (1, 0, True)})
        units = host.root / "etc/systemd/system"
        shutil.copy(self.userland.root / HEALTH_CHECK, units)
        (units / "boot-complete.target.requires").mkdir()
        (units / "boot-complete.target.requires/health-check.service").symlink_to(
            "../health-check.service")
        if broken:
            (units / "broken.service").write_text(BROKEN)
            (units / "multi-user.target.wants/broken.service").symlink_to("../broken.service")
        return host

    def assert_no_circle(self, host):
        self.assertEqual([entry["MESSAGE"] for entry in host.journal()
                          if "ordering cycle" in str(entry["MESSAGE"])], [])

    def test_a_boot_that_is_healthy_makes_its_slot_good(self):
        host = self.host_on_trial(broken=False)
        self.assertEqual(host.boot(), "USR-A")
        times = [int(host.show(unit, name)[0]) for unit, name in (
            ("multi-user.target", "ActiveEnterTimestampMonotonic"),
            ("health-check.service", "InactiveExitTimestampMonotonic"),
            ("boot-complete.target", "ActiveEnterTimestampMonotonic"),
            ("slot-mark-good.service", "InactiveExitTimestampMonotonic"))]
        self.assertEqual(times, sorted(times))
        self.assertTrue(all(times))
        self.assertEqual(host.slots()["USR-A"], (2, 0, True))
        self.assertEqual(host.run("slotctl", "is-good").stdout, "USR-A: marked good\n")
        self.assert_no_circle(host)

    def test_a_boot_that_is_not_healthy_falls_back(self):
        host = self.host_on_trial(broken=True)
        self.assertEqual(host.boot(), "USR-A")
        self.assertEqual([host.active(unit) for unit in (
            "multi-user.target", "health-check.service", "boot-complete.target",
            "slot-mark-good.service")], ["active", "failed", "inactive", "inactive"])
        self.assertEqual(host.slots()["USR-A"], (2, 1, False))
        self.assertEqual(host.locksmith("Release"), "waiting-for-boot")
        self.assert_no_circle(host)
        # A version on trial must not lose the one that it falls back to.
        done = host.run("flipside", "rollback", check=False)
        self.assertNotEqual(done.returncode, 0)
        host.run("systemctl", "start", "--no-block", "slot-deadline.service")
        self.assertEqual(host.wait_down(), REBOOTED)

        host.write("etc/systemd/system/slot-deadline.timer.d/soon.conf", AT_ONCE)
        self.assertEqual(host.boot(wait=False), "USR-A")
        self.assertEqual(host.wait_down(), REBOOTED)
        self.assertEqual(host.slots()["USR-A"], (2, 0, False))

        # The same deadline leaves a slot alone that was good before.
        self.assertEqual(host.boot(), "USR-B")
        host.until("the deadline", lambda: host.show(
            "slot-deadline.service", "Result", "ExecMainStatus", "ExecMainExitTimestamp")[2])
        self.assertEqual(host.show("slot-deadline.service", "Result", "ExecMainStatus"),
                         ["success", "0"])
        self.assertEqual(host.active("boot-complete.target"), "inactive")
        self.assertEqual(host.slots()["USR-B"].successful, True)


if __name__ == "__main__":
    container.main()
