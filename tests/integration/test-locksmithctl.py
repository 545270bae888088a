#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""locksmithctl against the real etcd, in v2 and v3: what Go locksmithctl prints and stores, replayed
from its recorded transcript; inputs that are wrong; the verbs that need no etcd, with and without
locksmithd."""
import contextlib
import json
import os
import re
import time
import unittest
import urllib.parse

import etcd
from fleet import Away, Host
from lab import OS_NAME, Lab, main, program, run, wait_for
from lossy_proxy import LossyProxy, is_any, is_lock

ROOT_KEY = "coreos.com/updateengine/rebootlock/"
NO_BUS = "unix:path=/nonexistent/bus"
MACHINE_ID = "3d1219c7c4c5404aaa1f6d2a48adfda4"
FULL = r"Error locking: semaphore is at {}\b"

# What Go locksmithctl 0.6.2 was asked against etcd 3.4.23, printed on stdout, ended with, and had
# stored then. None: it is not looked at. "sane": where it differs on purpose, what ours says
# instead: (pattern for stderr, status).
GO_TRANSCRIPT = [
    ("status", "Available: 1\nMax: 1\n", 0, None, None),
    ("lock m1", "", 0, '{"semaphore":0,"max":1,"holders":["m1"]}', None),
    ("lock m1", "", 0, '{"semaphore":0,"max":1,"holders":["m1"]}', "m1 holds the lock already\n"),
    ("lock m2", "", 1, '{"semaphore":0,"max":1,"holders":["m1"]}', FULL.format(0)),
    ("status", "Available: 0\nMax: 1\n\nMACHINE ID\nm1\n", 0, None, None),
    ("set-max 2", "Old-Max: 1\nMax: 2\n", 0, '{"semaphore":1,"max":2,"holders":["m1"]}', None),
    ("lock m0", "", 0, '{"semaphore":0,"max":2,"holders":["m0","m1"]}', None),
    ("set-max 1", "Old-Max: 2\nMax: 1\n", 0, '{"semaphore":-1,"max":1,"holders":["m0","m1"]}',
     None),
    ("status", "Available: -1\nMax: 1\n\nMACHINE ID\nm0\nm1\n", 0, None, None),
    ("lock m3", "", 1, '{"semaphore":-1,"max":1,"holders":["m0","m1"]}', FULL.format(-1)),
    ("unlock m9", "", 0, '{"semaphore":-1,"max":1,"holders":["m0","m1"]}',
     "m9 did not hold the lock\n"),
    ("unlock m1", "", 0, '{"semaphore":0,"max":1,"holders":["m0"]}', None),
    ("set-max -1", "", 2, '{"semaphore":0,"max":1,"holders":["m0"]}', "-1"),
    ("set-max 0", "Old-Max: 1\nMax: 0\n", 0, '{"semaphore":-1,"max":0,"holders":["m0"]}', None),
    ("set-max 3", "Old-Max: 0\nMax: 3\n", 0, '{"semaphore":2,"max":3,"holders":["m0"]}', None),
    ("lock", "", 0, f'{{"semaphore":1,"max":3,"holders":["{MACHINE_ID}","m0"]}}', None),
    ("unlock", "", 0, '{"semaphore":2,"max":3,"holders":["m0"]}', None),
    ("unlock", "", 0, '{"semaphore":2,"max":3,"holders":["m0"]}', "did not hold the lock\n"),
    ("unlock m0", "", 0, '{"semaphore":3,"max":3,"holders":[]}', None),
]


class CtlTest(unittest.TestCase):
    store = "etcd-v3"

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.root = cls.make_root("host", MACHINE_ID)
        cls.n_groups = 0

    @classmethod
    def make_root(cls, name, machine_id):
        root = cls.lab.folder / name
        for folder in ("etc", "proc/sys/kernel/random"):
            (root / folder).mkdir(parents=True)
        (root / "etc/machine-id").write_text(machine_id + "\n")
        (root / "proc/sys/kernel/random/boot_id").write_text("boot-of-" + name + "\n")
        return root

    def group(self):
        type(self).n_groups += 1
        return f"group{self.n_groups}"

    def ctl(self, *words, check=True, endpoint=None, environment=(), flags=()):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LOCKSMITH")}
        endpoint = [f"-endpoint={endpoint}"] if endpoint else []
        return run([program("locksmithctl"), f"--root={self.root}", f"--bus={NO_BUS}", "-store",
                    self.store, *endpoint, *flags, *words], check=check,
                   env={**clean, **dict(environment)})

    def assert_one_line(self, done, status, pattern):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertRegex(done.stderr, pattern)


class WithEtcd(CtlTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = etcd.Cluster(cls.lab, v2=cls.store == "etcd-v2").start()

    def of(self, group, *words, **more):
        return self.ctl(*words, endpoint=self.cluster.endpoints, flags=[f"-group={group}"], **more)

    def stored(self, name):
        """The value of a key in this test's store."""
        if self.store == "etcd-v2":
            return self.cluster.v2_get("/" + urllib.parse.quote(name))
        return self.cluster.get(name)

    def document(self, group):
        return self.stored(f"{ROOT_KEY}groups/{group}/semaphore" if group
                           else f"{ROOT_KEY}semaphore")


    def put_document(self, group, text):
        key = f"{ROOT_KEY}groups/{group}/semaphore"
        if self.store == "etcd-v2":
            self.cluster.members[0].ask(f"/v2/keys/{key}", f"value={text}".encode(), method="PUT")
        else:
            self.cluster.put(key, text)


class Verbs:
    """For each of the two stores."""

    def test_go_transcript(self):
        group = self.group()
        for line, out, status, stored, said in GO_TRANSCRIPT:
            with self.subTest(line=line):
                done = self.of(group, *line.split(), check=False)
                self.assertEqual((done.stdout, done.returncode), (out, status), done.stderr)
                if stored is not None:
                    self.assertEqual(self.document(group), stored)
                if said is None:
                    self.assertEqual(done.stderr, "")
                else:
                    self.assert_one_line(done, status, said)

    def test_status_does_not_write(self):
        group = self.group()
        self.assertEqual(self.of(group, "status").stdout, "Available: 1\nMax: 1\n")
        self.of(group, "status", "--long")
        self.assertIsNone(self.document(group))
        self.assertFalse(json.loads(self.of(group, "status", "--json").stdout)["lock"]["exists"])
        self.of(group, "unlock", "m1")
        self.assertIsNone(self.document(group))

    def test_first_writes(self):
        """Nobody used the group: no holder yet is null, as Go has it."""
        group = self.group()
        self.assertEqual(self.of(group, "set-max", "2").stdout, "Old-Max: 1\nMax: 2\n")
        self.assertEqual(self.document(group), '{"semaphore":2,"max":2,"holders":null}')
        group = self.group()
        self.of(group, "lock", "m1")
        self.of(group, "unlock", "m1")
        self.assertEqual(self.document(group), '{"semaphore":1,"max":1,"holders":[]}')

    def test_json(self):
        group = self.group()
        self.of(group, "set-max", "2")
        self.of(group, "lock")
        self.of(group, "lock", "other")
        status = json.loads(self.of(group, "status", "--json").stdout)
        lock = status["lock"]
        self.assertEqual((lock["store"], lock["group"], lock["max"], lock["available"]),
                         (self.store, group, 2, 0))
        own, other = lock["holders"]
        self.assertEqual((own["id"], own["host"], own["boot_id"], own["this_host"]),
                         (MACHINE_ID, os.uname().nodename, "boot-of-host", True))
        self.assertLess(own["age_seconds"], 60)
        self.assertAlmostEqual(own["since_usec"] / 1e6, time.time(), delta=60)
        self.assertEqual((other["id"], other["host"], other["this_host"]), ("other", "", False))
        self.assertLess(other["age_seconds"], 60)
        self.assertIsNone(status["daemon"])
        self.assertIn("bus", status["daemon_error"])
        long = self.of(group, "status", "--long").stdout
        self.assertRegex(long, rf"(?m)^{MACHINE_ID} +{os.uname().nodename} .* this host$")

    def test_groups(self):
        broken = self.group()
        self.put_document(broken, "junk")
        self.of("", "set-max", "4")
        self.of("web servers", "lock", "w1")
        self.of("a/b?c#d%", "lock", "x")
        self.of("a/b?c#d%", "unlock", "x")
        done = self.of("", "groups", "--json", check=False)
        self.assertEqual(done.returncode, 1)
        groups = {line["group"]: line for line in json.loads(done.stdout)}
        self.assertIn("JSON", groups[broken]["error"])
        self.assertIn(f"group '{broken}'", done.stderr)
        self.assertEqual(groups[""], {"group": "", "max": 4, "available": 4, "holders": 0})
        self.assertEqual(groups["web servers"]["holders"], 1)
        self.assertEqual(groups["a/b?c#d%"]["holders"], 0)
        self.assertIsNotNone(self.stored(ROOT_KEY + "groups/a%2Fb%3Fc%23d%25/semaphore"))
        text = self.of("", "groups", check=False).stdout
        self.assertRegex(text, r"(?m)^\(no name\) +4 +4 +0$")
        self.assertRegex(text, r"(?m)^web servers +1 +0 +1$")

    def test_environment_and_configuration(self):
        group, url = self.group(), self.cluster.endpoints
        self.of(group, "lock", "m1")
        holders = "Available: 0\nMax: 1\n\nMACHINE ID\nm1\n"
        told = {"LOCKSMITHCTL_ENDPOINT": f"http://127.0.0.1:1, {url}",
                "LOCKSMITHCTL_GROUP": group, "LOCKSMITHD_GROUP": "nobody"}
        self.assertEqual(self.ctl("status", environment=told).stdout, holders)
        told = {"LOCKSMITHD_ENDPOINT": url, "LOCKSMITHD_GROUP": group}
        self.assertEqual(self.ctl("status", environment=told).stdout, holders)
        root, self.root = self.root, self.make_root("configured", "m7")
        self.addCleanup(setattr, self, "root", root)
        (self.root / f"etc/{OS_NAME}").mkdir()
        (self.root / f"etc/{OS_NAME}/update.conf").write_text(
            f"GROUP=stable\nREBOOT_STRATEGY=etcd-lock\nLOCKSMITHD_ENDPOINT={url}\n"
            f"LOCKSMITHD_STORE={self.store}\nLOCKSMITHD_GROUP={group}\nLOCKSMITHD_ID=m1\n")
        self.assertEqual(self.ctl("status").stdout, holders)
        self.assertEqual(self.ctl("lock").stderr, "m1 holds the lock already\n")
        self.ctl("unlock")
        self.assertEqual(self.ctl("status", "--json", flags=["-group="]).returncode, 0)
        self.assertEqual(json.loads(self.document(group))["holders"], [])

    def test_endpoints_add_up(self):
        group = self.group()
        done = self.ctl("lock", "m1", flags=["-group", group, "-endpoint", "http://127.0.0.1:1",
                                             "-endpoint", self.cluster.endpoints])
        self.assertEqual(done.stderr, "")
        self.assertIn("m1", self.document(group))

    def test_lost_reply(self):
        """A write whose answer is lost is read again, and found done."""
        proxy = LossyProxy(self.cluster.urls[0])
        self.addCleanup(proxy.close)
        for action in ("drop-reply", "half-reply"):
            with self.subTest(action=action):
                group = self.group()
                proxy.clear()
                rule = proxy.rule(is_lock("m1"), action)
                self.ctl("lock", "m1", endpoint=proxy.url, flags=["-group", group])
                self.assertEqual(rule.n_taken, 1)
                self.assertEqual(json.loads(self.document(group))["holders"], ["m1"])

    def test_bad_document(self):
        group = self.group()
        self.put_document(group, "junk")
        for words in (["status"], ["lock", "m1"], ["unlock", "m1"], ["set-max", "2"]):
            with self.subTest(verb=words[0]):
                self.assert_one_line(self.of(group, *words, check=False), 1, "^Error .*: ")
        self.assertEqual(self.document(group), "junk")

    def test_hostile_holder(self):
        """Go locksmith takes any id: it is shown without what a terminal obeys, and can be freed."""
        group, bad = self.group(), "a\x1b[31m"
        self.put_document(group, '{"semaphore":0,"max":1,"holders":["a\\u001b[31m"]}')
        for look in ([], ["--long"], ["--json"]):
            done = self.of(group, "status", *look)
            self.assertIn("a?[31m", done.stdout)
            self.assertNotIn("\x1b", done.stdout)
        self.assertNotIn("\x1b", self.of(group, "lock", "m1", check=False).stderr)
        self.of(group, "unlock", bad)
        self.assertEqual(json.loads(self.document(group))["holders"], [])

    def test_cloned_machine(self):
        """Two machines with one id share a place: the second is told."""
        group, first = self.group(), self.root
        self.of(group, "lock")
        self.addCleanup(setattr, self, "root", first)
        self.root = self.make_root(f"clone-{group}", MACHINE_ID)
        done = self.of(group, "lock")
        self.assertRegex(done.stderr, "holds the lock already\n.*another boot.*\n$")

    def test_many_at_once(self):
        """Twelve for three places: three get one, whatever the conflicts."""
        group = self.group()
        self.of(group, "set-max", "3")
        processes = [self.lab.start(
            [program("locksmithctl"), f"--root={self.root}", f"--bus={NO_BUS}", "-store",
             self.store, "-endpoint", self.cluster.endpoints, "-group", group, "lock", f"c{i}"],
            self.lab.folder / "many.log") for i in range(12)]
        ended = [process.wait(60) for process in processes]
        self.assertEqual(sorted(ended), [0] * 3 + [1] * 9)
        self.assertEqual(len(json.loads(self.document(group))["holders"]), 3)


class EtcdV2(Verbs, WithEtcd):
    store = "etcd-v2"


class EtcdV3(Verbs, WithEtcd):
    store = "etcd-v3"


class WrongInput(CtlTest):
    def test_command_lines(self):
        for words, pattern in [
                (["bogus"], "bogus"), (["-nope", "status"], "-nope"), (["-endpoint"], "-endpoint"),
                (["status", "-x"], "-x"), (["status", "more"], "more"), (["lock", "a", "b"], "b"),
                (["lock", ""], "id"), (["set-max"], "maximum value"),
                (["set-max", "abc"], "Invalid maximum value: abc"), (["set-max", "--", "-1"], "-1"),
                (["set-max", "1.5"], "1.5"), (["set-max", "+1"], "[+]1"),
                (["set-max", "99999999999999999999"], "99999999999999999999"), (["pause"], "4h"),
                (["pause", "soon"], "soon"), (["pause", "until"], "until"),
                (["pause", "until", "2020-01-01"], "2020-01-01"), (["pause", "-4h"], "-4h"),
                (["pause", "0"], "'0'"), (["approve", "all"], "all"),
                (["approve", "--withdraw", "--for", "2"], "alone"),
                (["approve", "--until", "now"], "now"), (["resume", "1"], "'1'")]:
            with self.subTest(words=words):
                done = self.ctl(*words, check=False)
                self.assert_one_line(done, 2, "^locksmithctl: .*" + pattern)
                self.assertEqual(done.stdout, "")

    def test_help(self):
        usage = self.ctl().stdout
        for words in (["help"], ["-h"], ["--help"]):
            self.assertEqual(self.ctl(*words).stdout, usage)
        self.assertIn("send-need-reboot", usage)
        self.assertRegex(self.ctl("help", "lock").stdout, r"usage: locksmithctl lock \[ID\]")
        self.assertEqual(self.ctl("lock", "-h").stdout, self.ctl("help", "lock").stdout)
        self.assert_one_line(self.ctl("help", "nope", check=False), 1,
                             "^Unrecognized command: nope$")

    def test_endpoints(self):
        port = etcd.free_ports(1)[0]
        for endpoint, pattern in [(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"),
                                  ("127.0.0.1:2379", "http"), ("ftp://127.0.0.1", "ftp"),
                                  ("http://no.such.host.invalid:1", "no.such.host.invalid"),
                                  ("http://", "http://"), ("nonsense", "nonsense")]:
            for store in ("etcd-v3", "etcd-v2"):
                with self.subTest(endpoint=endpoint, store=store):
                    done = self.ctl("-store", store, "lock", "m1", endpoint=endpoint, check=False)
                    self.assert_one_line(done, 1, f"^Error locking: .*{re.escape(pattern)}")
                    done = self.ctl("-store", store, "status", endpoint=endpoint, check=False)
                    self.assert_one_line(done, 1, f"^Error getting status: .*{re.escape(pattern)}")
                    self.assertEqual(done.stdout, "")

    def test_store_away_as_json(self):
        port = etcd.free_ports(1)[0]
        done = self.ctl("status", "--json", endpoint=f"http://127.0.0.1:{port}", check=False)
        self.assertEqual(done.returncode, 1)
        status = json.loads(done.stdout)
        self.assertIsNone(status["lock"])
        self.assertIn(f"127.0.0.1:{port}", status["lock_error"])

    def test_groups_and_stores(self):
        for flags, pattern in [(["-store", "zookeeper"], "zookeeper"), (["-group", ".."], r"\.\."),
                               (["-group", "tab\there"], "tab"), (["-group", "x" * 300], "x"),
                               (["-etcd-cafile", "/no/such.pem"], "/no/such.pem"),
                               (["-etcd-certfile", "/no/such.pem"], "key"),
                               (["-etcd-username", "node1"], "password"),
                               (["-endpoint", "http://u:secret@127.0.0.1:1"], "user")]:
            with self.subTest(flags=flags):
                done = self.ctl("lock", "m1", flags=[*flags], endpoint="https://127.0.0.1:1"
                                if "file" in flags[0] else None, check=False)
                self.assert_one_line(done, 1, f"^Error locking: .*{pattern}")
                self.assertNotIn("secret", done.stderr)

    def test_ids(self):
        for words in (["lock", "x" * 300], ["lock", "tab\there"], ["unlock", ""]):
            self.assert_one_line(self.ctl(*words, check=False), 2, "^locksmithctl: .*id")
        root, self.root = self.root, self.lab.folder / "nowhere"
        self.addCleanup(setattr, self, "root", root)
        self.assert_one_line(self.ctl("lock", check=False), 1, "^Error locking: .*nowhere")
        self.root.mkdir()
        self.assert_one_line(self.ctl("lock", check=False), 1, "^Error locking: .*machine-id")

    def test_bad_configuration(self):
        root, self.root = self.root, self.make_root("broken", "m8")
        self.addCleanup(setattr, self, "root", root)
        (self.root / f"etc/{OS_NAME}").mkdir()
        (self.root / f"etc/{OS_NAME}/update.conf").write_text("REBOOT_STRATEGY=sometimes\n")
        for verb in ("status", "lock", "groups"):
            self.assert_one_line(self.ctl(verb, check=False), 1,
                                 r"^Error .*: .*update\.conf:1: .*sometimes")


class Servers(CtlTest):
    """Servers that are not what they should be."""

    def locks(self, status, pattern, *flags, store="etcd-v3", endpoint=None):
        done = self.ctl("-store", store, *flags, "lock", "m1", endpoint=endpoint, check=False)
        if status == 0:
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        else:
            self.assert_one_line(done, status, f"^Error locking: .*{pattern}")

    def test_v2_is_off(self):
        cluster = etcd.Cluster(self.lab, v2=False, name="v3only").start()
        self.locks(1, "enable-v2", store="etcd-v2", endpoint=cluster.endpoints)

    def test_tls(self):
        cluster = etcd.Cluster(self.lab, tls="server", name="tls").start()
        self.locks(1, "certificate|CA", endpoint=cluster.endpoints)
        self.locks(0, "", "-etcd-cafile", cluster.ca, endpoint=cluster.endpoints)
        self.locks(1, "https?", endpoint=cluster.endpoints.replace("https", "http"))
        not_pem = self.lab.folder / "not.pem"
        not_pem.write_text("no certificate\n")
        self.locks(1, "not.pem", "-etcd-cafile", not_pem, endpoint=cluster.endpoints)

    def test_client_certificate(self):
        cluster = etcd.Cluster(self.lab, tls="client", name="mtls").start()
        certificate, key = cluster.client_certificate()
        self.locks(1, "certificate", "-etcd-cafile", cluster.ca, endpoint=cluster.endpoints)
        self.locks(0, "", "-etcd-cafile", cluster.ca, "-etcd-certfile", certificate,
                   "-etcd-keyfile", key, endpoint=cluster.endpoints)
        self.locks(1, "key", "-etcd-cafile", cluster.ca, "-etcd-certfile", certificate,
                   "-etcd-keyfile", cluster.folder / "server.key", endpoint=cluster.endpoints)

    def test_users(self):
        cluster = etcd.Cluster(self.lab, name="auth").start()
        cluster.enable_auth()
        self.locks(1, "user", endpoint=cluster.endpoints)
        self.locks(1, "password", "-etcd-username=node1", "-etcd-password=wrong",
                   endpoint=cluster.endpoints)
        self.locks(0, "", "-etcd-username=node1", "-etcd-password=nodepw",
                   endpoint=cluster.endpoints)
        password = {"LOCKSMITHCTL_ETCD_USERNAME": "node1", "LOCKSMITHCTL_ETCD_PASSWORD": "nodepw"}
        done = self.ctl("status", endpoint=cluster.endpoints, environment=password)
        self.assertIn("m1", done.stdout)

    def test_silent_server(self):
        """Every wait has an end."""
        cluster = etcd.Cluster(self.lab, name="silent").start()
        proxy = LossyProxy(cluster.urls[0])
        self.addCleanup(proxy.close)
        proxy.rule(is_any, "hang", times=1000)
        started = time.monotonic()
        done = self.ctl("status", endpoint=proxy.url, check=False)
        self.assert_one_line(done, 1, "^Error getting status: ")
        self.assertLess(time.monotonic() - started, 45)


class OnBus(WithEtcd):
    """With a bus of its own, and logind on it."""

    def setUp(self):
        self.name, self.reports = self.group(), b""
        self.host = Host(self.lab, self.lab.folder / f"host-{self.name}", Away(), {},
                         has_engine=self.has_engine)
        self.root = self.host.root
        (self.root / "etc/machine-id").write_text(MACHINE_ID + "\n")
        self.host.start_bus()
        wait_for("the bus", self.host.is_bus_up)
        self.host.start_fake()
        self.addCleanup(self.put_away)

    has_engine = False

    def put_away(self):
        self.host.end_daemon()
        self.host.end_fake()
        self.lab.end(self.host.bus_process)

    def n_reboots(self):
        """How often logind said yes."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.host.fake.stdout.fileno(), 65536):
                self.reports += data
        reports = [json.loads(line) for line in self.reports.splitlines()]
        return sum(report["what"] == "reboot" and report["detail"] == "accepted"
                   for report in reports)

    def holders(self):
        return json.loads(self.document(self.name) or '{"holders":[]}')["holders"]


class Reboot(OnBus):
    """The verb, without locksmithd."""

    def reboot(self, *words, **more):
        return self.of(self.name, f"-bus={self.host.bus}", "reboot", *words, check=False, **more)

    def test_takes_the_lock(self):
        done = self.reboot()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual((self.holders(), self.n_reboots()), ([MACHINE_ID], 1))

    def test_own_lock(self):
        self.of(self.name, "lock")
        done = self.reboot()
        self.assertEqual((done.returncode, done.stderr, self.n_reboots()), (0, "", 1))

    def test_full(self):
        self.of(self.name, "lock", "other")
        self.assert_one_line(self.reboot(), 1, FULL.format(0))
        self.assertEqual(self.n_reboots(), 0)

    def test_refused(self):
        """What was taken for this reboot is given back; what was held before is not."""
        self.host.do("reboot", "refuse")
        self.assert_one_line(self.reboot(), 1, "^Error rebooting: ")
        self.assertEqual(self.holders(), [])
        self.of(self.name, "lock")
        self.assert_one_line(self.reboot(), 1, "^Error rebooting: ")
        self.assertEqual(self.holders(), [MACHINE_ID])

    def test_no_answer(self):
        self.host.do("reboot", "no-reply")
        self.assert_one_line(self.reboot(), 1, "^Error rebooting: ")
        self.assertEqual(self.holders(), [])

    def test_inhibitor(self):
        """Looked at before the lock is asked for, so that nobody waits for this host."""
        self.host.do("add-inhibitor", "shutdown", "backup", "tapes are running", "block")
        self.assert_one_line(self.reboot(), 5, "backup.*tapes are running")
        self.assertIsNone(self.document(self.name))
        self.assertEqual(self.n_reboots(), 0)

    def test_strategy_without_lock(self):
        for strategy in ("reboot", "off"):
            done = run([program("locksmithctl"), f"--root={self.root}", f"--bus={self.host.bus}",
                        "reboot"], check=False, env={**os.environ, "REBOOT_STRATEGY": strategy})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.n_reboots(), 2)

    def test_etcd_away(self):
        """A lock that is configured is not done without."""
        port = etcd.free_ports(1)[0]
        done = run([program("locksmithctl"), f"--root={self.root}", f"--bus={self.host.bus}",
                    "reboot"], check=False,
                   env={**os.environ, "LOCKSMITHD_ENDPOINT": f"http://127.0.0.1:{port}"})
        self.assert_one_line(done, 1, "^Error locking: ")
        self.assertEqual(self.n_reboots(), 0)

    def test_no_logind(self):
        self.host.do("release", "org.freedesktop.login1")
        self.assert_one_line(self.reboot(), 1, "^Error rebooting: .*logind")
        self.assertIsNone(self.document(self.name))


class WithDaemon(OnBus):
    has_engine = True

    def start(self, is_store_away=False, **config):
        """locksmithd, with the lock of this test's group where no strategy is told."""
        lock = {"REBOOT_STRATEGY": "etcd-lock", "LOCKSMITHD_ENDPOINT": self.cluster.endpoints,
                "LOCKSMITHD_GROUP": self.name}
        self.host.write_config(**(config if "REBOOT_STRATEGY" in config else {**lock, **config}))
        self.host.do("unit", "boot-complete.target", "active")
        self.host.start_daemon()
        self.wait_state("idle", "off")
        self.wait_property("Release", "retrying" if is_store_away else "done")

    def wait_property(self, name, *values):
        wait_for(f"{name} {values}", lambda: self.host.property(name) in values,
                 logs=[self.host.log])

    def wait_state(self, *states):
        self.wait_property("State", *states)

    def ask(self, *words, check=True, prefix=()):
        return run([*prefix, program("locksmithctl"), "--root", self.root, "--bus", self.host.bus,
                    *words], check=check)

    def test_status_of_the_daemon(self):
        self.start(REBOOT_STRATEGY="reboot")
        done = self.ask("status")
        self.assertRegex(done.stdout, "(?m)^Strategy: +reboot")
        self.assertRegex(done.stdout, "(?m)^State: +idle: .")
        self.assertEqual(done.stderr, "")
        status = json.loads(self.ask("status", "--json").stdout)
        self.assertFalse(status["asks_lock"])
        self.assertEqual((status["lock"], status["lock_error"]), (None, ""))
        self.assertEqual((status["daemon"]["state"], status["daemon"]["release"]),
                         ("idle", "done"))
        self.assertTrue(status["daemon"]["conditions"])

    def test_status_of_both(self):
        self.start()
        self.assertEqual(self.ask("status").stdout, "Available: 1\nMax: 1\n")
        self.ask("lock", "other")
        self.host.offer_update()
        self.wait_state("waiting-for-lock")
        status = json.loads(self.ask("status", "--json").stdout)
        daemon = status["daemon"]
        self.assertEqual((daemon["state"], daemon["version"], daemon["trigger"], daemon["group"]),
                         ("waiting-for-lock", "2.0.0", "update-engine", self.name))
        self.assertAlmostEqual(daemon["since_usec"] / 1e6, time.time(), delta=60)
        self.assertEqual([holder["id"] for holder in status["lock"]["holders"]], ["other"])
        long = self.ask("status", "--long").stdout
        self.assertRegex(long, "(?m)^other ")
        self.assertRegex(long, "(?m)^State: +waiting-for-lock: .*")
        self.assertRegex(long, "(?m)^Waits: +version 2.0.0, from update-engine")
        self.ask("unlock", "other")
        wait_for("the reboot", lambda: self.n_reboots() == 1, logs=[self.host.log])
        status = json.loads(self.ask("status", "--json").stdout)
        self.assertEqual(status["daemon"]["holds"], "yes")
        self.assertTrue(status["lock"]["holders"][0]["this_host"])
        self.assertEqual(status["lock"]["holders"][0]["version"], "2.0.0")

    def test_store_away(self):
        self.start(is_store_away=True,
                   LOCKSMITHD_ENDPOINT=f"http://127.0.0.1:{etcd.free_ports(1)[0]}")
        done = self.ask("status", "--json", check=False)
        status = json.loads(done.stdout)
        self.assertEqual((done.returncode, status["lock"]), (1, None))
        self.assertIn("127.0.0.1", status["lock_error"])
        self.assertEqual(status["daemon"]["state"], "idle")

    def test_pause(self):
        self.start()
        self.assert_one_line(self.ask("resume", check=False), 3, "^locksmithctl: ")
        self.assertEqual(self.ask("pause", "4h", "--why", "rack").stderr, "")
        self.host.offer_update()
        self.wait_state("paused")
        self.assertIn("rack", self.host.property("Text"))
        self.ask("resume")
        wait_for("the reboot", lambda: self.n_reboots() == 1, logs=[self.host.log])

    def test_reboot_now(self):
        self.start()
        self.assert_one_line(self.ask("reboot-now", check=False), 3, "^locksmithctl: ")
        self.ask("pause", "until", "2099-01-01", "10:00")
        self.host.offer_update()
        self.wait_state("paused")
        self.ask("reboot-now", "--skip-hooks")
        wait_for("the reboot", lambda: self.n_reboots() == 1, logs=[self.host.log])
        self.assertEqual(self.holders(), [MACHINE_ID])

    def test_approve(self):
        self.start(LOCKSMITHD_APPROVAL="yes")
        self.host.offer_update()
        self.wait_state("waiting-for-approval")
        self.ask("approve", "--for", "3.0.0")
        self.ask("approve", "--withdraw")
        self.assert_one_line(self.ask("approve", "--withdraw", check=False), 3, "^locksmithctl: ")
        self.assertEqual(self.n_reboots(), 0)
        self.ask("approve", "--for", "2.0.0", "--until", "1h")
        wait_for("the reboot", lambda: self.n_reboots() == 1, logs=[self.host.log])

    def test_send_need_reboot(self):
        """As if an update waited; not believed of anybody, as Go's signal was."""
        self.start()
        if os.geteuid() == 0:
            self.lab.folder.chmod(0o711)
            nobody = ["setpriv", "--reuid=65534", "--clear-groups"]
            for words in (["send-need-reboot"], ["pause", "1h"], ["reboot-now"], ["approve"]):
                done = self.ask(*words, check=False, prefix=nobody)
                self.assert_one_line(done, 5, "^locksmithctl: .*root")
        self.assertEqual(self.n_reboots(), 0)
        self.ask("send-need-reboot")
        wait_for("the reboot", lambda: self.n_reboots() == 1, logs=[self.host.log])
        self.assertEqual(self.host.property("Trigger"), "person")

    def test_group_of_the_daemon(self):
        """Its unit's environment is not ours, and the lock that is meant is still the one that it
        takes."""
        self.host.environment = {"LOCKSMITHD_GROUP": self.name}
        self.start(LOCKSMITHD_GROUP="another")
        self.of(self.name, "set-max", "6")
        self.assertEqual(self.ask("status").stdout, "Available: 6\nMax: 6\n")
        self.assertEqual(self.ask("set-max", "7").stdout, "Old-Max: 6\nMax: 7\n")
        self.ask("lock", "m1")
        self.assertEqual(self.holders(), ["m1"])
        self.assertEqual(self.ask("unlock", "m1").stderr, "")
        self.assertEqual(self.holders(), [])
        self.assertEqual(self.ask("-group=another", "status").stdout, "Available: 1\nMax: 1\n")


class WithoutDaemon(CtlTest):
    def setUp(self):
        self.root = self.make_root(f"alone-{self.group()}", MACHINE_ID)

    def test_pause(self):
        done = self.ctl("pause", "4h", "--why", "the rack is moved")
        self.assertRegex(done.stdout, r"^paused until \d{4}-")
        self.assertIn("locksmithd does not run", done.stderr)
        text = (self.root / "var/lib/locksmith/paused").read_text()
        self.assertIn("the rack is moved", text)
        self.assertIn("does not run", self.ctl("resume").stderr)
        self.assertFalse((self.root / "var/lib/locksmith/paused").exists())
        self.assert_one_line(self.ctl("resume", check=False), 3, "no pause")
        self.ctl("pause", "until", "2099-12-31", "03:00")
        (self.root / "var/lib/locksmith/paused").write_text("what is this\n")
        self.ctl("resume")
        self.assertFalse((self.root / "var/lib/locksmith/paused").exists())

    def test_approve(self):
        self.ctl("approve", "--for", "2.0.0", "--until=2h")
        self.assertIn("VERSION=2.0.0", (self.root / "run/locksmith/approved").read_text())
        self.ctl("approve", "-withdraw")
        self.assert_one_line(self.ctl("approve", "--withdraw", check=False), 3, "no approval")

    def test_what_needs_it(self):
        for verb in ("reboot-now", "send-need-reboot"):
            self.assert_one_line(self.ctl(verb, check=False), 4, "^locksmithctl: .*bus")

    def test_status_by_strategy(self):
        for strategy, status in (("off", 0), ("reboot", 4)):
            done = run([program("locksmithctl"), f"--root={self.root}", f"--bus={NO_BUS}",
                        "status"], check=False,
                       env={**os.environ, "REBOOT_STRATEGY": strategy})
            self.assertEqual(done.returncode, status, done.stdout)
            self.assertIn(f"Strategy:   {strategy}\n", done.stdout)
            self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    main()
