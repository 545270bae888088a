#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What may go wrong while a lock is taken and while it is given back. After each of it: never more
hosts away than max, at any revision of the store and at any moment; no lock is lost for ever; and
the whole fleet ends updated."""
import contextlib
import os
import random
import signal
import time
import unittest

import etcd
from fleet import Fleet, program
from lab import Lab, main
from lock_observer import KEY, grants_of, history_v2, history_v3, most_holders, problems_of
from lossy_proxy import LossyProxy, Rule, is_lock, is_unlock

N_HOSTS = 3
N_KILLS = 50
DAY = 24 * 60 * 60


def moment(when, fleet):
    """Of the first host's lock or unlock; an unlock before its reboot would be another's."""
    host = fleet.hosts[0]
    return is_lock(host.name) if when == "lock" else is_unlock(lambda: host.n_reboots > 0)


class FaultTest(unittest.TestCase):
    """A cluster for the class, behind a proxy for each member; for each test a fleet whose group is
    its own. A test that spoils the cluster makes itself another."""
    n_members = 3
    store = "etcd-v3"

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.n_groups = 0
        cls.cluster, cls.proxies = cls.make_cluster(cls.n_members)

    @classmethod
    def make_cluster(cls, n, **more):
        cls.n_groups += 1
        cluster = etcd.Cluster(cls.lab, n=n, v2=True, name=f"etcd-{cls.n_groups}-", **more)
        cluster.start()
        cls.addClassCleanup(cluster.stop)
        proxies = [LossyProxy(url) for url in cluster.urls]
        for proxy in proxies:
            cls.addClassCleanup(proxy.close)
        return cluster, proxies

    def setUp(self):
        type(self).n_groups += 1
        self.group = f"group{self.n_groups}"
        self.key = KEY.replace("semaphore", f"groups/{self.group}/semaphore")
        self.addCleanup(self.calm_down)

    def calm_down(self):
        for proxy in self.proxies:
            proxy.clear()
            proxy.silence(False)

    def fleet(self, n=N_HOSTS, **config):
        config = {"LOCKSMITHD_GROUP": self.group, **config}
        fleet = Fleet(self.lab, n, [p.url for p in self.proxies], self.store, config,
                      name=self.group)
        self.addCleanup(fleet.close)
        fleet.start()
        return fleet

    def history(self):
        if self.store == "etcd-v2":
            return self.cluster.any(lambda member: history_v2(member.url, self.key))
        if self.cluster.token:
            self.cluster.token = self.cluster.authenticate()  # it may have expired
        return self.cluster.any(lambda member: history_v3(member.url, self.key, self.cluster.token))

    def on(self, matches, action="pass", **more):
        """A rule that holds for all members."""
        rule = Rule(matches, action, **more)
        for proxy in self.proxies:
            proxy.add(rule)
        return rule

    def is_over(self, fleet):
        """Also where etcd is not there at the moment."""
        with contextlib.suppress(OSError, RuntimeError, etcd.Refused):
            return fleet.is_updated() and not self.history()[-1].holders
        return False

    def assert_survives(self, fleet, rule=None, is_quiet=True):
        """Runs the fleet to its end, and judges all that was. is_quiet: no daemon ended by itself,
        which it may when its bus is gone."""
        started = time.monotonic()
        fleet.run_until("the whole fleet is updated", fleet.is_updated)
        fleet.run_until("no lock is held", lambda: self.is_over(fleet))
        changes = self.history()
        print(f"# {time.monotonic() - started:.1f} s, {len(changes)} changes")
        self.assertEqual(problems_of(changes), [])
        self.assertEqual(most_holders(changes), 1)
        self.assertEqual(fleet.away.most, 1, "more hosts were away than max")
        self.assertEqual(set(grants_of(changes)), {host.name for host in fleet.hosts})
        if rule is not None:
            self.assertGreater(rule.n_taken, 0, "the fault did not take place")
        if is_quiet:
            self.assertEqual([host.unexpected for host in fleet.hosts], [[]] * len(fleet.hosts))


class Connections(FaultTest):
    """Replies and connections are lost on the way."""

    def run_action(self, when, action, times=1):
        fleet = self.fleet()
        rule = self.on(moment(when, fleet), action, times=times)
        fleet.offer_update()
        self.assert_survives(fleet, rule)

    def test_reply_dropped_during_lock(self):
        self.run_action("lock", "drop-reply")

    def test_reply_dropped_during_unlock(self):
        self.run_action("unlock", "drop-reply")

    def test_three_replies_dropped_during_lock(self):
        self.run_action("lock", "drop-reply", times=3)

    def test_three_replies_dropped_during_unlock(self):
        self.run_action("unlock", "drop-reply", times=3)

    def test_connection_cut_during_lock(self):
        self.run_action("lock", "cut")

    def test_connection_cut_during_unlock(self):
        self.run_action("unlock", "cut")

    def test_half_a_reply_during_lock(self):
        self.run_action("lock", "half-reply")

    def test_half_a_reply_during_unlock(self):
        self.run_action("unlock", "half-reply")

    def run_silence(self, when):
        """All of etcd takes connections and says nothing, from the moment of the write on."""
        fleet = self.fleet()

        def silence():
            for proxy in self.proxies:
                proxy.silence()
            fleet.later(3, self.calm_down)
        rule = self.on(moment(when, fleet), before=fleet.in_turn(silence))
        fleet.offer_update()
        self.assert_survives(fleet, rule)

    def test_etcd_silent_during_lock(self):
        self.run_silence("lock")

    def test_etcd_silent_during_unlock(self):
        self.run_silence("unlock")

    def test_answer_swallowed_during_lock(self):
        self.run_action("lock", "swallow")

    def test_answer_swallowed_during_unlock(self):
        self.run_action("unlock", "swallow")


class ConnectionsV2(Connections):
    store = "etcd-v2"


class Members(FaultTest):
    """Members die, stop and come back."""

    def run_fault(self, when, fault, repair=None, **more):
        fleet = self.fleet(**more)
        members = []

        def happen():
            members.extend(fault())
            if repair:
                fleet.later(2, lambda: [repair(member) for member in members])
        rule = self.on(moment(when, fleet), before=fleet.in_turn(happen))
        fleet.offer_update()
        try:
            self.assert_survives(fleet, rule)
        finally:
            for member in members:
                if repair and not member.is_running():
                    member.start("existing")
                member.resume()
            for member in self.cluster.members:
                member.wait_healthy()

    def kill_leader(self):
        leader = self.cluster.leader()
        leader.kill()
        return [leader]

    def stop_followers(self):
        followers = self.cluster.followers()
        for member in followers:
            member.pause()
        return followers

    def kill_all(self):
        for member in self.cluster.members:
            member.kill()
        return self.cluster.members

    def test_leader_killed_during_lock(self):
        self.run_fault("lock", self.kill_leader, lambda m: m.start("existing"))

    def test_leader_killed_during_unlock(self):
        self.run_fault("unlock", self.kill_leader, lambda m: m.start("existing"))

    def test_quorum_lost_and_back_during_lock(self):
        self.run_fault("lock", self.stop_followers, lambda m: m.resume())

    def test_quorum_lost_and_back_during_unlock(self):
        self.run_fault("unlock", self.stop_followers, lambda m: m.resume())

    def test_all_killed_and_back_with_data_during_lock(self):
        self.run_fault("lock", self.kill_all, lambda m: m.start("existing"))

    def test_all_killed_and_back_with_data_during_unlock(self):
        self.run_fault("unlock", self.kill_all, lambda m: m.start("existing"))


class MembersV2(FaultTest):
    store = "etcd-v2"
    run_fault, kill_leader = Members.run_fault, Members.kill_leader
    stop_followers = Members.stop_followers
    test_leader_killed_during_lock = Members.test_leader_killed_during_lock
    test_leader_killed_during_unlock = Members.test_leader_killed_during_unlock
    test_quorum_lost_and_back_during_lock = Members.test_quorum_lost_and_back_during_lock
    test_quorum_lost_and_back_during_unlock = Members.test_quorum_lost_and_back_during_unlock


class Spoiled(FaultTest):
    """What a cluster does not come back from as it was. Each test has one of its own."""
    n_members = 1

    def own_cluster(self, n=3, **more):
        self.cluster, self.proxies = self.make_cluster(n, **more)
        return self.cluster

    def run_member_removed(self, when):
        # Else etcd wants five seconds without a failure first.
        cluster = self.own_cluster(more=["--strict-reconfig-check=false"])
        fleet = self.fleet()

        def remove():
            victim = cluster.members[0]
            listed = cluster.v3("/v3/cluster/member/list", {}, member=cluster.members[1])
            found = next(m for m in listed["members"] if m["name"] == victim.name)
            cluster.v3("/v3/cluster/member/remove", {"ID": found["ID"]}, member=cluster.members[1])
            cluster.members.remove(victim)
        rule = self.on(moment(when, fleet), before=fleet.in_turn(remove))
        fleet.offer_update()
        self.assert_survives(fleet, rule)

    def test_member_removed_during_lock(self):
        self.run_member_removed("lock")

    def test_member_removed_during_unlock(self):
        self.run_member_removed("unlock")

    def run_token_lost(self, when):
        """A member that is started again knows no token any more, like after its time."""
        cluster = self.own_cluster(1)
        cluster.enable_auth()
        fleet = self.fleet(LOCKSMITHD_ETCD_USERNAME="node1", LOCKSMITHD_ETCD_PASSWORD="nodepw")

        def restart():
            cluster.members[0].kill()
            cluster.members[0].start("existing")
            cluster.members[0].wait_healthy()
            cluster.token = cluster.authenticate()
        rule = self.on(moment(when, fleet), before=fleet.in_turn(restart))
        fleet.offer_update()
        self.assert_survives(fleet, rule)

    def test_token_lost_during_lock(self):
        self.run_token_lost("lock")

    def test_token_lost_during_unlock(self):
        self.run_token_lost("unlock")

    def test_token_expired(self):
        """Who waits for the lock asks nothing for longer than its token lives."""
        if not etcd.newer():
            self.skipTest("only etcd 3.5 can be told how long a token lives")
        cluster = self.own_cluster(1, binary=etcd.newer()[0][1], more=["--auth-token-ttl", "1"])
        cluster.enable_auth()
        fleet = self.fleet(2, LOCKSMITHD_ETCD_USERNAME="node1", LOCKSMITHD_ETCD_PASSWORD="nodepw")
        for host in fleet.hosts:
            host.boot_seconds = 3
        fleet.offer_update()
        self.assert_survives(fleet)

    def test_store_without_its_data_is_refused(self):
        """One host is away with the lock; etcd comes back empty. Nobody else may think that the
        lock is free, and the reason must be seen."""
        cluster = self.own_cluster(1)
        fleet = self.fleet()
        first, second, third = fleet.hosts
        first.boot_seconds = 3600
        first.offer_update()
        fleet.run_until("the first is away", lambda: first.is_away)
        second.offer_update()
        third.offer_update()
        fleet.run_until("the others wait", lambda: all(
            h.property("State") == "waiting-for-lock" for h in (second, third)))
        cluster.members[0].kill()
        cluster.members[0].wipe()
        cluster.members[0].start()
        cluster.members[0].wait_healthy()
        for host in (second, third):
            fleet.run_until("it says so", lambda host=host: "gone" in host.property("Text"))
        self.assertEqual(fleet.away.most, 1)
        self.assertEqual(self.history(), [], "a host made the semaphore anew")
        # A person waits for the host that is away, and then does as the message says.
        first.complete_boot()
        for host in (second, third):
            host.end_daemon()
            host.start_daemon()
        for host in (second, third):
            fleet.run_until("it still knows", lambda host=host: "gone" in host.property("Text"))
        self.assertEqual(self.history(), [], "a host forgot the semaphore over a restart")
        first.ctl("set-max", 1)
        fleet.run_until("the whole fleet is updated", fleet.is_updated)
        self.assertEqual(problems_of(self.history()), [])
        self.assertEqual(fleet.away.most, 1)


class Around(FaultTest):
    """What may happen on the host itself. host0 has the fault, the others are as ever."""
    n_members = 1

    def run_at(self, when, fault, is_quiet=True):
        fleet = self.fleet()
        host = fleet.hosts[0]
        rule = self.on(moment(when, fleet), before=fleet.in_turn(lambda: fault(host)))
        fleet.offer_update()
        self.assert_survives(fleet, rule, is_quiet=is_quiet)

    # The bus and who is on it.

    def test_bus_restarted_during_lock(self):
        self.run_at("lock", lambda host: host.restart_bus(), is_quiet=False)

    def test_bus_restarted_during_unlock(self):
        self.run_at("unlock", lambda host: host.restart_bus(), is_quiet=False)

    def restart_engine(self, host):
        host.do("release", "com.coreos.update1")
        host.later(0.5, lambda: host.do("own", "com.coreos.update1"))

    def test_update_engine_restarted_during_lock(self):
        self.run_at("lock", self.restart_engine)

    def test_update_engine_restarted_during_unlock(self):
        self.run_at("unlock", self.restart_engine)

    # Hooks.

    def write_hook(self, host, kind, text):
        folder = host.root / f"etc/locksmith/{kind}.d"
        folder.mkdir(parents=True, exist_ok=True)
        hook = folder / "10-test"
        hook.write_text("#!/bin/sh\n" + text)
        hook.chmod(0o755)
        return hook

    def run_hanging_hook(self, kind):
        fleet = self.fleet(LOCKSMITHD_HOOK_TIMEOUT="1s")
        host = fleet.hosts[0]
        mark = host.folder / "mark"
        hook = self.write_hook(host, kind, f"touch {mark}\nexec sleep 1000\n")
        fleet.offer_update()
        fleet.run_until("the hook hangs", mark.exists)
        hook.unlink()
        if kind != "post-boot":
            fleet.run_until("it is ended", lambda: "10-test" in host.property("LastError"))
            host.ctl("reboot-now")
        self.assert_survives(fleet)

    def test_hook_hangs_during_lock(self):
        self.run_hanging_hook("pre-reboot")

    def test_hook_hangs_before_lock(self):
        self.run_hanging_hook("reboot-check")

    def test_hook_hangs_during_unlock(self):
        self.run_hanging_hook("post-boot")

    # The clock.

    def run_clock_step(self, when, step):
        """The machine's clock must not be stepped here; the daemon's view of it is (step-clock)."""
        fleet = self.fleet()
        host = fleet.hosts[0]
        file = host.folder / "ahead"
        file.write_text("0")
        host.environment = {"LD_PRELOAD": program("step-clock.so"), "STEP_CLOCK_FILE": str(file),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}
        host.end_daemon()
        host.start_daemon()

        def step_clock():
            file.write_text(str(step))
            host.daemon.send_signal(signal.SIGUSR2)
        rule = self.on(moment(when, fleet), before=fleet.in_turn(step_clock))
        fleet.offer_update()
        self.assert_survives(fleet, rule)

    def test_clock_a_day_on_during_lock(self):
        self.run_clock_step("lock", DAY)

    def test_clock_a_day_back_during_lock(self):
        self.run_clock_step("lock", -DAY)

    def test_clock_a_day_on_during_unlock(self):
        self.run_clock_step("unlock", DAY)

    def test_clock_a_day_back_during_unlock(self):
        self.run_clock_step("unlock", -DAY)


class Logind(FaultTest):
    """logind does not reboot: the lock comes back and others go on, the reason is shown, and when
    logind does as it should the host reboots as well."""
    n_members = 1

    def run_mode(self, mode, by_hand):
        fleet = self.fleet(LOCKSMITHD_REBOOT_TIMEOUT="1s")
        host, *others = fleet.hosts
        host.do("reboot", mode)
        host.offer_update()
        fleet.run_until("the host asks logind", lambda: any(
            report["what"] == "reboot" for report in host.reports))
        for other in others:
            other.offer_update()
        fleet.run_until("the others are updated",
                        lambda: all(other.is_updated() for other in others))
        self.assertFalse(host.is_updated())
        self.assertIn("reboot", host.property("LastError"))
        host.do("reboot", "accept")
        if by_hand:
            host.ctl("reboot-now")
        self.assert_survives(fleet)

    def test_bus_goes_away_while_logind_is_asked(self):
        """logind was asked, its answer is lost, and it reboots all the same, a while later: until
        then the lock must be held."""
        fleet = self.fleet()
        host, *others = fleet.hosts
        host.do("reboot", "no-reply")
        host.offer_update()
        fleet.run_until("the host asks logind", lambda: any(
            report["what"] == "reboot" for report in host.reports))
        for other in others:
            other.boot_seconds = 2
            other.offer_update()
        host.restart_bus()
        fleet.later(1, host.reboot)
        self.assert_survives(fleet)

    def test_logind_refuses(self):
        self.run_mode("refuse", by_hand=False)

    def test_logind_says_yes_and_does_nothing(self):
        self.run_mode("nothing", by_hand=True)

    def test_logind_never_answers(self):
        self.run_mode("no-reply", by_hand=True)


class Killed(FaultTest):
    """The daemon itself is ended with -9 and started again."""
    n_members = 1

    def run_kill(self, when, action, side):
        fleet = self.fleet()
        host = fleet.hosts[0]
        rule = self.on(moment(when, fleet), action, **{side: fleet.in_turn(host.kill_daemon)})
        fleet.offer_update()
        self.assert_survives(fleet, rule)

    def test_killed_before_the_lock_is_written(self):
        self.run_kill("lock", "cut", "before")

    def test_killed_when_the_lock_is_written(self):
        self.run_kill("lock", "drop-reply", "after")

    def test_killed_before_the_unlock_is_written(self):
        self.run_kill("unlock", "cut", "before")

    def test_killed_when_the_unlock_is_written(self):
        self.run_kill("unlock", "drop-reply", "after")

    def test_killed_at_50_random_moments(self):
        """Again and again an update for all, while daemons die; the seed is printed."""
        seed = int(os.environ.get("SEED", "0")) or random.randrange(1 << 32)
        print(f"# SEED={seed}")
        dice = random.Random(seed)
        fleet = self.fleet()
        n_kills, n_rounds, next_kill = 0, 0, time.monotonic()

        def go_on():
            nonlocal n_kills, n_rounds, next_kill
            now = time.monotonic()
            for host in fleet.hosts:
                if host.is_updated():
                    host.offer_update()
                    n_rounds += 1
            host = dice.choice(fleet.hosts)
            if now >= next_kill and host.daemon is not None and host.daemon.poll() is None:
                host.kill_daemon()
                n_kills += 1
                next_kill = now + dice.uniform(0, 0.4)
            return n_kills >= N_KILLS
        fleet.run_until(f"{N_KILLS} kills", go_on)
        self.assert_survives(fleet)
        print(f"# {n_kills} kills in {n_rounds} updates")
        self.assertGreater(n_rounds, N_HOSTS, "the fleet must get on in spite of the kills")


if __name__ == "__main__":
    main()
