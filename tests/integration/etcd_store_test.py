# SPDX-License-Identifier: Apache-2.0
"""What the two etcd stores must do with a real etcd: both APIs, users, TLS, members that die, hang
and come back. store-tool drives a store as the daemon does; the cluster itself is the second
opinion. test-etcd.py and test-etcd-newer.py say with which etcd."""
import contextlib
import json
import select
import subprocess
import time
import unittest

import etcd
from lab import DEADLINE, Lab, program, wait_for

ROOT = "coreos.com/updateengine/rebootlock/"
KEY = ROOT + "semaphore"
FREE = '{"semaphore":1,"max":1,"holders":[]}'
HELD = '{"semaphore":0,"max":1,"holders":["m1"]}'
FACTS = '{"host":"h1","boot_id":"b","version":"1","since":7}'


class Store:
    """One store of ours, kept open between its requests."""

    def __init__(self, lab, api, endpoints, **options):
        self.log = lab.folder / "store-tool.log"
        arguments = [program("store-tool"), api, endpoints]
        arguments += [f"{name}={value}" for name, value in options.items()]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=log,
                                            stdout=subprocess.PIPE, text=True)
        lab.processes.append(self.process)

    def start(self, do, **request):
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()

    def answer(self, seconds=DEADLINE):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise AssertionError(f"no answer within {seconds} s")
        return json.loads(self.process.stdout.readline())

    def ask(self, do, **request):
        self.start(do, **request)
        return self.answer()

    def read(self):
        answer = self.ask("read")
        if answer["result"] != "done":
            raise AssertionError(f"read: {answer}")
        return answer["content"]

    def swap(self, revision, document, **more):
        return self.ask("swap", revision=revision, document=document, **more)


class StoreTest(unittest.TestCase):
    """What every test needs; binary: the etcd under test, None for the one in PATH."""
    binary = None

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def cluster(self, **options):
        cluster = etcd.Cluster(self.lab, binary=self.binary, **options)
        return cluster.start()

    def store(self, api, cluster, **options):
        endpoints = cluster if isinstance(cluster, str) else cluster.endpoints
        store = Store(self.lab, api, endpoints, **options)
        self.addCleanup(store.process.stdout.close)
        self.addCleanup(store.process.stdin.close)
        return store

    def assert_done(self, answer):
        self.assertEqual(answer["result"], "done", answer)

    def assert_refused(self, answer, word, result="refused"):
        self.assertEqual(answer["result"], result, answer)
        self.assertIn(word, answer["error"])

    def stored(self, api, cluster, key=KEY):
        return cluster.v2_get("/" + key) if api == "v2" else cluster.get(key)

    def delete(self, api, cluster, key=KEY):
        if api == "v3":
            cluster.delete(key)
        else:
            cluster.members[0].ask(f"/v2/keys/{key}", method="DELETE")


class Both:
    """What v3 and v2 have in common; api is one of them."""

    def one(self, **options):
        return self.cluster(v2=self.api == "v2", **options)

    def test_a_semaphore_begins_changes_and_is_listed(self):
        cluster = self.one()
        store = self.store(self.api, cluster)
        self.assertFalse(store.read()["exists"])
        self.assertEqual(store.ask("list")["names"], [])
        self.assert_done(store.swap(0, FREE))
        self.assertEqual(self.stored(self.api, cluster), FREE)
        before = store.read()
        self.assertEqual((before["exists"], before["document"]), (True, FREE))
        self.assert_done(store.swap(before["revision"], HELD, put="m1", facts=FACTS))
        held = store.read()
        self.assertEqual((held["document"], held["facts"]), (HELD, {"m1": FACTS}))
        self.assertEqual(store.ask("list")["names"], [""])
        self.assert_done(store.swap(held["revision"], FREE, drop="m1"))
        self.assertEqual(store.read()["facts"], {})
        self.assertEqual(self.stored(self.api, cluster), FREE)

    def test_who_was_slower_writes_nothing(self):
        cluster = self.one()
        store = self.store(self.api, cluster)
        self.assert_done(store.swap(0, FREE))
        answer = store.swap(0, HELD, put="m1", facts=FACTS)
        self.assertEqual(answer["result"], "conflict")
        first = store.read()
        self.assertEqual((first["document"], first["facts"]), (FREE, {}))
        self.assert_done(store.swap(first["revision"], HELD))
        answer = store.swap(first["revision"], FREE)
        self.assertEqual(answer["result"], "conflict")
        if self.api == "v3":  # tells what there is, which saves a round trip
            self.assertEqual(answer["content"]["document"], HELD)
        self.assertEqual(store.read()["document"], HELD)

    def test_a_key_that_was_deleted_and_made_again_is_another(self):
        cluster = self.one()
        store = self.store(self.api, cluster)
        self.assert_done(store.swap(0, FREE))
        old = store.read()["revision"]
        self.delete(self.api, cluster)
        answer = store.swap(old, HELD)
        self.assertEqual(answer["result"], "conflict")
        self.assertFalse(answer["content"]["exists"])
        self.assert_done(store.swap(0, FREE))
        self.assertEqual(store.swap(old, HELD)["result"], "conflict")
        self.assertEqual(store.read()["document"], FREE)

    def test_groups_have_go_locksmiths_keys(self):
        cluster = self.one()
        for group, escaped in (("workers", "workers"), ("a/b", "a%2Fb"), ("sp ace", "sp+ace"),
                               ("x?y#z%", "x%3Fy%23z%25"), ("ü", "%C3%BC")):
            store = self.store(self.api, cluster, group=group)
            self.assert_done(store.swap(0, FREE, put="m/1", facts=FACTS))
            folder = f"{ROOT}groups/{escaped}/"
            if self.api == "v3":
                self.assertEqual(cluster.get(folder + "semaphore"), FREE)
                self.assertEqual(cluster.get(folder + "holders/m%2F1"), FACTS)
            else:
                twice = folder.replace("%", "%25")
                self.assertEqual(cluster.v2_get(f"/{twice}semaphore"), FREE)
                self.assertEqual(cluster.v2_get(f"/{twice}holders/m%252F1"), FACTS)
            self.assertEqual(store.read()["facts"], {"m/1": FACTS})
        self.assertEqual(sorted(store.ask("list")["names"]),
                         sorted(["workers", "a/b", "sp ace", "x?y#z%", "ü"]))

    def test_a_watch_calls_when_another_host_writes(self):
        cluster = self.one()
        store, other = self.store(self.api, cluster), self.store(self.api, cluster)
        self.assert_done(other.swap(0, FREE))
        revision = store.read()["revision"]
        store.ask("watch", revision=revision)
        self.assertEqual(store.ask("await", seconds=0.5)["changes"], 0)
        store.start("await", seconds=DEADLINE)
        start = time.monotonic()
        self.assert_done(other.swap(revision, HELD))
        self.assertEqual(store.answer()["changes"], 1)
        self.assertLess(time.monotonic() - start, 1)
        store.start("await", seconds=DEADLINE)
        self.delete(self.api, cluster)
        self.assertEqual(store.answer()["changes"], 1)

    def test_a_watch_outlives_its_etcd(self):
        cluster = self.one()
        store = self.store(self.api, cluster)
        self.assert_done(store.swap(0, FREE))
        revision = store.read()["revision"]
        store.ask("watch", revision=revision)
        store.ask("await", seconds=0.3)
        cluster.members[0].kill()
        store.ask("await", seconds=0.3)
        cluster.members[0].start()
        cluster.members[0].wait_healthy()
        self.assert_done(self.store(self.api, cluster).swap(revision, HELD))
        self.assertEqual(store.ask("await", seconds=DEADLINE)["changes"], 1)

    def test_an_etcd_that_comes_back_with_its_data_is_found(self):
        cluster = self.one()
        store = self.store(self.api, cluster)
        self.assert_done(store.swap(0, HELD, put="m1", facts=FACTS))
        revision = store.read()["revision"]
        cluster.members[0].kill()
        answer = store.ask("read")
        self.assertEqual(answer["result"], "unreachable")
        answer = store.swap(revision, FREE)
        self.assertIn(answer["result"], ("unreachable", "unknown"))
        cluster.members[0].start()
        cluster.members[0].wait_healthy()
        self.assertEqual(store.read()["document"], HELD)
        self.assert_done(store.swap(revision, FREE, drop="m1"))

    def test_an_etcd_that_says_nothing_is_left_for_the_next(self):
        cluster = self.one()
        silent = self.one(name="silent")
        silent.members[0].pause()
        store = self.store(self.api, f"{silent.urls[0]},{cluster.urls[0]}")
        start = time.monotonic()
        self.assert_done(store.ask("read"))
        self.assertGreater(time.monotonic() - start, 9)
        start = time.monotonic()
        self.assert_done(store.ask("read"))
        self.assertLess(time.monotonic() - start, 5)
        silent.members[0].resume()

    def test_a_cluster_goes_on_without_its_leader(self):
        cluster = self.one(n=3)
        store, other = self.store(self.api, cluster), self.store(self.api, cluster)
        self.assert_done(store.swap(0, FREE))
        revision = store.read()["revision"]
        other.ask("watch", revision=revision)
        other.ask("await", seconds=0.2)
        cluster.leader().kill()
        answer = None
        for _ in range(3):  # a write that the dead leader may have had is not known
            answer = store.swap(revision, HELD)
            if answer["result"] == "done" or store.read()["document"] == HELD:
                break
        self.assertEqual(store.read()["document"], HELD, answer)
        self.assertEqual(other.ask("await", seconds=DEADLINE)["changes"], 1)
        rest = [m for m in cluster.members if m.is_running()]
        self.assertEqual(len(rest), 2)

    def test_a_write_that_timed_out_is_unknown_and_may_be_done(self):
        cluster = self.one(n=3)
        first = self.store(self.api, cluster)
        self.assert_done(first.swap(0, FREE))
        revision = first.read()["revision"]
        leader, followers = cluster.leader(), cluster.followers()
        store = self.store(self.api, leader.url)
        self.assertEqual(store.read()["revision"], revision)
        for member in followers:
            member.pause()
        answer = store.swap(revision, HELD)  # the leader has it, and nobody else
        self.assertEqual(answer["result"], "unknown", answer)
        self.assertIn("not known", answer["error"])
        self.assertNotEqual(store.ask("read")["result"], "done")  # never a stale answer
        for member in followers:
            member.resume()
        cluster.leader()
        # Committed, unless the followers had not heard of the leader for so long that they chose
        # another one, who knows nothing of it.
        document = store.read()["document"]
        self.assertIn(document, [HELD] if cluster.leader() is leader else [HELD, FREE])

    def test_nobody_reads_or_writes_without_a_majority(self):
        cluster = self.one(n=3)
        store = self.store(self.api, cluster)
        self.assert_done(store.swap(0, FREE))
        revision = store.read()["revision"]
        for member in cluster.followers():
            member.kill()
        wait_for("the last member to notice",
                 lambda: not any(m.is_running() and m.is_healthy() for m in cluster.members))
        self.assertEqual(store.ask("read")["result"], "unreachable")
        answer = store.swap(revision, HELD)
        # v3 says at once that nothing was written; v2 cannot
        self.assertEqual(answer["result"], "unreachable" if self.api == "v3" else "unknown", answer)
        self.assertIn("enough members up", answer["error"])

    def test_tls_needs_no_more_than_the_authority(self):
        cluster = self.one(tls="server")
        store = self.store(self.api, cluster, ca=cluster.ca)
        self.assert_done(store.swap(0, FREE))
        self.assertEqual(store.read()["document"], FREE)
        self.assert_refused(self.store(self.api, cluster).ask("read"), "certificate",
                            "unreachable")
        plain = cluster.urls[0].replace("https", "http")
        self.assertEqual(self.store(self.api, plain).ask("read")["result"], "unreachable")

    def test_tls_with_a_client_certificate(self):
        cluster = self.one(tls="client")
        for name in (None, "node1"):  # without users a CommonName does no harm
            certificate, key = cluster.client_certificate(common_name=name)
            store = self.store(self.api, cluster, ca=cluster.ca, cert=certificate, key=key)
            self.assert_done(store.ask("read"))
        self.assertEqual(self.store(self.api, cluster, ca=cluster.ca).ask("read")["result"],
                         "unreachable")


class V3(Both):
    api = "v3"

    def test_a_token_is_fetched_and_renewed(self):
        cluster = self.cluster()
        cluster.enable_auth()
        store = self.store("v3", cluster, user="node1", password="nodepw")
        self.assert_done(store.swap(0, HELD, put="m1", facts=FACTS))
        store.ask("watch", revision=store.read()["revision"])
        self.assertEqual(store.ask("await", seconds=0.3)["changes"], 0)
        cluster.members[0].kill()  # forgets the tokens
        cluster.members[0].start()
        cluster.members[0].wait_healthy()
        held = store.read()
        self.assertEqual(held["facts"], {"m1": FACTS})
        self.assert_done(store.swap(held["revision"], FREE, drop="m1"))
        self.assertEqual(store.ask("await", seconds=DEADLINE)["changes"], 1)

    def test_wrong_users_are_told_what_to_do(self):
        cluster = self.cluster()
        cluster.enable_auth(prefix="somewhere/else/")
        wrong = self.store("v3", cluster, user="node1", password="wrong")
        self.assert_refused(wrong.ask("read"), "wrong user or password")
        nobody = self.store("v3", cluster)
        self.assert_refused(nobody.ask("read"), "wants a user and a password")
        stranger = self.store("v3", cluster, user="node1", password="nodepw")
        self.assert_refused(stranger.ask("read"), "READWRITE")
        self.assert_refused(stranger.swap(0, FREE), "READWRITE")

    def test_users_that_are_not_switched_on_do_no_harm(self):
        cluster = self.cluster()
        store = self.store("v3", cluster, user="node1", password="nodepw")
        self.assert_done(store.swap(0, FREE))
        cluster.enable_auth()
        self.assertEqual(store.read()["document"], FREE)  # logs in now

    def test_a_common_name_is_named_as_the_reason(self):
        cluster = self.cluster(tls="client")
        cluster.enable_auth()
        user = {"user": "node1", "password": "nodepw", "ca": cluster.ca}
        certificate, key = cluster.client_certificate("bare")
        good = self.store("v3", cluster, cert=certificate, key=key, **user)
        self.assert_done(good.swap(0, FREE))
        certificate, key = cluster.client_certificate("named", common_name="node1")
        bad = self.store("v3", cluster, cert=certificate, key=key, **user)
        self.assert_refused(bad.ask("read"), "CommonName")

    def test_a_gateway_that_is_off_is_named(self):
        cluster = self.cluster(more=["--enable-grpc-gateway=false"])
        store = self.store("v3", cluster)
        self.assert_refused(store.ask("read"), "--enable-grpc-gateway=false")

    def test_a_watch_begins_again_after_a_compaction(self):
        cluster = self.cluster()
        store = self.store("v3", cluster)
        self.assert_done(store.swap(0, FREE))
        revision = store.read()["revision"]
        for i in range(5):
            cluster.put("other", str(i))
        now = cluster.v3("/v3/kv/range", {"key": etcd.b64("other")})["header"]["revision"]
        cluster.v3("/v3/kv/compaction", {"revision": now})
        store.ask("watch", revision=revision)
        self.assertEqual(store.ask("await", seconds=0.5)["changes"], 0)
        cluster.put(KEY, HELD)
        self.assertEqual(store.ask("await", seconds=DEADLINE)["changes"], 1)

    def test_keys_of_strangers_do_no_harm(self):
        cluster = self.cluster()
        store = self.store("v3", cluster)
        self.assert_done(store.swap(0, FREE, put="m1", facts=FACTS))
        for key in (ROOT + "holders/a%2fb", ROOT + "holders/x/y", ROOT + "holders/\x01",
                    ROOT + "groups/%zz/semaphore", ROOT + "groups//semaphore",
                    ROOT + "semaphore/below"):
            cluster.put(key, "\x00\x01")
        self.assertEqual(store.read()["facts"], {"m1": FACTS})
        self.assertEqual(store.ask("list")["names"], [""])


class V2(Both):
    api = "v2"

    def test_v2_that_is_off_is_named(self):
        store = self.store("v2", self.cluster())
        self.assert_refused(store.ask("read"), "--enable-v2=true")
        self.assert_refused(store.swap(0, FREE), "--enable-v2=true")

    def test_the_two_apis_do_not_see_each_other(self):
        cluster = self.cluster(v2=True)
        self.assert_done(self.store("v2", cluster).swap(0, HELD))
        self.assertFalse(self.store("v3", cluster).read()["exists"])

    def test_a_user_is_told_by_basic(self):
        cluster = self.cluster(v2=True)
        member = cluster.members[0]
        member.ask("/v2/auth/users/root", {"user": "root", "password": "rootpw"}, method="PUT")
        member.ask("/v2/auth/enable", b"", method="PUT")
        basic = {"Authorization": "Basic " + etcd.b64("root:rootpw")}
        with contextlib.suppress(etcd.Refused):
            member.ask("/v2/auth/roles/guest", headers=basic, method="DELETE")
        self.assert_refused(self.store("v2", cluster).ask("read"), "wants a user")
        self.assert_refused(self.store("v2", cluster, user="root", password="x").ask("read"),
                            "wants a user")
        store = self.store("v2", cluster, user="root", password="rootpw")
        self.assert_done(store.swap(0, FREE))
        self.assertEqual(store.read()["document"], FREE)

    def test_a_watch_begins_again_after_forgotten_history(self):
        cluster = self.cluster(v2=True)
        store = self.store("v2", cluster)
        self.assert_done(store.swap(0, FREE))
        revision = store.read()["revision"]
        for i in range(1010):  # etcd remembers 1000
            cluster.members[0].ask("/v2/keys/other", f"value={i}".encode(), method="PUT")
        store.ask("watch", revision=revision)
        self.assertEqual(store.ask("await", seconds=1.5)["changes"], 0)
        self.assert_done(self.store("v2", cluster).swap(revision, HELD))
        self.assertEqual(store.ask("await", seconds=DEADLINE)["changes"], 1)

