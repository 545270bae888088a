#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One locksmithd and the cluster's lock in a real etcd: taken last, given back when the reboot is
refused and after the next boot, kept over a restart of the daemon; and best-effort's decision."""
import contextlib
import json
import signal

import etcd
from host_test import HostTest
from lab import main, run

ROOT_KEY = "coreos.com/updateengine/rebootlock/"


class LockTest(HostTest):
    strategy = "etcd-lock"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = etcd.Cluster(cls.lab)
        cls.cluster.start()

    def lock_host(self, **more):
        """A host of a group of its own."""
        group = f"group{type(self).n_hosts + 1}-{type(self).__name__}"
        more = {"LOCKSMITHD_ENDPOINT": self.cluster.urls[0], "LOCKSMITHD_GROUP": group, **more}
        host = self.host(**more)
        host.group = group
        return host

    def key(self, host):
        return f"{ROOT_KEY}groups/{host.group}/semaphore"

    def holders(self, host):
        text = self.cluster.get(self.key(host))
        return json.loads(text)["holders"] or [] if text else []

    def take_for(self, host, other):
        host.ctl("lock", other)

    def wait_released(self, host):
        self.wait_property(host, "Release", "done")
        self.wait_property(host, "Holds", "no")
        self.assertEqual(self.holders(host), [])


class Lock(LockTest):
    def test_held_over_the_reboot_until_the_boot_is_good(self):
        host = self.lock_host()
        self.wait_released(host)
        host.boot_seconds = 3600
        self.hook(host, "pre-reboot", "10-note", "")
        self.hook(host, "post-boot", "10-note", "")
        host.offer_update()
        self.until(host, "the reboot", lambda: host.n_reboots)
        self.wait_property(host, "Release", "waiting-for-boot")
        self.assertEqual(self.holders(host), [host.name])
        self.assertEqual(host.property("Holds"), "unknown")
        host.complete_boot()
        self.wait_released(host)
        self.assertEqual(self.hooks_run(host),
                         ["pre-reboot reboot 2.0.0 update-engine", "post-boot booted  "])

    def test_waits_for_its_turn(self):
        host = self.lock_host()
        self.take_for(host, "other")
        host.offer_update()
        self.wait_state(host, "waiting-for-lock", "other")
        self.assertEqual(host.property("Holds"), "no")
        self.stays(host, "waiting-for-lock")
        host.ctl("unlock", "other")
        self.wait_rebooted(host)
        self.wait_released(host)

    def test_waiting_long_is_told_as_an_error(self):
        host = self.lock_host(LOCKSMITHD_LOCK_WARNING="1s")
        self.take_for(host, "other")
        host.offer_update()
        self.until(host, "the first complaint",
                   lambda: "has waited" in host.property("LastError"))
        self.until(host, "the next one", lambda: host.log_text().count("has waited") >= 2)
        self.assertIn("other", host.property("LastError"))

    def test_a_newer_version_while_it_waits(self):
        host = self.lock_host()
        self.take_for(host, "other")
        host.offer_update()
        self.wait_state(host, "waiting-for-lock")
        host.offer_update(3)
        self.wait_property(host, "Version", "3.0.0")
        self.wait_state(host, "waiting-for-lock")
        host.ctl("unlock", "other")
        self.wait_rebooted(host)
        self.assertEqual(host.version, 3)

    def test_withdrawn_while_it_waits(self):
        host = self.lock_host()
        self.take_for(host, "other")
        host.offer_update()
        self.wait_state(host, "waiting-for-lock")
        host.withdraw_update()
        self.wait_state(host, "idle")
        host.ctl("unlock", "other")
        self.stays(host, "idle")
        self.assertEqual(self.holders(host), [])

    def test_users_who_come_while_it_waits_are_warned(self):
        host = self.lock_host(LOCKSMITHD_LOGIN_GRACE="10m")
        self.take_for(host, "other")
        host.offer_update()
        self.wait_state(host, "waiting-for-lock")
        host.do("add-session", "1", "alice", "user", "pts/1", "", "active")
        self.wait_state(host, "waiting-for-users", "alice")
        host.ctl("unlock", "other")
        self.stays(host, "waiting-for-users")
        self.assertEqual(self.holders(host), [])
        host.do("remove-session", "1")
        self.wait_rebooted(host)

    def test_given_back_when_a_hook_says_no(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", "exit 1")
        host.offer_update()
        self.wait_state(host, "waiting-for-check", "10-drain")
        self.assertEqual(self.holders(host), [])
        self.assertEqual(host.property("Holds"), "no")
        # It was held while the hook ran.
        self.assertIn("this host holds the lock", host.log_text())

    def test_given_back_when_logind_refuses(self):
        host = self.lock_host()
        host.do("reboot", "refuse")
        host.offer_update()
        self.wait_state(host, "waiting-for-check", "logind refuses")
        self.assertEqual(self.holders(host), [])

    def test_given_back_when_nothing_happens(self):
        host = self.lock_host(LOCKSMITHD_REBOOT_TIMEOUT="1s")
        host.do("reboot", "nothing")
        host.offer_update()
        self.wait_state(host, "rebooting")
        self.assertEqual(self.holders(host), [host.name])
        self.wait_state(host, "waiting-for-check", "did not go down")
        self.assertEqual(self.holders(host), [])

    def test_kept_when_logind_reboots_already(self):
        """A daemon that was killed after logind's yes asks again, and hears that."""
        host = self.lock_host()
        host.do("reboot", "in-progress")
        host.offer_update()
        self.wait_log(host, "already")
        self.assertEqual(host.property("State"), "rebooting")
        self.assertEqual(self.holders(host), [host.name])

    def test_kept_when_another_lock_is_configured_after_logind_said_yes(self):
        host = self.lock_host(LOCKSMITHD_REBOOT_TIMEOUT="2s")
        host.do("reboot", "nothing")
        host.offer_update()
        self.until(host, "the question", lambda: self.asked(host))
        self.wait_state(host, "rebooting")
        host.write_config(LOCKSMITHD_GROUP="after-yes")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.assertEqual(host.property("State"), "rebooting")
        self.assertEqual(self.holders(host), [host.name])
        # Where the reboot does not come, it changes over.
        self.until(host, "the old lock to be given back", lambda: self.holders(host) == [])
        self.wait_property(host, "Group", "after-yes")

    def test_two_reloads_while_it_is_held(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        self.hook(host, "post-boot", "10-undrain", "sleep 1")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.write_config(LOCKSMITHD_GROUP="twice")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.wait_state(host, "backing-out")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.until(host, "the old lock to be given back", lambda: self.holders(host) == [])
        old, host.group = host.group, "twice"
        self.until(host, "the new one", lambda: self.holders(host) == [host.name])
        host.group = old
        self.assertEqual(self.holders(host), [])

    def test_not_given_back_before_the_boot_is_good(self):
        """Also when it was wanted for another reboot, which does not come."""
        host = self.lock_host()
        self.wait_released(host)
        host.boot_seconds = 3600
        host.offer_update()
        self.until(host, "the reboot", lambda: host.n_reboots)
        self.wait_property(host, "Release", "waiting-for-boot")
        drain = self.hook(host, "pre-reboot", "10-drain", "exit 1")
        host.offer_update(5)
        self.wait_state(host, "waiting-for-check", "10-drain")
        self.assertEqual(self.holders(host), [host.name])
        # Nor by a daemon that is started again.
        host.end_daemon(signal.SIGKILL)
        host.withdraw_update()
        host.start_daemon()
        self.wait_there(host)
        self.wait_property(host, "Release", "waiting-for-boot")
        self.wait_state(host, "idle")
        self.assertEqual(self.holders(host), [host.name])
        drain.unlink()
        host.complete_boot()
        self.wait_released(host)

    def test_not_asked_for_where_it_cannot_be_noted(self):
        host = self.lock_host()
        self.wait_released(host)
        folder = host.root / "var/lib/locksmith"
        self.assertEqual(list(folder.parent.glob("locksmith/reboot")), [])
        with contextlib.suppress(FileNotFoundError):
            folder.rename(host.folder / "away")
        folder.write_text("")
        host.offer_update()
        self.wait_state(host, "waiting-for-check", "the lock is not asked for")
        self.assertEqual(self.holders(host), [])
        self.assertIn("var/lib/locksmith/reboot", host.property("LastError"))
        folder.unlink()
        host.ctl("reboot-now")
        self.wait_rebooted(host)

    def test_hooks_are_skipped_once(self):
        host = self.lock_host()
        self.take_for(host, "other")
        self.hook(host, "pre-reboot", "10-drain", "")
        host.offer_update()
        self.wait_state(host, "waiting-for-lock")
        host.ctl("reboot-now", "--skip-hooks")
        host.withdraw_update()
        self.wait_state(host, "idle")
        host.ctl("unlock", "other")
        host.offer_update(4)
        self.wait_rebooted(host)
        self.assertEqual(len(self.hooks_run(host)), 1)

    def test_given_back_when_a_condition_ends(self):
        host = self.lock_host(LOCKSMITHD_APPROVAL="yes", LOCKSMITHD_REBOOT_TIMEOUT="10m")
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        self.hook(host, "post-boot", "10-note", "")
        ends = {
            "idle": (host.withdraw_update, lambda: None),
            "paused": (lambda: host.ctl("pause", "1h"), lambda: host.ctl("resume")),
            "waiting-for-approval": (lambda: host.ctl("approve", "--withdraw"), lambda: None),
            "waiting-for-inhibitor": (
                lambda: host.do("add-inhibitor", "shutdown", "backup", "it runs", "block"),
                lambda: host.do("remove-inhibitor", "backup")),
        }
        for n, (state, (end, undo)) in enumerate(ends.items()):
            with self.subTest(state):
                host.ctl("approve")
                host.offer_update(2 + n)
                self.wait_state(host, "running-hooks")
                self.assertEqual(self.holders(host), [host.name])
                end()
                self.wait_state(host, state)
                self.assertEqual(self.holders(host), [])
                host.withdraw_update()
                self.wait_state(host, "idle")
                undo()
        self.assertEqual(len([line for line in self.hooks_run(host) if "cancelled" in line]), 4)

    def test_sigterm_keeps_it(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.daemon.terminate()
        self.assertEqual(host.daemon.wait(20), 0)
        host.daemon = None
        self.assertEqual(self.holders(host), [host.name])
        # The update still waits: the daemon that is started again goes on.
        (host.root / "etc/locksmith/pre-reboot.d/10-drain").unlink()
        host.start_daemon()
        self.wait_rebooted(host)
        self.wait_released(host)

    def test_killed_and_not_wanted_any_more(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.end_daemon(signal.SIGKILL)
        host.withdraw_update()
        host.start_daemon()
        self.wait_state(host, "idle")
        self.until(host, "the release", lambda: self.holders(host) == [])

    def test_a_lock_that_an_admin_took_away(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", f"until [ -e {host.folder}/go ]; do :; done")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.ctl("unlock")
        self.take_for(host, "other")
        (host.folder / "go").write_text("")
        self.wait_state(host, "waiting-for-check", "the lock is not certain any more")
        self.assertEqual(self.asked(host), [])
        self.assertEqual(self.holders(host), ["other"])

    def test_another_machine_with_our_id(self):
        """A cloned image: both share one place. It cannot be told from a host that was renamed, so
        it is said, and not refused."""
        host = self.lock_host()
        self.wait_released(host)
        facts = self.key(host).replace("semaphore", f"holders/{host.name}")
        self.cluster.put(facts, '{"host":"the-original"}')
        self.cluster.put(self.key(host), f'{{"semaphore":0,"max":1,"holders":["{host.name}"]}}')
        host.offer_update()
        self.wait_log(host, f"under this machine's id {host.name} by host the-original")
        self.wait_rebooted(host)
        self.wait_released(host)
        self.assertIsNone(self.cluster.get(facts))

    def test_etcd_is_away(self):
        host = self.lock_host()
        self.wait_released(host)
        member = self.cluster.members[0]
        member.stop()
        try:
            host.offer_update()
            self.wait_state(host, "waiting-for-lock", self.cluster.urls[0].split("//")[1])
            self.assertGreater(int(host.property("NextUsec")), 0)
        finally:
            member.start()
            member.wait_healthy()
        self.wait_rebooted(host)
        self.wait_released(host)

    def test_etcd_is_away_after_the_boot(self):
        host = self.lock_host()
        self.wait_released(host)
        host.boot_seconds = 3600
        host.offer_update()
        self.until(host, "the reboot", lambda: host.n_reboots)
        self.wait_property(host, "Release", "waiting-for-boot")
        member = self.cluster.members[0]
        member.stop()
        try:
            host.complete_boot()
            self.wait_property(host, "Release", "retrying")
            self.until(host, "the reason", lambda: host.property("ReleaseText"))
            self.wait_log(host, "the lock is not given back yet: ")
        finally:
            member.start()
            member.wait_healthy()
        self.wait_released(host)

    def test_given_back_whatever_the_strategy_is_now(self):
        for strategy in ("reboot", "off", "best-effort"):
            with self.subTest(strategy):
                host = self.lock_host()
                self.wait_released(host)
                host.boot_seconds = 3600
                host.offer_update()
                self.until(host, "the reboot", lambda: host.n_reboots)
                host.end_daemon()
                host.write_config(REBOOT_STRATEGY=strategy)
                host.start_daemon()
                self.wait_property(host, "Release", "waiting-for-boot")
                host.complete_boot()
                self.wait_released(host)

    def test_a_host_that_is_not_well_keeps_it(self):
        host = self.lock_host()
        healthy = host.folder / "healthy"
        healthy.write_text("")
        host.write_config(LOCKSMITHD_HEALTH_CHECK=f"test -e {healthy}")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        host.offer_update()
        self.until(host, "the reboot", lambda: host.n_reboots)
        healthy.unlink()
        self.until(host, "the check", lambda: host.property("Release") == "running-check")
        self.assertEqual(self.holders(host), [host.name])
        # Wanted for another reboot, it is not given back in between.
        host.offer_update(5)
        self.wait_rebooted(host, 2)

    def test_another_group_while_it_is_held(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        host.write_config(LOCKSMITHD_GROUP="another")
        self.assertEqual(self.call(host, "Reload").returncode, 0)
        self.until(host, "the old lock to be given back", lambda: self.holders(host) == [])
        host.group = "another"
        self.until(host, "the new one", lambda: self.holders(host) == [host.name])
        self.assertEqual(host.property("Group"), "another")

    def test_facts_of_the_holder(self):
        host = self.lock_host()
        self.hook(host, "pre-reboot", "10-drain", "sleep 1000")
        host.offer_update()
        self.wait_state(host, "running-hooks")
        status = json.loads(host.ctl("status", "--json").stdout)
        self.assertIn(host.name, json.dumps(status))
        self.assertIn("2.0.0", json.dumps(status))


class BestEffort(HostTest):
    strategy = "best-effort"

    def alone(self, link="up"):
        """In a network namespace of its own, where nobody else's etcd listens."""
        return ["unshare", "-n", "sh", "-c", f'ip link set lo {link}; exec "$@"', "sh"]

    def setUp(self):
        if run(["unshare", "-n", "ip", "link", "set", "lo", "up"], check=False).returncode != 0:
            self.skipTest("no network namespaces here")

    def test_no_etcd(self):
        host = self.host(prefix=self.alone())
        self.assertEqual(host.property("Decision"), "")
        host.ctl("pause", "1h")
        host.offer_update()
        self.wait_state(host, "paused")
        self.assertEqual(host.property("Decision"), "")
        host.ctl("resume")
        self.wait_rebooted(host)
        self.assertIn("decided: reboot: best-effort", host.log_text())

    def test_no_clear_answer(self):
        host = self.host(prefix=self.alone("down"))
        host.offer_update()
        self.wait_state(host, "waiting-for-lock", "127.0.0.1:2379")
        self.stays(host, "waiting-for-lock")
        self.assertIn("best-effort waits", host.property("LastError"))

    def test_a_local_etcd(self):
        data = self.lab.folder / "local-etcd"
        host = self.host(prefix=[*self.alone()[:-2],
                                 f'ip link set lo up; etcd --data-dir {data} >{data}.log 2>&1 & '
                                 f'echo $! >{data}.pid; exec "$@"', "sh"])
        self.addCleanup(self.end_etcd, data)
        self.until(host, "etcd", lambda: "ready to serve" in (data.parent / "local-etcd.log")
                   .read_text())
        host.do("reboot", "nothing")
        host.offer_update()
        self.until(host, "the lock", lambda: "this host holds the lock" in host.log_text())
        self.assertIn("decided: etcd-lock: best-effort", host.log_text())

    def end_etcd(self, data):
        pid = int((data.parent / "local-etcd.pid").read_text())
        run(["kill", "-9", pid], check=False)

    def test_endpoints_that_are_set(self):
        port = etcd.free_ports(1)[0]
        host = self.host(LOCKSMITHD_ENDPOINT=f"http://127.0.0.1:{port}")
        self.assertIn("LOCKSMITHD_ENDPOINT is set", host.property("Decision"))
        host.offer_update()
        self.wait_state(host, "waiting-for-lock")
        self.stays(host, "waiting-for-lock")


if __name__ == "__main__":
    main()
