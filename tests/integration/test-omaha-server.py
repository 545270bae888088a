#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""omaha-server over real HTTP: what it offers, reports and serves, how it misbehaves when told to,
and that hostile requests get a 4xx."""
import base64
import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from lab import main, program

PROGRAM = program("omaha-server")
APP_ID = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
CHECK = '<ping active="1"></ping><updatecheck></updatecheck>'
DEADLINE_SEC = 20


def request_xml(body=CHECK, version="1.0.0", track="stable", app_id=APP_ID, source="scheduler"):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<request protocol="3.0" installsource='
            f'"{source}" ismachine="1"><os version="Chateau"></os><app appid="{app_id}" '
            f'version="{version}" track="{track}" machineid="0123456789abcdef" board="amd64-usr">'
            f'{body}</app></request>').encode()


class Server:
    """A running omaha-server on a folder of releases."""

    def __init__(self, folder, *options):
        self.report_path = folder / "report.jsonl"
        self.behaviour_path = folder / "behaviour.json"
        port_file = folder / "port"
        port_file.unlink(missing_ok=True)
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", folder / "releases-folder", "--listen", "127.0.0.1:0",
             "--port-file", port_file, "--report", self.report_path,
             "--behaviour", self.behaviour_path, *options], stderr=self.log)
        wait_for(lambda: port_file.exists() or self.process.poll() is not None)
        self.port = int(port_file.read_text())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(DEADLINE_SEC)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.log.close()
        return code

    def misbehave(self, **keys):
        text = json.dumps({key.replace("_", "-"): value for key, value in keys.items()})
        temporary = self.behaviour_path.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(self.behaviour_path)

    def request(self, method, path, body=None, headers=None, timeout=DEADLINE_SEC):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response, response.read()

    def check(self, *arguments, **keys):
        return self.request("POST", "/v1/update/", request_xml(*arguments, **keys))

    def check_status(self, **keys):
        """app@status and updatecheck@status."""
        response, body = self.check(**keys)
        assert response.status == 200, body
        app = ElementTree.fromstring(body).find("app")
        return app.get("status"), app.find("updatecheck").get("status")

    def reports(self, kind, n):
        """The last n reports of a kind, once there are that many."""
        def read():
            text = self.report_path.read_text() if self.report_path.exists() else ""
            return [r for r in map(json.loads, text.splitlines()) if r["kind"] == kind]
        wait_for(lambda: len(read()) >= n)
        return read()[-n:]


def wait_for(condition):
    end = time.monotonic() + DEADLINE_SEC
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited too long")
        time.sleep(0.005)


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(number, value):
    """A protobuf field: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def smallest_payload(version):
    """One partition of one block of zeros; nobody signed it, and nobody here asks who did."""
    operation = field(1, 6) + field(6, field(1, 0) + field(2, 1))
    partition = (field(1, b"usr") + field(7, field(1, 4096) + field(2, b"h" * 32)) +
                 field(8, operation))
    manifest = (field(3, 4096) + field(4, 0) + field(5, 8) + field(12, 0) + field(13, partition) +
                field(1000, b"test") + field(1001, version))
    return b"CrAU" + struct.pack(">QQL", 2, len(manifest), 8) + manifest + bytes(16)


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=DEADLINE_SEC)


class OmahaServerTest(unittest.TestCase):
    options = ()

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="omaha-server-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.payload = os.urandom(300_001)
        (self.folder / "payload").write_bytes(self.payload)
        self.add("2.0.0", "stable")
        self.server = Server(self.folder, *self.options)
        self.addCleanup(self.stop)

    def stop(self):
        if self.server:
            code = self.server.stop()
            self.assertEqual(code, 0, (self.folder / "log").read_text())
            self.server = None

    def add(self, version, channel, payload="payload"):
        done = run("add", self.folder / "releases-folder", self.folder / payload, channel,
                   "--version", version)
        self.assertEqual(done.returncode, 0, done.stderr)

    def get(self, path="/payload/2.0.0/payload", method="GET", **headers):
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.server.request(method, path, headers=headers)

    def get_part(self, **keys):
        """The bytes that came before the server closed too early."""
        with self.assertRaises(http.client.IncompleteRead) as raised:
            self.get(**keys)
        return raised.exception.partial


class Offers(OmahaServerTest):
    def test_a_delta_is_offered_to_who_runs_its_base(self):
        (self.folder / "delta").write_bytes(b"a delta")
        done = run("add", self.folder / "releases-folder", self.folder / "delta", "stable",
                   "--version", "2.0.0", "--delta-from", "1.0.0")
        self.assertEqual(done.returncode, 0, done.stderr)
        for version in ("1.0.0", "1.0.1"):
            _, body = self.server.check(version=version)
            packages = ElementTree.fromstring(body).findall(".//package")
            self.assertEqual(packages[0].get("name"), "payload")
            self.assertEqual([(p.get("name"), p.get("delta_from"), p.get("size"),
                               p.get("hash_sha256")) for p in packages[1:]],
                             [("delta-1.0.0", "1.0.0", "7",
                               hashlib.sha256(b"a delta").hexdigest())]
                             if version == "1.0.0" else [])
        response, body = self.get("/payload/2.0.0/delta-1.0.0")
        self.assertEqual((response.status, body), (200, b"a delta"))
        for path in ("delta-1.0.1", "delta-", "delta-..", "delta-1.0.0/payload", "delta"):
            self.assertEqual(self.get("/payload/2.0.0/" + path)[0].status, 404)

    def test_an_update_is_offered_as_nebraska_does(self):
        response, body = self.server.check()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.getheader("Content-Type"), "text/xml")
        sha256 = base64.b64encode(hashlib.sha256(self.payload).digest()).decode()
        sha1 = base64.b64encode(hashlib.sha1(self.payload).digest()).decode()
        self.assertEqual(body.decode(), (
            '<?xml version="1.0" encoding="UTF-8"?>\n<response protocol="3.0" server="omaha-server">'
            '<daystart elapsed_seconds="0"></daystart>'
            f'<app appid="{APP_ID}" status="ok"><ping status="ok"></ping><updatecheck status="ok">'
            f'<urls><url codebase="http://127.0.0.1:{self.server.port}/payload/2.0.0/"></url></urls>'
            f'<manifest version="2.0.0"><packages><package name="payload" hash="{sha1}" '
            f'size="{len(self.payload)}" required="true"></package></packages><actions>'
            f'<action event="postinstall" sha256="{sha256}" DisablePayloadBackoff="true"></action>'
            '</actions></manifest></updatecheck></app></response>\n'))

    def test_the_size_of_the_metadata(self):
        """Of what begins as a payload does, in either format; a folder of old need not know it."""
        manifest = bytes(100)
        for version, payload, size in (
                ("3.0.0", b"CrAU" + struct.pack(">QQL", 2, 100, 8) + manifest + bytes(16), 124),
                ("3.0.1", b"CrAU" + struct.pack(">QQ", 1, 100) + manifest + bytes(16), 120)):
            (self.folder / "next").write_bytes(payload)
            self.add(version, "stable", "next")
            action = ElementTree.fromstring(self.server.check()[1]).find(".//action")
            self.assertEqual(action.get("MetadataSize"), str(size))
        facts = self.folder / "releases-folder/releases/3.0.1/release.json"
        old = {key: value for key, value in json.loads(facts.read_text()).items()
               if key != "metadata_size"}
        facts.write_text(json.dumps(old))
        action = ElementTree.fromstring(self.server.check()[1]).find(".//action")
        self.assertIsNone(action.get("MetadataSize"))

    def test_verdicts_are_reported(self):
        self.assertEqual(self.server.check_status(), ("ok", "ok"))
        self.assertEqual(self.server.check_status(version="2.0.0"), ("ok", "noupdate"))
        self.assertEqual(self.server.check_status(track="nightly"),
                         ("error-failedToRetrieveUpdatePackageInfo", "error-internal"))
        # A channel's version is offered to whoever has another, newer ones included.
        self.assertEqual(self.server.check_status(version="9.0.0", source="ondemandupdate"),
                         ("ok", "ok"))
        reports = self.server.reports("client", 4)
        self.assertEqual([r["verdict"] for r in reports],
                         ["update", "no-update", "unknown-app", "update"])
        self.assertEqual([r["offered"] for r in reports], ["2.0.0", None, None, "2.0.0"])
        del reports[3]["time"]
        self.assertEqual(reports[3], {
            "kind": "client", "app": APP_ID, "version": "9.0.0", "track": "stable",
            "machineid": "0123456789abcdef", "board": "amd64-usr", "events": [], "ping": True,
            "installsource": "ondemandupdate", "updatecheck": True, "verdict": "update",
            "offered": "2.0.0"})

    def test_events_are_reported(self):
        response, body = self.server.check(
            '<event eventtype="3" eventresult="0" errorcode="2404"></event>'
            '<event eventtype="3" eventresult="2" previousversion="1.0.0"></event>')
        self.assertEqual(response.status, 200)
        self.assertEqual(body.count(b'<event status="ok"></event>'), 2)
        self.assertNotIn(b"updatecheck", body)
        report, = self.server.reports("client", 1)
        self.assertEqual(report["verdict"], "report")
        self.assertEqual(report["events"], [
            {"type": 3, "result": 0, "errorcode": 2404, "previousversion": ""},
            {"type": 3, "result": 2, "errorcode": None, "previousversion": "1.0.0"}])

    def test_a_running_server_sees_changes(self):
        (self.folder / "next").write_bytes(b"next")
        self.add("3.0.0", "beta", "next")
        self.assertEqual(self.server.check(track="beta")[1].count(b'"3.0.0"'), 1)
        self.assertEqual(run("promote", self.folder / "releases-folder", "beta", "stable")
                         .returncode, 0)
        self.assertIn(b'manifest version="3.0.0"', self.server.check()[1])
        self.assertEqual(self.get("/payload/3.0.0/payload")[1], b"next")
        (self.folder / "next").write_bytes(b"changed under its version")
        self.assertEqual(self.get("/payload/3.0.0/payload")[1], b"next")
        self.add("3.0.0", "beta", "next")
        self.assertEqual(self.get("/payload/3.0.0/payload")[1], b"changed under its version")
        left = sorted(os.listdir(self.folder / "releases-folder/releases"))
        self.assertEqual(left, ["2.0.0", "3.0.0"])

    def test_hostile_values_are_escaped(self):
        app_id = "&lt;a&gt;&quot;&amp;&#10;"
        body = self.server.check(app_id=app_id, version="1&#10;&#228;")[1]
        self.assertEqual(ElementTree.fromstring(body).find("app").get("appid"), '<a>"&\n')
        wait_for(lambda: "1??? on stable" in (self.folder / "log").read_text())


class Switches(OmahaServerTest):
    options = ("--payload-url", "http://one.example/{version}/", "--payload-url",
               "https://two.example/", "--app-id", APP_ID.upper(), "--misbehave",
               "poll-interval=90", "--misbehave", "omaha=http-500", "--misbehave", "times=1")

    def test_switches(self):
        self.assertEqual(self.server.check()[0].status, 500)
        body = self.server.check()[1].decode()
        self.assertIn('<updatecheck status="ok" PollInterval="90"><urls>'
                      '<url codebase="http://one.example/2.0.0/"></url>'
                      '<url codebase="https://two.example/"></url></urls>', body)
        self.assertEqual(self.server.check_status(app_id="{other}"),
                         ("error-failedToRetrieveUpdatePackageInfo", "error-internal"))
        self.assertNotIn(b"<ping", self.server.check(app_id="{other}")[1])


class Payloads(OmahaServerTest):
    def test_whole_and_parts(self):
        response, body = self.get()
        self.assertEqual((response.status, body), (200, self.payload))
        self.assertEqual(response.getheader("Accept-Ranges"), "bytes")
        etag = response.getheader("ETag")
        self.assertEqual(etag, f'"{hashlib.sha256(self.payload).hexdigest()}"')
        self.assertRegex(response.getheader("Last-Modified"), r"^\w{3}, \d\d \w{3} \d{4} .* GMT$")
        size = len(self.payload)
        for text, first, last in [("0-0", 0, 0), ("100-299", 100, 299),
                                  ("300000-", 300000, size - 1), ("-7", size - 7, size - 1),
                                  ("-9999999", 0, size - 1),
                                  ("5-99999999999999999999999", 5, size - 1)]:
            response, body = self.get(Range=f"bytes={text}")
            self.assertEqual(response.status, 206, text)
            self.assertEqual(response.getheader("Content-Range"), f"bytes {first}-{last}/{size}")
            self.assertEqual(body, self.payload[first:last + 1])
        self.assertEqual(self.get(Range="bytes=1-1", If_Range=etag)[0].status, 206)
        self.assertEqual(self.get(Range="bytes=1-1", If_Range='"other"')[0].status, 200)

    def test_ranges_that_cannot_be(self):
        for text, status in [("bytes=300001-", 416), ("bytes=99999999999999999999-", 416),
                             ("bytes=-0", 416), ("bytes=5-4", 400), ("bytes=-", 400),
                             ("bytes=a-b", 400), ("bytes=1-2x", 400), ("bytes=", 400),
                             ("bytes=0-1,5-6", 200), ("lines=1-2", 200)]:
            self.assertEqual(self.get(Range=text)[0].status, status, text)
        self.assertEqual(self.get(Range="bytes=400000-")[0].getheader("Content-Range"),
                         f"bytes */{len(self.payload)}")

    def test_head_and_other_methods(self):
        response, body = self.get(method="HEAD")
        self.assertEqual((response.status, body), (200, b""))
        self.assertEqual(response.getheader("Content-Length"), str(len(self.payload)))
        for method in ["POST", "PUT", "DELETE"]:
            self.assertEqual(self.get(method=method)[0].status, 405)

    def test_requests_are_reported(self):
        self.get(Range="bytes=10-19")
        part, = self.server.reports("payload", 1)
        self.get("/payload/7.0.0/payload")
        missing = self.server.reports("payload", 2)[1]
        for report in (part, missing):
            self.assertAlmostEqual(report.pop("time"), time.time(), delta=60)
        self.assertEqual(part, {
            "kind": "payload", "method": "GET", "path": "/payload/2.0.0/payload", "first": 10,
            "version": "2.0.0", "range": "bytes=10-19", "last": 19, "status": 206,
            "bytes_sent": 10, "aborted": False})
        self.assertEqual((missing["status"], missing["first"], missing["bytes_sent"]),
                         (404, None, 0))

    def test_a_client_that_goes_away_is_an_abort(self):
        self.server.misbehave(rate=50_000)
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(b"GET /payload/2.0.0/payload HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(client.recv(1))
        report, = self.server.reports("payload", 1)
        self.assertTrue(report["aborted"])
        self.assertLess(report["bytes_sent"], len(self.payload))


class Misbehaviour(OmahaServerTest):
    def test_answers_that_decline(self):
        for fault, status in [("no-update", ("ok", "noupdate")),
                              ("rate-limit", ("error-maxUpdatesPerPeriodLimitReached",
                                              "error-internal")),
                              ("no-manifest", ("ok", "ok"))]:
            self.server.misbehave(omaha=fault)
            self.assertEqual(self.server.check_status(), status)
            self.assertNotIn(b"<manifest", self.server.check()[1])
            # A report is taken all the same.
            self.assertEqual(self.server.check("<ping active='1'/>")[0].status, 200)
            checks = self.server.reports("client", 3)
            self.assertEqual([r["verdict"] for r in checks], [fault, fault, "report"])
        self.server.misbehave(app_status="error-updatesDisabled")
        self.assertEqual(self.server.check_status(), ("error-updatesDisabled", "error-internal"))

    def test_answers_that_are_none(self):
        for fault, status in [("http-404", 404), ("http-500", 500), ("http-503", 503)]:
            self.server.misbehave(omaha=fault)
            self.assertEqual(self.server.check()[0].status, status)
        whole = 0
        for fault in ["no-such-check", "garbage-xml", "truncated-xml", "empty"]:
            self.server.misbehave(**({} if fault == "no-such-check" else {"omaha": fault}))
            response, body = self.server.check()
            self.assertEqual(response.status, 200)
            if fault == "no-such-check":
                whole = len(body)
                continue
            with self.assertRaises(ElementTree.ParseError):
                ElementTree.fromstring(body)
            self.assertEqual(len(body) == whole // 2, fault == "truncated-xml")
            self.assertEqual(body == b"", fault == "empty")
        self.server.misbehave(omaha="entity-bomb")
        self.assertEqual(self.server.check()[1].count(b"<!ENTITY"), 8)
        self.server.misbehave(omaha="huge-xml")
        response, body = self.server.check()
        self.assertEqual(len(body), 100 << 20)
        self.assertTrue(body.startswith(b"<?xml") and body.endswith(b"x"))

    def test_redirects(self):
        self.server.misbehave(omaha="redirect-loop", payload="redirect-loop")
        for response in (self.server.check()[0], self.get()[0]):
            self.assertIn(response.status, (302, 307))
        self.assertEqual(self.server.check()[0].getheader("Location"), "/v1/update/")
        self.assertEqual(self.get()[0].getheader("Location"), "/payload/2.0.0/payload")
        self.server.misbehave(omaha="redirect-file", payload="redirect-file")
        for response in (self.server.check()[0], self.get()[0]):
            self.assertTrue(response.getheader("Location").startswith("file:///"))
        self.server.misbehave(payload="redirect")
        there = self.get()[0].getheader("Location")
        self.assertEqual(self.get(there)[1], self.payload)

    def test_lies_in_the_answer(self):
        self.server.misbehave(wrong_size=True, wrong_hash=True)
        body = self.server.check()[1].decode()
        self.assertNotIn(f'size="{len(self.payload)}"', body)
        sha256 = base64.b64decode(re.search('sha256="([^"]*)"', body)[1])
        self.assertEqual(len(sha256), 32)
        self.assertNotEqual(sha256, hashlib.sha256(self.payload).digest())

    def test_payloads_that_end_early(self):
        self.server.misbehave(payload="cut", after=1000)
        self.assertEqual(self.get_part(), self.payload[:1000])
        self.assertEqual(self.get_part(Range="bytes=500-"), self.payload[500:1500])
        self.assertTrue(self.server.reports("payload", 2)[1]["aborted"])
        self.server.misbehave(payload="wrong-length")
        self.assertEqual(self.get_part(), self.payload)

    def test_payloads_that_are_wrong(self):
        self.server.misbehave(payload="no-ranges")
        response, body = self.get(Range="bytes=5-9")
        self.assertEqual((response.status, body), (200, self.payload))
        self.assertIsNone(response.getheader("Accept-Ranges"))
        self.server.misbehave(payload="corrupt", offset=299_999)
        wrong = bytearray(self.payload)
        wrong[299_999] ^= 1
        self.assertEqual(self.get()[1], wrong)
        self.assertEqual(self.get(Range="bytes=299990-")[1], wrong[299_990:])
        self.assertEqual(self.get(Range="bytes=0-299998")[1], wrong[:299_999])
        for fault, status in [("http-404", 404), ("http-500", 500)]:
            self.server.misbehave(payload=fault)
            self.assertEqual(self.get()[0].status, status)

    def test_stalls(self):
        self.server.misbehave(omaha="stall", payload="stall", after=100)
        with self.assertRaises(TimeoutError):
            self.server.request("POST", "/v1/update/", request_xml(), timeout=0.3)
        with socket.create_connection(("127.0.0.1", self.server.port), DEADLINE_SEC) as client:
            client.sendall(b"GET /payload/2.0.0/payload HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 100:
                received += client.recv(4096)
            client.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                client.recv(1)
            self.stop()  # does not wait for a client that waits for it

    def test_a_client_that_leaves_a_stall_is_noticed(self):
        self.server.misbehave(payload="stall")
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(b"GET /payload/2.0.0/payload HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(client.recv(1))
        report, = self.server.reports("payload", 1)
        self.assertEqual((report["aborted"], report["bytes_sent"]), (True, 0))

    def test_rate(self):
        self.server.misbehave(rate=600_000)
        start = time.monotonic()
        self.assertEqual(self.get()[1], self.payload)
        self.assertGreater(time.monotonic() - start, 0.4)

    def test_times_are_counted_per_file(self):
        for _ in range(2):
            self.server.misbehave(payload="http-500", omaha="http-503", times=2)
            self.assertEqual([self.get()[0].status for _ in range(3)], [500, 500, 200])
            self.assertEqual([self.server.check()[0].status for _ in range(3)], [503, 503, 200])

    def test_a_wrong_behaviour_file_is_said(self):
        for text in ["{", "[]", '{"omaha": "no-such"}', '{"after": -1}', '{"unknown": 1}',
                     '{"rate": "fast"}', '{"wrong-size": 1}', '{"app-status": 5}']:
            self.server.behaviour_path.write_text(text)
            response, body = self.server.check()
            self.assertEqual(response.status, 500, text)
            self.assertIn(b"behaviour", body)
            self.assertEqual(self.get()[0].status, 500)
        self.server.behaviour_path.unlink()
        self.assertEqual(self.server.check()[0].status, 200)


class Hostile(OmahaServerTest):
    def test_requests_that_are_no_omaha(self):
        deep = b"<request>" + b"<a>" * 5000
        bomb = (b'<!DOCTYPE r [<!ENTITY a "' + b"x" * 1000 + b'">]><request><app appid="' +
                b"&a;" * 1000 + b'"/></request>')
        for body in [b"hello", b"", b"<request/>", b"<app/>", b"\0\0\0", b"\xff\xfe<", deep, bomb,
                     b"<request><app><event/>" + b"<event/>" * 64 + b"</app></request>",
                     request_xml()[:-20], request_xml() + b"x"]:
            response, answer = self.server.request("POST", "/v1/update/", body)
            self.assertEqual(response.status, 400, body[:40])
            self.assertEqual(answer, b"Bad Omaha Request\n")
        self.assertEqual(self.server.request("GET", "/v1/update/")[0].status, 405)
        self.assertEqual(self.server.check()[0].status, 200)

    def test_requests_that_are_too_large(self):
        with socket.create_connection(("127.0.0.1", self.server.port), DEADLINE_SEC) as client:
            client.sendall(b"POST /v1/update/ HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 99999999999\r\n\r\n")
            self.assertIn(b" 413 ", client.recv(100))
        # Chunked, so that the length is not known before.
        pieces = iter([b"x" * 65536] * 20)
        response, _ = self.server.request("POST", "/v1/update/", pieces)
        self.assertEqual(response.status, 413)
        endless = iter([b"x" * 65536] * 400)
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.server.request("POST", "/v1/update/", endless)
        self.assertEqual(self.server.check()[0].status, 200)

    def test_paths_that_lead_nowhere(self):
        secret = self.folder / "secret"
        secret.mkdir()
        (secret / "payload").write_text("secret")
        for path in ["/", "/payload", "/payload/", "/payload//payload", "/payload/../payload",
                     "/payload/..%2f..%2fsecret/payload", "/payload/%2e%2e/payload",
                     "/payload/../../secret/payload", "/payload/.new/payload",
                     "/payload/2.0.0/release.json", "/payload/2.0.0/../2.0.0/payload",
                     "/payload/2.0.0/payload/", "/moved", "/moved/moved/payload/2.0.0/payload",
                     "/payload/" + "9" * 5000 + "/payload", "/payload/%ff%fe%0a/payload",
                     "/v1/update/x"]:
            response, body = self.get(path)
            self.assertEqual(response.status, 404, path)
            self.assertNotIn(b"secret", body)
        self.assertEqual(self.server.check(track="../releases/2.0.0/release.json")[0].status, 200)
        self.assertIn(b"error-failed", self.server.check(track="../../channels/stable")[1])

    def test_http_that_is_none(self):
        for raw in [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                    b"POST /v1/update/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                    b"POST /v1/update/ HTTP/1.1\r\nHost: x\r\nContent-Length: zz\r\n\r\n",
                    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"]:
            with socket.create_connection(("127.0.0.1", self.server.port), DEADLINE_SEC) as client:
                answer = b""  # closing at once, at any point of this, is an answer too
                try:
                    client.sendall(raw)
                    client.shutdown(socket.SHUT_WR)
                    answer = client.recv(100)
                except OSError as error:
                    self.assertIn(error.errno, (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN))
                self.assertRegex(answer, rb"^(HTTP/1\.1 [45]|$)")
        self.assertEqual(self.server.check()[0].status, 200)

    def test_a_host_header_does_not_get_into_the_answer(self):
        body = self.server.request("POST", "/v1/update/", request_xml(),
                                   {"Host": 'evil"><x>'})[1].decode()
        self.assertIn(f"http://127.0.0.1:{self.server.port}/payload/2.0.0/", body)


class Verbs(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="omaha-server-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.payload = self.folder / "payload"
        self.payload.write_bytes(b"no payload that anybody could read")

    def refused(self, code, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def test_add_promote_list(self):
        releases = self.folder / "d"
        self.assertEqual(run("add", releases, self.payload, "beta", "--version", "1.0").returncode,
                         0)
        self.assertEqual(run("promote", releases, "beta", "stable").returncode, 0)
        listed = json.loads(run("list", releases, "--json").stdout)
        self.assertEqual(listed, {
            "channels": {"beta": "1.0", "stable": "1.0"},
            "releases": {"1.0": {"size": 34, "sha256":
                                 hashlib.sha256(self.payload.read_bytes()).hexdigest()}}})
        self.assertIn("channel stable", run("list", releases).stdout)
        self.assertEqual(json.loads((releases / "releases/1.0/release.json").read_text())["size"],
                         34)
        self.assertEqual((releases / "channels/stable").read_text(), "1.0\n")

    def test_deltas(self):
        releases = self.folder / "d"
        delta = self.folder / "delta"
        delta.write_bytes(b"a delta")
        self.assertIn("there is no release", self.refused(
            1, "add", releases, delta, "beta", "--version", "2.0", "--delta-from", "1.0"))
        for _ in range(2):
            run("add", releases, self.payload, "beta", "--version", "2.0")
            self.assertFalse((releases / "releases/2.0/delta-1.0").exists())
            for _ in range(2):
                done = run("add", releases, delta, "beta", "--version", "2.0", "--delta-from",
                           "1.0")
                self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((releases / "releases/2.0/delta-1.0/payload").read_bytes(), b"a delta")
        self.assertEqual(os.listdir(releases / "releases"), ["2.0"])
        for name in ("../1", "", "a/b"):
            self.refused(1, "add", releases, delta, "beta", "--version", "2.0", "--delta-from",
                         name)

    def test_the_version_is_in_the_payload(self):
        self.payload.write_bytes(smallest_payload(b"4.5.6"))
        done = run("add", self.folder / "d", self.payload, "beta")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4.5.6", json.loads(run("list", self.folder / "d", "--json").stdout)
                      ["releases"])
        for payload in [smallest_payload(b"../x"), smallest_payload(b"1")[:60],
                        b"CrAU" + struct.pack(">QQL", 2, 1 << 63, 8), b"CrAU"]:
            self.payload.write_bytes(payload)
            self.refused(1, "add", self.folder / "d", self.payload, "beta")

    def test_a_payload_of_format_1_names_none(self):
        image = self.folder / "image"
        image.write_bytes(bytes(4096))
        subprocess.run([program("update-payload"), "create", "--format", "1", "--signature-size",
                        "256", "-o", self.payload, f"USR={image}"], check=True,
                       stdout=subprocess.DEVNULL)
        line = self.refused(1, "add", self.folder / "d", self.payload, "beta")
        self.assertIn("say it with --version", line)
        done = run("add", self.folder / "d", self.payload, "beta", "--version", "4.5.6")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_cannot_be(self):
        releases = self.folder / "d"
        # Without --version the payload's manifest has to say it.
        self.refused(1, "add", releases, self.payload, "beta")
        self.refused(1, "add", releases, self.folder / "none", "beta", "--version", "1")
        self.refused(1, "add", releases, self.payload, "../x", "--version", "1")
        self.refused(1, "add", releases, self.payload, "beta", "--version", "../../x")
        self.refused(1, "add", releases, self.payload, "beta", "--version", "")
        self.refused(1, "promote", releases, "beta", "stable")
        self.refused(1, "list", self.folder / "none")
        self.refused(1, "serve", self.folder / "none")
        self.refused(1, "serve", releases, "--listen", "nowhere")
        self.refused(1, "serve", releases, "--listen", "127.0.0.1:99999")
        self.refused(1, "serve", releases, "--misbehave", "omaha=no-such")
        self.refused(2, "serve", releases, "--misbehave", "omaha")
        self.refused(2, "promote", releases, "beta")
        self.refused(2, "frobnicate")
        self.refused(2)

    def test_help_names_nebraska(self):
        self.assertIn("Nebraska", run("--help").stdout)
        self.assertEqual(run("--version").returncode, 0)


if __name__ == "__main__":
    main()
