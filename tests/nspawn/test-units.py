#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The units, policies and presets as they are installed, under the real systemd."""
import os
import re
import signal
import unittest
from pathlib import Path

import container
from container import OPERATOR, OS_NAME, USER
from lab import RUNS_POSTINST
from nspawn_test import NspawnTest

UPDATE = ("com.coreos.update1", "/com/coreos/update1")
MANAGER = "com.coreos.update1.Manager"
FLIPSIDE = "com.coreos.update1.Flipside"
LOCKSMITH = ("com.coreos.locksmith1", "/com/coreos/locksmith1")
LOCKSMITH_MANAGER = "com.coreos.locksmith1.Manager"
DENIED = "Access denied|not permitted"


class Units(NspawnTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one = cls.host()
        cls.one.boot()

    def daemon(self, unit):
        """Its pid as the test sees it."""
        pid = self.one.show(unit, "MainPID")[0]
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                status = (folder / "status").read_text()
            except OSError:
                continue
            if re.search(rf"^NSpid:\t\d+\t{pid}$", status, re.M):
                return int(folder.name), status
        raise AssertionError(f"{unit} does not run")

    def test_the_machine_runs_and_nothing_failed(self):
        self.assertEqual(self.one.run("systemctl", "--failed", "--no-legend").stdout, "")
        self.assertEqual(self.one.run("systemctl", "is-system-running").stdout.strip(), "running")
        for unit in ("update-engine.service", "locksmithd.service", "boot-complete.target",
                     "slot-mark-good.service"):
            self.assertEqual(self.one.active(unit), "active", unit)
        for unit in ("update-engine.service", "locksmithd.service"):
            self.assertEqual(self.one.show(unit, "Type", "NRestarts"), ["notify", "0"])
        self.assertEqual(self.one.show("update-engine.service", "WatchdogUSec", "StatusText"),
                         ["2min", "idle"])

    def test_the_presets_and_the_folders(self):
        for unit, expected in {"update-engine.service": "enabled", "locksmithd.service": "enabled",
                               "update-engine-stub.timer": "enabled",
                               "slot-mark-good.service": "enabled",
                               "slot-deadline.timer": "enabled",
                               "flipside-softdog.service": "disabled",
                               "flipside-usr.service": "disabled"}.items():
            done = self.one.run("systemctl", "is-enabled", unit, check=False)
            self.assertEqual(done.stdout.strip(), expected, unit)
        for folder in ("/var/lib/update-engine", "/var/lib/locksmith"):
            self.assertEqual(self.one.run("stat", "-c", "%U:%G %a", folder).stdout.strip(),
                             "root:root 755")
        # Of these systemd knows before any unit runs.
        self.assertEqual(self.one.run("systemctl", "show", "--value", "--property",
                                      "RuntimeWatchdogUSec").stdout.strip(), "1min")

    def test_the_names_of_update_engine(self):
        for program in ("update_engine", "update_engine_client", "update_engine_stub"):
            self.assertEqual(self.one.run(program, "--version").returncode, 0)

    def test_the_running_slot_is_found_from_usr(self):
        status = self.one.run("slotctl", "status").stdout
        self.assertRegex(status, r"USR-A .* running, boots next")
        self.assertIn("demo 1.0.0 from USR-A", self.one.run("flipside", "status").stdout)

    def assert_confined(self, unit, capabilities, read_only):
        pid, status = self.daemon(unit)
        bits = re.search(r"^CapBnd:\t(\w+)$", status, re.M)[1]
        self.assertEqual(int(bits, 16), capabilities)
        self.assertRegex(status, r"NoNewPrivs:\t1\n")
        self.assertRegex(status, r"Seccomp:\t2\n")
        for path in read_only:
            # Through the daemon's own root, as it sees it.
            with self.assertRaises(OSError, msg=path) as caught:
                os.close(os.open(f"/proc/{pid}/root{path}/refused", os.O_CREAT | os.O_WRONLY))
            self.assertIn("Read-only", str(caught.exception))

    @unittest.skipIf(RUNS_POSTINST, "a child of the daemon needs what would be taken from it")
    def test_the_engine_is_confined(self):
        cap_dac_read_search = 1 << 2
        self.assert_confined("update-engine.service", cap_dac_read_search,
                             ("/usr", "/etc", "/var", "/var/lib/locksmith", "/run/systemd"))

    def test_locksmithd_is_confined(self):
        names = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "KILL", "SETGID", "SETUID",
                 "NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_BOOT")
        numbers = (0, 1, 2, 3, 5, 6, 7, 10, 12, 13, 21, 22)
        self.assertEqual(len(names), len(numbers))
        self.assert_confined("locksmithd.service", sum(1 << n for n in numbers), ("/usr", "/etc"))

    def as_user(self, *args):
        return self.one.run(*args, user=USER, check=False)

    def test_anybody_may_ask_the_engine(self):
        self.assertIn("UPDATE_STATUS_IDLE",
                      self.as_user("busctl", "call", *UPDATE, MANAGER, "GetStatus").stdout)
        self.assertIn("USR-B", self.as_user("busctl", "call", *UPDATE, FLIPSIDE, "GetSlots").stdout)
        self.assertIn('"idle"',
                      self.as_user("busctl", "get-property", *UPDATE, FLIPSIDE, "Phase").stdout)
        self.assertIn("1.0.0 from USR-A", self.as_user("flipside", "status").stdout)

    def test_only_root_may_change_the_engine(self):
        for method in ((MANAGER, "AttemptUpdate"), (MANAGER, "ResetStatus"), (FLIPSIDE, "Rollback"),
                       (FLIPSIDE, "Cancel")):
            done = self.as_user("busctl", "call", *UPDATE, *method)
            self.assertNotEqual(done.returncode, 0, method)
            self.assertRegex(done.stderr, DENIED)
        for command in (["update"], ["rollback"], ["channel", "beta"]):
            done = self.as_user("flipside", *command)
            self.assertNotEqual(done.returncode, 0, command)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        conf = self.one.root / f"etc/{OS_NAME}/update.conf"
        self.assertNotIn("beta", conf.read_text())
        self.assertNotEqual(self.as_user("slotctl", "mark-bad", "USR-B").returncode, 0)

    @unittest.skipUnless(OPERATOR, "this build has no operator")
    def test_the_operator_may_ask_for_updates(self):
        def as_operator(*args):
            return self.one.run(*args, user=OPERATOR, check=False)
        for method in ("AttemptUpdate", "ResetStatus", "GetStatus"):
            done = as_operator("busctl", "call", *UPDATE, MANAGER, method)
            self.assertEqual(done.returncode, 0, done.stderr)
        for method in ("Update", "Rollback", "Cancel", "Reload"):
            done = as_operator("busctl", "call", *UPDATE, FLIPSIDE, method)
            self.assertNotEqual(done.returncode, 0, method)
            self.assertRegex(done.stderr, DENIED)
        self.assertIn("CURRENT_OP=UPDATE_STATUS_IDLE",
                      as_operator("update_engine_client", "-status").stdout)
        self.assertEqual(as_operator("update_engine_client", "-reset_status").returncode, 0)
        done = as_operator("update_engine_client", "-update")
        self.assertIn("no update server is configured", done.stderr)
        self.assertNotEqual(as_operator("slotctl", "mark-bad", "USR-B").returncode, 0)

    def test_anybody_may_ask_locksmithd(self):
        self.assertIn('"off"', self.as_user("busctl", "get-property", *LOCKSMITH,
                                            LOCKSMITH_MANAGER, "State").stdout)
        self.assertIn("the strategy is off",
                      self.as_user("locksmithctl", "status", "--long").stdout)

    def test_only_root_may_change_locksmithd(self):
        for method in (["Pause", "ts", "9999999999999999", ""], ["Resume"], ["Reload"],
                       ["RebootNow", "t", "0"], ["Approve", "ts", "9999999999999999", ""]):
            done = self.as_user("busctl", "call", *LOCKSMITH, LOCKSMITH_MANAGER, *method)
            self.assertNotEqual(done.returncode, 0, method)
            self.assertRegex(done.stderr, DENIED)
        for command in (["pause", "1h"], ["reboot-now"], ["approve"], ["send-need-reboot"]):
            done = self.as_user("locksmithctl", *command)
            self.assertNotEqual(done.returncode, 0, command)
            self.assertIn("root", done.stderr)

    def test_nobody_else_may_take_the_names(self):
        for name in (UPDATE[0], LOCKSMITH[0]):
            done = self.as_user("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "RequestName", "su", name, "0")
            self.assertNotEqual(done.returncode, 0, name)
            self.assertIn("denied", done.stderr)

    def test_a_configuration_that_is_wrong_is_named_by_reload(self):
        self.one.run("systemctl", "reload", "locksmithd.service")
        path = f"etc/{OS_NAME}/update.conf"
        before = (self.one.root / path).read_text()
        self.one.write(path, "REBOOT_STRATEGY=sometimes\n")
        try:
            self.assertNotEqual(self.one.run("systemctl", "reload", "locksmithd.service",
                                             check=False).returncode, 0)
        finally:
            self.one.write(path, before)
        self.assertTrue(any("update.conf:1: REBOOT_STRATEGY=sometimes" in entry["MESSAGE"]
                            for entry in self.one.journal("--unit=locksmithd.service")))
        self.assertEqual(self.one.active("locksmithd.service"), "active")
        self.one.run("systemctl", "reload", "locksmithd.service")

    def test_the_journal_has_the_fields(self):
        entries = self.one.journal("LOCKSMITH_STATE=off")
        self.assertTrue(entries)
        self.assertEqual((entries[0]["SYSLOG_IDENTIFIER"], entries[0]["PRIORITY"]),
                         ("locksmithd", "6"))
        self.assertNotEqual(self.one.run("flipside", "update", check=False).returncode, 0)

    def test_either_copy_of_the_table_is_repaired(self):
        before = self.one.table_bytes()
        backup = int(self.one.run("blockdev", "--getsz", self.one.device).stdout) - 33
        for health, sector in (("primary-damaged", 1), ("backup-damaged", backup)):
            self.one.run("dd", "if=/dev/zero", f"of={self.one.device}", f"seek={sector}",
                         "count=33", "conv=fsync", "status=none")
            self.one.until("the report", lambda: self.one.journal(
                f"FLIPSIDE_TABLE_HEALTH={health}", f"FLIPSIDE_DISK={self.one.device}"))
            self.assertEqual(self.one.table_bytes(), before)
            self.assertEqual(self.one.table_problems(), "")
        self.assertEqual(self.one.run("flipside", "history").stdout.count("repair   done"), 2)

    def test_an_engine_that_hangs_is_started_again(self):
        self.one.run("mkdir", "-p", "/run/systemd/system/update-engine.service.d")
        self.one.run("sh", "-c", "printf '[Service]\\nWatchdogSec=1s\\nRestartSec=0\\n' >"
                     "/run/systemd/system/update-engine.service.d/soon.conf")
        self.one.run("systemctl", "daemon-reload")
        self.one.run("systemctl", "restart", "update-engine.service")
        pid, _ = self.daemon("update-engine.service")
        os.kill(pid, signal.SIGSTOP)
        self.one.until("another engine", lambda: self.one.show(
            "update-engine.service", "NRestarts", "ActiveState") == ["1", "active"])
        self.assertTrue(any("watchdog" in entry["MESSAGE"].lower() for entry in
                            self.one.journal("_PID=1", "UNIT=update-engine.service")))
        self.one.run("rm", "-r", "/run/systemd/system/update-engine.service.d")
        self.one.run("systemctl", "daemon-reload")
        self.one.run("systemctl", "restart", "update-engine.service")


if __name__ == "__main__":
    container.main()
