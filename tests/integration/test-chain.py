#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet whose hosts all have an update at once: every host reboots and ends updated, and at no
revision of the store, and at no moment of the clock, more of them are away than max."""
import os
import time
import unittest

import etcd
from fleet import Away, EngineHost, Fleet, program
from go_locksmith import GoHost, GoLocksmith
from lab import Lab, main, run, wait_for
from lock_observer import grants_of, history_v2, history_v3, most_holders, problems_of
from machine_test import MachineTest

STORES = {"etcd-v3": history_v3, "etcd-v2": history_v2}


class ChainTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def cluster(self, n=3, **more):
        cluster = etcd.Cluster(self.lab, n=n, v2=True, **more)
        cluster.start()
        self.addCleanup(cluster.stop)
        return cluster

    def fleet(self, n, cluster, **more):
        fleet = Fleet(self.lab, n, cluster.urls, **more)
        self.addCleanup(fleet.close)
        return fleet

    def set_max(self, cluster, store, n):
        run([program("locksmithctl"), "-endpoint", cluster.endpoints, "set-max", n],
            env={**os.environ, "LOCKSMITHCTL_STORE": store})

    def history(self, cluster, store):
        return STORES[store](cluster.urls[0])

    def assert_kept(self, cluster, store, away, maximum, n_grants):
        """The promise, as the store tells it and as the hosts lived it."""
        changes = self.history(cluster, store)
        self.assertEqual(problems_of(changes), [])
        self.assertLessEqual(most_holders(changes), maximum)
        self.assertEqual(changes[-1].holders, [], "a lock was left")
        self.assertEqual(len(grants_of(changes)), n_grants, "each host held it once")
        self.assertLessEqual(away.most, maximum, "more hosts were away than max")
        return changes

    def run_chain(self, n, maximum, store, binary=None, members=3):
        cluster = self.cluster(members, binary=binary)
        fleet = self.fleet(n, cluster, store=store)
        if maximum != 1:
            self.set_max(cluster, store, maximum)
        fleet.start()
        started = time.monotonic()
        fleet.offer_update()

        def is_over():
            return fleet.is_updated() and not self.history(cluster, store)[-1].holders
        fleet.run_until("all hosts are updated", fleet.is_updated)
        fleet.run_until("the last lock is back", is_over)
        seconds = time.monotonic() - started
        changes = self.assert_kept(cluster, store, fleet.away, maximum, n)
        self.assertEqual(sorted(set(fleet.away.order)), sorted(fleet.away.order), "rebooted twice")
        self.assertEqual([host.unexpected for host in fleet.hosts], [[]] * n)
        print(f"# {store}, max {maximum}: {n} hosts in {seconds:.1f} s, at most "
              f"{fleet.away.most} away, {len(changes)} changes")
        return fleet


class Chain(ChainTest):
    def test_twenty_hosts_v3_max_1(self):
        self.run_chain(20, 1, "etcd-v3")

    def test_twenty_hosts_v3_max_3(self):
        fleet = self.run_chain(20, 3, "etcd-v3")
        self.assertGreater(fleet.away.most, 1, "max 3 was not made use of")

    def test_twenty_hosts_v2_max_1(self):
        self.run_chain(20, 1, "etcd-v2")

    def test_twenty_hosts_v2_max_3(self):
        self.run_chain(20, 3, "etcd-v2")


class RealEngine(MachineTest):
    """The whole way: installed by update-engine, rebooted into by locksmithd's word, marked good. One
    engine dies meanwhile, and knows of its update when it is back."""

    def test_three_machines_with_update_engine(self):
        cluster = etcd.Cluster(self.lab, n=1)
        cluster.start()
        self.addCleanup(cluster.stop)
        fleet = Fleet(self.lab, 0, cluster.urls)
        self.addCleanup(fleet.close)
        for i in range(3):
            machine = self.machine()
            machine.versions["USR-B"] = "2.0.0"
            fleet.hosts.append(EngineHost(machine, self.payload, fleet.away, fleet.config_of(i)))
        fleet.start()
        for host in fleet.hosts:
            wait_for("the engine", host.machine._answers, logs=[host.machine.log])
        fleet.offer_update()
        last = fleet.hosts[-1]
        last.later(0.1, last.restart_engine)
        fleet.run_until("all are updated", fleet.is_updated)
        fleet.run_until("the last lock is back",
                        lambda: not history_v3(cluster.urls[0])[-1].holders)
        changes = history_v3(cluster.urls[0])
        self.assertEqual(problems_of(changes), [])
        self.assertEqual((most_holders(changes), fleet.away.most), (1, 1))
        for host in fleet.hosts:
            self.assertEqual((host.machine.running, host.n_reboots), ("USR-B", 1))
            host.machine.running_before = host.machine.slot_sha256("USR-B")
            self.assertTrue(host.machine.slots()["USR-B"].successful)


class NewerEtcd(ChainTest):
    def run_with(self, pick):
        found = etcd.newer()
        if not found:
            self.skipTest("no newer etcd can be had: tests/install-etcd says why")
        version, binary = pick(found)
        print(f"# etcd {version}")
        self.run_chain(5, 1, "etcd-v3", binary=binary, members=1)
        return version, binary

    def test_etcd_of_debian_13(self):
        self.run_with(lambda found: found[0])

    def test_newest_etcd(self):
        self.run_with(lambda found: found[-1])


class MixedWithGo(ChainTest):
    """Go locksmith's hosts and ours in one group, on v2 keys."""

    def run_mixed(self, n_ours, n_go, maximum):
        cluster = self.cluster()
        away = Away()
        gone = [GoHost(cluster.urls[i % 3], f"go{i}", 0.1, 0.05, lambda i=i: away.goes(f"go{i}"),
                       lambda i=i: away.is_back(f"go{i}")) for i in range(n_go)]
        fleet = self.fleet(n_ours, cluster, store="etcd-v2") if n_ours else None
        if maximum != 1:
            self.set_max(cluster, "etcd-v2", maximum)
        if fleet:
            for host in fleet.hosts:
                host.away = away
            fleet.start()
            fleet.offer_update()
        for host in gone:
            host.start()
            self.addCleanup(host.join)
            self.addCleanup(host.stopping.set)

        def is_over():
            return (all(host.is_done for host in gone) and (not fleet or fleet.is_updated())
                    and not self.history(cluster, "etcd-v2")[-1].holders)
        if fleet:
            fleet.run_until("both kinds are done", is_over)
        else:
            for host in gone:
                host.join(60)
        self.assert_kept(cluster, "etcd-v2", away, maximum, n_ours + n_go)

    def test_go_alone(self):
        """The player of Go's requests itself, so that a failure below is not its own."""
        self.run_mixed(0, 6, 1)

    def test_go_and_ours_max_1(self):
        self.run_mixed(6, 6, 1)

    def test_go_and_ours_max_3(self):
        self.run_mixed(6, 6, 3)

    def test_documents_are_byte_for_byte_those_of_go(self):
        cluster = self.cluster(1)
        go = GoLocksmith(cluster.urls[0], "m1")
        environment = {**os.environ, "LOCKSMITHCTL_STORE": "etcd-v2"}

        def ctl(*args):
            run([program("locksmithctl"), "-endpoint", cluster.endpoints, *args], env=environment)
        ctl("lock", "m0")
        ctl("unlock", "m0")
        ctl("set-max", "2")
        go.lock()
        ctl("lock", "m0")
        go.unlock()
        ctl("unlock", "m0")
        self.assertEqual([c.text for c in self.history(cluster, "etcd-v2")], [
            # Where Go writes an empty one first, ours comes with its holder.
            '{"semaphore":0,"max":1,"holders":["m0"]}',
            '{"semaphore":1,"max":1,"holders":[]}',
            '{"semaphore":2,"max":2,"holders":[]}',
            '{"semaphore":1,"max":2,"holders":["m1"]}',
            '{"semaphore":0,"max":2,"holders":["m0","m1"]}',
            '{"semaphore":1,"max":2,"holders":["m0"]}',
            '{"semaphore":2,"max":2,"holders":[]}'])


if __name__ == "__main__":
    main()
