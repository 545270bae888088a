#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One locksmithd without a lock: its hooks, logind that refuses, buses that go, configurations that
are wrong, and what is owed after a boot."""
import fcntl
import os
import signal

from fleet import BOOT_COMPLETE
from host_test import HOUR_USEC, HostTest, far_window, now_usec
from lab import OS_NAME, main, program, run


class Hooks(HostTest):
    def test_their_order_and_what_they_are_told(self):
        host = self.host()
        for kind in ("reboot-check", "pre-reboot", "post-boot"):
            self.hook(host, kind, "10-note", "")
        host.offer_update()
        self.wait_rebooted(host)
        self.until(host, "post-boot.d", lambda: "post-boot booted  " in self.hooks_run(host))
        self.assertEqual(self.hooks_run(host),
                         ["reboot-check check 2.0.0 update-engine",
                          "pre-reboot reboot 2.0.0 update-engine",
                          "reboot-check check 2.0.0 update-engine",
                          "post-boot booted  "])

    def test_a_veto_before_anything(self):
        host = self.host()
        veto = self.hook(host, "reboot-check", "10-ceph", "echo the cluster is not healthy; exit 1")
        self.hook(host, "post-boot", "10-note", "")
        self.until(host, "the boot to be settled", lambda: host.property("Release") == "done")
        host.offer_update()
        self.wait_state(host, "waiting-for-check", "10-ceph")
        self.assertIn("10-ceph", host.property("LastError"))
        self.assertIn("the cluster is not healthy", host.log_text())
        self.assertGreater(int(host.property("NextUsec")), now_usec())
        self.assertEqual(self.asked(host), [])
        veto.unlink()
        host.ctl("reboot-now")
        self.wait_rebooted(host)
        # Nothing had to be undone.
        self.assertNotIn("post-boot cancelled 2.0.0 update-engine", self.hooks_run(host))

    def test_a_veto_of_the_drain_is_undone(self):
        host = self.host()
        self.hook(host, "pre-reboot", "10-drain", "exit 7")
        self.hook(host, "post-boot", "10-note", "")
        host.offer_update()
        self.wait_state(host, "waiting-for-check", "10-drain")
        self.assertIn("post-boot cancelled 2.0.0 update-engine", self.hooks_run(host))
        self.assertEqual(self.asked(host), [])
        self.call(host, "RebootNow", "t", "1")
        self.wait_rebooted(host)
        self.assertEqual(self.hooks_run(host).count("pre-reboot reboot 2.0.0 update-engine"), 1)

    def test_a_hook_that_hangs(self):
        host = self.host(LOCKSMITHD_HOOK_TIMEOUT="1s")
        self.hook(host, "pre-reboot", "10-hang", "sleep 1000")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        self.wait_state(host, "waiting-for-check", "10-hang")
        self.assertEqual(self.asked(host), [])

    def test_withdrawn_while_it_drains(self):
        host = self.host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        self.hook(host, "post-boot", "10-note", "")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.withdraw_update()
        self.wait_state(host, "idle")
        self.assertIn("post-boot cancelled  ", self.hooks_run(host))
        self.stays(host, "idle")

    def test_killed_while_it_drains(self):
        host = self.host()
        drain = self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        self.hook(host, "post-boot", "10-note", "")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.end_daemon(signal.SIGKILL)
        drain.unlink()
        host.withdraw_update()
        host.start_daemon()
        self.until(host, "the drain to be undone",
                   lambda: "post-boot cancelled  " in self.hooks_run(host))
        self.wait_state(host, "idle")


class Logind(HostTest):
    def test_it_refuses(self):
        host = self.host()
        self.hook(host, "post-boot", "10-note", "")
        host.do("reboot", "refuse")
        host.offer_update()
        self.wait_state(host, "waiting-for-check", "logind refuses the reboot")
        self.assertIn("logind refuses", host.property("LastError"))
        self.assertIn("post-boot cancelled 2.0.0 update-engine", self.hooks_run(host))
        host.do("reboot", "accept")
        host.ctl("reboot-now")
        self.wait_rebooted(host)

    def test_it_agrees_and_nothing_happens(self):
        host = self.host(LOCKSMITHD_REBOOT_TIMEOUT="1s")
        host.do("reboot", "nothing")
        host.offer_update()
        self.wait_state(host, "rebooting")
        self.assertEqual(self.coordinator(host)["STATE"], "rebooting")
        self.wait_state(host, "waiting-for-check", "did not go down")

    def test_it_is_away(self):
        host = self.host()
        host.do("release", "org.freedesktop.login1")
        host.offer_update()
        self.wait_state(host, "waiting-for-inhibitor", "logind does not answer")
        host.do("own", "org.freedesktop.login1")
        self.wait_rebooted(host)


class Bus(HostTest):
    def test_it_goes_and_comes(self):
        host = self.host()
        host.ctl("pause", "1h")
        host.offer_update()
        self.wait_state(host, "paused")
        pid = host.daemon.pid
        host.restart_bus()
        self.wait_state(host, "paused")
        host.ctl("resume")
        self.wait_rebooted(host)
        self.assertEqual(host.unexpected, [])
        self.assertNotEqual(host.daemon.pid, pid)

    def test_it_comes_after_the_daemon(self):
        host = self.host(starts=False)
        self.lab.end(host.bus_process, signal.SIGKILL)
        host.end_fake()
        host.socket.unlink(missing_ok=True)
        host.start_daemon()
        self.wait_log(host, "cannot reach the bus")
        host.start_bus()
        self.wait_bus(host)
        host.start_fake()
        host.do("unit", BOOT_COMPLETE, "active")
        host.offer_update()
        self.wait_rebooted(host)

    def test_two_daemons(self):
        host = self.host()
        other = run([program("locksmithd"), "--root", host.root, "--bus", host.bus], check=False)
        self.assertEqual(other.returncode, 3, other.stderr)
        self.assertIn("coordinat", other.stderr)
        elsewhere = host.folder / "elsewhere"
        (elsewhere / "etc").mkdir(parents=True)
        other = run([program("locksmithd"), "--root", elsewhere, "--bus", host.bus,
                     "--machine-id", "m2", "--boot-id", "b2"], check=False,
                    env={**os.environ, "REBOOT_STRATEGY": "reboot"})
        self.assertEqual(other.returncode, 3, other.stderr)

    def test_who_may_change_what(self):
        host = self.host()
        if os.geteuid() != 0:
            self.skipTest("needs root to be somebody else")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "busctl",
                  f"--address={host.bus}"]
        os.chmod(self.lab.folder, 0o755)
        names = ["com.coreos.locksmith1", "/com/coreos/locksmith1",
                 "com.coreos.locksmith1.Manager"]
        self.assertEqual(run([*nobody, "get-property", *names, "State"]).stdout, 's "idle"\n')
        for call in (["Pause", "ts", now_usec() + HOUR_USEC, ""], ["Resume"],
                     ["RebootNow", "t", "0"], ["SendNeedReboot"], ["Approve", "ts", "0", ""],
                     ["WithdrawApproval"], ["Reload"]):
            with self.subTest(call[0]):
                done = run([*nobody, "call", *names, *call], check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("denied", done.stderr)
        self.assertEqual(host.property("PausedUntilUsec"), "0")

    def test_flags_that_are_not_known(self):
        host = self.host()
        host.ctl("pause", "1h")
        host.offer_update()
        self.wait_state(host, "paused")
        self.assertNotEqual(self.call(host, "RebootNow", "t", "6").returncode, 0)
        self.stays(host, "paused")


class Configuration(HostTest):
    def test_a_bad_one_at_start(self):
        host = self.host(starts=False)
        for line, words in (("REBOOT_STRATEGY=sometimes", "REBOOT_STRATEGY"),
                            ("REBOOT_WINDOW_START=4:00", "WINDOW"),
                            ("LOCKSMITHD_ENDPOINT=127.0.0.1:2379", "LOCKSMITHD_ENDPOINT"),
                            ("LOCKSMITHD_REBOOT_WINDOW_START=4:00\n"
                             "LOCKSMITHD_REBOOT_WINDOW_LENGTH=a while", "LENGTH")):
            with self.subTest(line):
                (host.root / f"etc/{OS_NAME}/update.conf").write_text(line + "\n")
                done = run([program("locksmithd"), "--root", host.root, "--bus", host.bus],
                           check=False)
                self.assertEqual(done.returncode, 4, done.stderr)
                self.assertIn(f"etc/{OS_NAME}/update.conf:", done.stderr)
                self.assertIn(words, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_a_bad_one_is_not_taken_later(self):
        host = self.host()
        host.write_config(REBOOT_STRATEGY="sometimes")
        done = self.call(host, "Reload")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("REBOOT_STRATEGY", done.stderr)
        self.assertIn("update.conf:", done.stderr)
        self.assertEqual(host.property("Strategy"), "reboot")
        self.assertIn("REBOOT_STRATEGY", host.property("LastError"))
        host.daemon.send_signal(signal.SIGHUP)
        self.until(host, "the second complaint",
                   lambda: host.log_text().count("the configuration stays as it was") == 2)
        host.offer_update()
        self.wait_rebooted_with(host)

    def wait_rebooted_with(self, host):
        """The next boot begins with the file as it should be."""
        host.write_config(REBOOT_STRATEGY="reboot")
        self.wait_rebooted(host)

    def test_a_good_one_counts_at_once(self):
        host = self.host(**far_window())
        host.offer_update()
        self.wait_state(host, "waiting-for-window")
        host.config.pop("REBOOT_WINDOW_START")
        host.config.pop("REBOOT_WINDOW_LENGTH")
        host.write_config()
        host.daemon.send_signal(signal.SIGHUP)
        self.wait_rebooted(host)

    def test_off(self):
        host = self.host(REBOOT_STRATEGY="off")
        host.offer_update()
        self.wait_state(host, "off")
        self.stays(host, "off")
        self.assertEqual(self.coordinator(host), {})
        self.assertNotEqual(host.ctl("reboot-now", check=False).returncode, 0)
        self.assertNotEqual(host.ctl("send-need-reboot", check=False).returncode, 0)
        # Others may coordinate meanwhile; then it cannot be switched on.
        path = host.root / "run/update-engine/coordinator.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            host.write_config(REBOOT_STRATEGY="reboot")
            self.assertNotEqual(self.call(host, "Reload").returncode, 0)
            self.stays(host, "off")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.wait_rebooted(host)

    def test_switched_off_on_the_way(self):
        host = self.host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        self.hook(host, "post-boot", "10-note", "")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.write_config(REBOOT_STRATEGY="off")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.wait_state(host, "off")
        self.assertIn("post-boot cancelled 2.0.0 update-engine", self.hooks_run(host))

    def test_another_coordinator(self):
        host = self.host(starts=False)
        path = host.root / "run/update-engine/coordinator.conf"
        path.parent.mkdir(parents=True)
        with open(path, "w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            done = run([program("locksmithd"), "--root", host.root, "--bus", host.bus],
                       check=False)
        self.assertEqual(done.returncode, 3, done.stderr)

    def test_a_root_that_is_none(self):
        done = run([program("locksmithd"), "--root", "/nonexistent"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent", done.stderr)


class AfterTheBoot(HostTest):
    def test_post_boot_waits_until_the_boot_is_good(self):
        host = self.host(is_good=False)
        self.hook(host, "post-boot", "10-note", "")
        self.wait_property(host, "Release", "waiting-for-boot")
        self.assertEqual(self.hooks_run(host), [])
        host.do("unit", BOOT_COMPLETE, "active")
        self.wait_property(host, "Release", "done")
        self.assertEqual(self.hooks_run(host), ["post-boot booted  "])
        # Once for each boot.
        host.end_daemon()
        host.start_daemon()
        self.wait_there(host)
        self.assertEqual(host.property("Release"), "done")
        self.assertEqual(self.hooks_run(host), ["post-boot booted  "])

    def test_a_host_that_waits_for_nothing(self):
        host = self.host(is_good=False, LOCKSMITHD_WAIT_BOOT_COMPLETE="no")
        self.wait_property(host, "Release", "done")

    def test_waiting_is_switched_off_on_the_way(self):
        host = self.host(is_good=False)
        self.wait_property(host, "Release", "waiting-for-boot")
        host.write_config(LOCKSMITHD_WAIT_BOOT_COMPLETE="no")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.wait_property(host, "Release", "done")

    def test_no_systemd(self):
        host = self.host(is_good=False)
        host.do("release", "org.freedesktop.systemd1")
        self.until(host, "the way out",
                   lambda: "LOCKSMITHD_WAIT_BOOT_COMPLETE=no" in host.property("ReleaseText"))
        host.do("own", "org.freedesktop.systemd1")
        host.do("unit", BOOT_COMPLETE, "active")
        self.wait_property(host, "Release", "done")

    def test_a_health_check_that_says_no(self):
        host = self.host(LOCKSMITHD_HEALTH_CHECK="test -e /proc/no-such-file")
        self.wait_property(host, "Release", "running-check")
        self.wait_log(host, "running-check")

    def test_post_boot_that_fails_is_run_again(self):
        host = self.host(starts=False)
        self.hook(host, "post-boot", "10-uncordon", "exit 1")
        host.start_daemon()
        self.wait_there(host)
        self.until(host, "the reason",
                   lambda: "10-uncordon" in host.property("ReleaseText"))
        self.assertEqual(host.property("Release"), "running-hooks")
        self.assertIn("10-uncordon", host.log_text())


if __name__ == "__main__":
    main()
