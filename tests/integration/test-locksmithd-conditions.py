#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What locksmithd waits for before a reboot, among logind, systemd and an update engine that
fake-logind plays: every condition is reached and shown, and whatever ends it does."""
import time

from fleet import IDLE, NEED_REBOOT
from host_test import HOUR_USEC, HostTest, far_window, now_usec
from lab import main, run

UPDATE_SIGNAL = ("/com/coreos/update1", "com.coreos.update1.Manager", "StatusUpdate", "xdssx")


class Conditions(HostTest):
    def test_a_reboot_from_end_to_end(self):
        host = self.host()
        self.wait_state(host, "idle", "nothing to reboot for")
        self.assertEqual(host.property("Strategy"), "reboot")
        self.assertEqual(host.property("Decision"), "reboot")
        self.assertEqual(host.property("Holds"), "no")
        self.assertEqual(self.coordinator(host),
                         {"NAME": "locksmithd", "STRATEGY": "reboot", "STATE": "running"})
        host.offer_update()
        self.wait_rebooted(host)
        self.assertEqual(len(self.asked(host)), 1)
        self.wait_state(host, "idle")
        self.wait_property(host, "Release", "done")

    def test_no_reboot_when_nothing_waits(self):
        host = self.host()
        self.stays(host, "idle")
        done = self.call(host, "RebootNow", "t", "0")
        self.assertIn("no update waits", done.stderr)
        self.assertNotEqual(host.ctl("reboot-now", check=False).returncode, 0)

    def test_pause_and_resume(self):
        host = self.host()
        host.ctl("pause", "4h", "--why", "disk is replaced")
        host.offer_update()
        self.wait_state(host, "paused", "disk is replaced")
        until = int(host.property("PausedUntilUsec"))
        self.assertAlmostEqual(until, now_usec() + 4 * HOUR_USEC, delta=60e6)
        self.assertEqual(int(host.property("NextUsec")), until)
        self.assertEqual(self.coordinator(host)["STATE"], "reboot-planned")
        # It outlives the daemon.
        host.end_daemon()
        host.start_daemon()
        self.wait_state(host, "paused")
        host.ctl("resume")
        self.wait_rebooted(host)

    def test_a_pause_ends_by_itself(self):
        host = self.host()
        until = now_usec() + 1500000
        self.assertEqual(self.call(host, "Pause", "ts", until, "").returncode, 0)
        host.offer_update()
        self.wait_state(host, "paused")
        self.wait_rebooted(host)
        self.assertGreaterEqual(now_usec(), until)

    def test_a_pause_that_is_over_is_refused(self):
        host = self.host()
        self.assertNotEqual(self.call(host, "Pause", "ts", now_usec() - 1, "").returncode, 0)
        self.assertNotEqual(self.call(host, "Resume").returncode, 0)

    def test_least_uptime(self):
        host = self.host(LOCKSMITHD_MIN_UPTIME="300d")
        host.offer_update()
        self.wait_state(host, "waiting-for-uptime")
        self.assertGreater(int(host.property("NextUsec")), now_usec())
        host.ctl("reboot-now")
        self.wait_rebooted(host)

    def test_approval_is_of_a_version(self):
        host = self.host(LOCKSMITHD_APPROVAL="yes")
        host.offer_update()
        self.wait_state(host, "waiting-for-approval")
        host.ctl("approve", "--for", "9.0.0")
        self.wait_state(host, "waiting-for-approval", "9.0.0")
        host.do("update", NEED_REBOOT, "9.0.0")
        self.wait_rebooted(host)
        # Gone with the boot that it approved.
        host.offer_update(10)
        self.wait_state(host, "waiting-for-approval")

    def test_an_approval_can_be_withdrawn_and_expires(self):
        host = self.host(LOCKSMITHD_APPROVAL="yes")
        self.assertNotEqual(self.call(host, "WithdrawApproval").returncode, 0)
        host.ctl("approve")
        host.ctl("approve", "--withdraw")
        host.offer_update()
        self.wait_state(host, "waiting-for-approval")
        self.call(host, "Approve", "ts", now_usec() - 1, "")
        self.stays(host, "waiting-for-approval")
        # A file that another tool writes is seen at once.
        path = host.root / "run/locksmith/approved"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self.wait_rebooted(host)

    def test_a_window_that_is_closed(self):
        host = self.host(**far_window())
        host.offer_update()
        self.wait_state(host, "waiting-for-window")
        self.assertAlmostEqual(int(host.property("NextUsec")), now_usec() + 6 * HOUR_USEC,
                               delta=65e6)
        self.assertFalse(self.condition(host, "window")[0])
        host.ctl("reboot-now")
        self.wait_rebooted(host)

    def test_inhibitors_block_even_a_person(self):
        host = self.host()
        host.do("add-inhibitor", "shutdown:sleep", "backup", "it runs", "block")
        host.do("add-inhibitor", "shutdown", "other", "it can wait", "delay")
        host.offer_update()
        self.wait_state(host, "waiting-for-inhibitor", "backup blocks the shutdown: it runs")
        host.ctl("reboot-now")
        self.stays(host, "waiting-for-inhibitor")
        host.do("remove-inhibitor", "backup")
        self.wait_rebooted(host)

    def test_conditions_are_all_shown(self):
        host = self.host(**far_window())
        host.do("add-inhibitor", "shutdown", "backup", "it runs", "block")
        self.until(host, "logind to be heard",
                   lambda: "backup" in self.condition(host, "inhibitors")[1])
        self.assertEqual(self.condition(host, "update"), (False, "nothing to reboot for"))
        self.assertFalse(self.condition(host, "window")[0])
        self.assertTrue(self.condition(host, "pause")[0])
        self.assertTrue(self.condition(host, "lock")[0])


class Users(HostTest):
    def login(self, host, id="1", user="alice"):
        host.do("add-session", id, user, "user", f"pts/{id}", "", "active")

    def test_they_leave(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="10m")
        self.login(host)
        self.login(host, "2", "bob")
        host.offer_update()
        self.wait_state(host, "waiting-for-users", "alice and others: warned, until")
        self.assertAlmostEqual(int(host.property("NextUsec")), now_usec() + HOUR_USEC / 6,
                               delta=30e6)
        self.assertIn("reboots in 10min", host.log_text())
        host.do("remove-session", "2")
        self.wait_state(host, "waiting-for-users", "alice: warned, until")
        host.do("remove-session", "1")
        self.wait_rebooted(host)

    def test_their_time_ends(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="1s")
        self.login(host)
        host.offer_update()
        self.wait_state(host, "waiting-for-users")
        self.wait_rebooted(host)
        self.assertIn("reboots now", host.log_text())

    def test_a_second_warning(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="61s")
        self.login(host)
        host.offer_update()
        self.wait_log(host, "reboots in 1min 1s")
        self.until(host, "the second warning",
                   lambda: "reboots in 1min\n" in host.log_text() or "reboots in 59s" in
                   host.log_text() or "reboots in 60s" in host.log_text())
        self.assertEqual(host.property("State"), "waiting-for-users")

    def test_those_who_are_none_are_not_asked(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="10m")
        host.do("add-session", "1", "gdm", "greeter", "tty1", "seat0", "active")
        host.do("add-session", "2", "alice", "user", "", "", "active")
        host.offer_update()
        self.wait_rebooted(host)

    def test_a_newer_version_is_a_new_reboot(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="10m")
        self.login(host)
        host.offer_update()
        self.wait_property(host, "Version", "2.0.0")
        self.wait_state(host, "waiting-for-users")
        host.offer_update(3)
        self.wait_property(host, "Version", "3.0.0")
        self.until(host, "another warning", lambda: host.log_text().count("reboots in 10min") == 2)

    def test_an_update_that_is_withdrawn(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="10m")
        self.login(host)
        host.offer_update()
        self.wait_state(host, "waiting-for-users")
        host.withdraw_update()
        self.wait_state(host, "idle")
        self.assertEqual(host.property("Version"), "")
        host.do("remove-session", "1")
        self.stays(host, "idle")

    def test_reboot_now_does_not_wait_for_them(self):
        host = self.host(LOCKSMITHD_LOGIN_GRACE="10m")
        self.login(host)
        host.offer_update()
        self.wait_state(host, "waiting-for-users")
        host.ctl("reboot-now")
        self.wait_rebooted(host)


class UpdateEngine(HostTest):
    def test_what_others_say_does_not_count(self):
        host = self.host()
        forged = [*UPDATE_SIGNAL, "0", "0", NEED_REBOOT, "6.6.6", "0"]
        run(["busctl", f"--address={host.bus}", "emit", *forged])
        run(["dbus-send", f"--address={host.bus}", "--type=signal",
             "--dest=com.coreos.locksmith1", UPDATE_SIGNAL[0],
             f"{UPDATE_SIGNAL[1]}.StatusUpdate", "int64:0", "double:0", f"string:{NEED_REBOOT}",
             "string:6.6.6", "int64:0"])
        self.stays(host, "idle")
        host.ctl("pause", "1h")
        host.offer_update()
        self.wait_state(host, "paused")
        forged = [*UPDATE_SIGNAL, "0", "0", IDLE, "0.0.0", "0"]
        run(["busctl", f"--address={host.bus}", "emit", *forged])
        self.stays(host, "paused")

    def test_what_it_said_before_is_asked_for(self):
        host = self.host(starts=False)
        host.offer_update()
        host.start_daemon()
        self.wait_rebooted(host)

    def test_it_comes_later_and_comes_again(self):
        host = self.host()
        host.ctl("pause", "1h")
        host.do("release", "com.coreos.update1")
        host.offer_update()
        self.wait_state(host, "idle", "update-engine has not said yet")
        host.do("own", "com.coreos.update1")
        self.wait_state(host, "paused")
        host.do("release", "com.coreos.update1")
        self.wait_state(host, "idle")
        host.do("own", "com.coreos.update1")
        self.wait_state(host, "paused")

    def test_a_version_that_is_not_given(self):
        host = self.host()
        host.ctl("pause", "1h")
        host.do("update", NEED_REBOOT, "0.0.0")
        self.wait_state(host, "paused")
        self.assertEqual(host.property("Version"), "")
        self.assertEqual(host.property("Trigger"), "update-engine")

    def test_a_person_asks_for_a_reboot(self):
        host = self.host()
        host.ctl("pause", "1h")
        host.ctl("send-need-reboot")
        self.wait_state(host, "paused")
        self.assertEqual(host.property("Trigger"), "person")
        host.ctl("resume")
        self.wait_rebooted(host)
        self.wait_state(host, "idle")

    def test_a_persons_wish_is_no_second_one(self):
        host = self.host()
        host.ctl("pause", "1h")
        host.offer_update()
        self.wait_state(host, "paused")
        host.ctl("send-need-reboot")
        self.assertEqual(host.property("Trigger"), "update-engine")
        host.withdraw_update()
        self.wait_state(host, "idle")

    def test_reboot_required(self):
        host = self.host(LOCKSMITHD_REBOOT_REQUIRED="yes")
        host.ctl("pause", "1h")
        (host.root / "run/reboot-required").write_text("")
        self.wait_state(host, "paused")
        self.assertEqual(host.property("Trigger"), "reboot-required")
        (host.root / "run/reboot-required").unlink()
        self.wait_state(host, "idle")

    def test_reboot_required_is_not_read_unless_told(self):
        host = self.host()
        (host.root / "run/reboot-required").write_text("")
        self.stays(host, "idle")


if __name__ == "__main__":
    main()
