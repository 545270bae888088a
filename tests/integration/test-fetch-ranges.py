#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many ranges of a file, from a real nginx and from servers that lie, are bit for bit those of the
file, or the fetch ends with an error: fetch-tool drives it."""
import json
import os
import random
import subprocess
import threading
import unittest

from hostile_server import HostileServer
from lab import DEADLINE, Lab, main, program
from nginx import Nginx

FILE_BYTES = 64 << 20
TRANSFER, PAYLOAD_SIZE = 9, 11
QUEUE = 8  # requests that run or wait for their turn


def some_ranges(n, seed=1, n_most_bytes=3000):
    """n ranges over the whole file, some of which touch."""
    chance = random.Random(seed)
    step = FILE_BYTES // n
    ranges = []
    for i in range(n):
        first = ranges[-1][1] if ranges and i % 7 == 0 else i * step + chance.randrange(step // 3)
        ranges.append((first, first + 1 + chance.randrange(min(n_most_bytes, step // 2))))
    return ranges


class FetchRanges(unittest.TestCase):
    content = random.Random(5).randbytes(FILE_BYTES)

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.folder = self.lab.folder / "files"
        self.folder.mkdir()
        self.file = self.folder / "file"
        self.file.write_bytes(self.content)
        # Five requests of 128 at best; one by one, no gap is small enough to be fetched.
        self.ranges = some_ranges(600)

    def server(self, parts="good", etag='"1"'):
        server = HostileServer()
        self.addCleanup(server.close)
        server.files["file"] = self.file
        server.parts, server.etag = parts, etag
        return server

    def fetch(self, *urls, **options):
        """Returns the report and the bytes."""
        words = [f"{name.replace('_', '-')}={value}" for name, value in options.items()]
        lines = "".join(f"{first} {end}\n" for first, end in self.ranges)
        done = subprocess.run([program("fetch-tool"), *words, *urls], input=lines.encode(),
                              capture_output=True, timeout=DEADLINE, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return json.loads(done.stderr), done.stdout

    def wanted(self, content=None):
        return b"".join((content or self.content)[first:end] for first, end in self.ranges)

    def assert_fetched(self, *urls, content=None, **options):
        report, data = self.fetch(*urls, **options)
        self.assertEqual(report["code"], 0, report)
        self.assertTrue(data == self.wanted(content), f"wrong bytes: {report}")
        return report

    def assert_single(self, server, why, **options):
        """Several ranges at once come to nothing, and then they come one by one."""
        report = self.assert_fetched(server.files_url + "file", **options)
        self.assertIn(why, report["why_single"])
        self.assertIn("http://", report["why_single"])
        n_several = sum("," in asked for asked in server.asked)
        self.assertIn(n_several, range(1, QUEUE + 1), "it asks for several again")
        self.assertGreater(len(server.asked), n_several)
        return report

    # A real server.

    def test_nginx(self):
        nginx = Nginx(self.lab, self.folder)
        report = self.assert_fetched(nginx.url("file"), total=FILE_BYTES)
        self.assertEqual(report["why_single"], "")
        self.assertLessEqual(report["requests"], 6)
        self.assertLess(report["bytes"], len(self.wanted()) + 600 * 160)

    def test_nginx_slow_owner(self):
        nginx = Nginx(self.lab, self.folder)
        report = self.assert_fetched(nginx.url("file"), pause_every=1000)
        self.assertGreater(report["pauses"], 100)
        self.assertLessEqual(report["requests"], 6)

    def test_nginx_one_range_in_a_request(self):
        nginx = Nginx(self.lab, self.folder, "max_ranges 1;")
        report = self.assert_fetched(nginx.url("file"))
        self.assertIn("with the whole file", report["why_single"])
        self.assertGreater(report["requests"], 10)
        self.assertLess(report["bytes"], FILE_BYTES)

    def test_nginx_no_ranges(self):
        nginx = Nginx(self.lab, self.folder, "max_ranges 0;")
        report = self.assert_fetched(nginx.url("file"))
        self.assertEqual(report["requests"], 2)
        self.assertLessEqual(report["bytes"], FILE_BYTES + 1000)

    def test_nginx_many_sizes(self):
        nginx = Nginx(self.lab, self.folder)
        for n, n_most in ((1, 10), (2, 100000), (129, 100), (1500, 3000)):
            with self.subTest(n=n):
                self.ranges = some_ranges(n, seed=n, n_most_bytes=n_most)
                self.assert_fetched(nginx.url("file"))

    def test_nginx_limits_connections(self):
        """One that bears one request at a time is asked one at a time, and that is no failure."""
        nginx = Nginx(self.lab, self.folder, "limit_conn one 1; limit_rate 2m; max_ranges 1;",
                      "limit_conn_zone $binary_remote_addr zone=one:1m;")
        self.ranges = some_ranges(40, n_most_bytes=100000)
        self.assert_fetched(nginx.url("file"), failures=1)
        self.assertIn("limiting connections", nginx.error_log.read_text())

    def test_rate(self):
        """All requests together keep to it, in parts and one by one."""
        for options in ("", "max_ranges 1;"):
            with self.subTest(options=options):
                nginx = Nginx(self.lab, self.folder, options)
                report = self.assert_fetched(nginx.url("file"), rate=400_000)
                self.assertGreater(report["requests"], 1)
                self.assertGreater(report["seconds"], report["bytes"] / 400_000 * 0.7)
                self.assertLess(report["seconds"], report["bytes"] / 400_000 * 4 + 5)

    def test_rate_is_no_stall(self):
        """A piece takes longer than what counts as a stall."""
        nginx = Nginx(self.lab, self.folder)
        self.ranges = [(0, 50_000)]
        report = self.assert_fetched(nginx.url("file"), rate=20_000, stall_usec=100_000)
        self.assertEqual(report["requests"], 1)
        self.assertGreater(report["seconds"], 1)

    def test_redirect(self):
        nginx = Nginx(self.lab, self.folder, "location /old { return 302 /file; }")
        report = self.assert_fetched(nginx.url("old"))
        self.assertEqual(report["why_single"], "")

    # What servers make of several ranges.

    def test_parts(self):
        server = self.server()
        report = self.assert_fetched(server.files_url + "file")
        self.assertEqual(report["why_single"], "")
        self.assertEqual(len(server.asked), report["requests"])

    def test_span(self):
        server = self.server("span")
        report = self.assert_fetched(server.files_url + "file")
        self.assertEqual(report["why_single"], "")
        self.assertLessEqual(report["requests"], 6)

    def test_coalesced(self):
        report = self.assert_fetched(self.server("coalesced").files_url + "file")
        self.assertEqual(report["why_single"], "")

    def test_first_range_only(self):
        self.assert_single(self.server("first"), "the first of several ranges only")

    def test_whole_file_for_several(self):
        self.assert_single(self.server(None), "with the whole file")

    def test_without_etag(self):
        server = self.server(etag=None)
        report = self.assert_fetched(server.files_url + "file")
        self.assertEqual((report["why_single"], report["rewinds"]), ("", 0))

    def test_without_etag_one_by_one(self):
        self.assert_single(self.server("first", etag=None), "the first of several")

    def test_whole_file_server(self):
        for etag in ('"1"', None):
            with self.subTest(etag=etag):
                server = self.server(etag=etag)
                server.has_ranges = False
                report = self.assert_fetched(server.files_url + "file")
                self.assertEqual(report["requests"], 2)

    def test_refused_by_status(self):
        for status in (400, 403, 416, 431):
            with self.subTest(status=status):
                self.assert_single(self.server(status), f"status {status}")

    # Lies.

    def test_reordered(self):
        self.assert_single(self.server("reordered"), "another range than asked for")

    def test_wrong_range(self):
        self.assert_single(self.server("wrong range"), "another range than asked for")

    def test_wrong_boundary(self):
        self.assert_single(self.server("wrong boundary"), "make no sense")

    def test_no_boundary(self):
        self.assert_single(self.server("no boundary"), "no boundary")

    def test_no_range(self):
        self.assert_single(self.server("no range"), "does not say its range")

    def test_lacks_the_last(self):
        self.assert_single(self.server("lacks the last"), "lacks parts")

    def test_all_parts_but_no_end(self):
        report = self.assert_fetched(self.server("no end").files_url + "file")
        self.assertEqual(report["why_single"], "")

    def test_wrong_total(self):
        report, _ = self.fetch(self.server("wrong total").files_url + "file")
        self.assertEqual(report["code"], PAYLOAD_SIZE)
        self.assertIn(f"has {FILE_BYTES + 1} bytes where {FILE_BYTES}", report["error"])

    def test_another_length_than_known(self):
        report, data = self.fetch(self.server().files_url + "file", total=FILE_BYTES + 1)
        self.assertEqual((report["code"], data), (PAYLOAD_SIZE, b""))

    def test_beyond_the_end(self):
        self.ranges.append((FILE_BYTES + 5, FILE_BYTES + 10))
        report, _ = self.fetch(self.server().files_url + "file")
        self.assertIn(report["code"], (TRANSFER, PAYLOAD_SIZE))

    def test_416_for_one(self):
        self.ranges = [(FILE_BYTES + 5, FILE_BYTES + 10)]
        report, _ = self.fetch(self.server().files_url + "file")
        self.assertEqual(report["code"], TRANSFER)
        self.assertIn("status 416", report["error"])

    # Interruptions.

    def test_cuts(self):
        for how in ("cut in a header", "cut in a body"):
            for etag in ('"1"', None):
                with self.subTest(how=how, etag=etag):
                    server = self.server(how, etag)
                    server.cut_after = [0, 0]
                    report = self.assert_fetched(server.files_url + "file", failures=3)
                    self.assertEqual(report["why_single"], "")
                    self.assertEqual(server.cut_after, [])
                    begun = how == "cut in a body" and etag is None
                    self.assertEqual(report["rewinds"] > 0, begun)

    def test_cuts_that_do_not_end(self):
        server = self.server("cut in a body")
        server.cut_after = [0] * 1000
        report, data = self.fetch(server.files_url + "file", failures=4)
        self.assertEqual(report["code"], TRANSFER)
        self.assertTrue(self.wanted().startswith(data))

    def test_cuts_one_by_one(self):
        server = self.server(None)
        server.cut_after = [None, None, None, 10, None, 20, None, 30]
        report = self.assert_fetched(server.files_url + "file", failures=5)
        self.assertGreater(report["requests"], 20)

    def test_changed_file(self):
        """Between two requests: what was begun of the old one is thrown away, or was whole."""
        other = random.Random(6).randbytes(FILE_BYTES)
        one_by_one = threading.Lock()
        for parts in ("good", None):
            with self.subTest(parts=parts):
                server = self.server(parts)
                self.file.write_bytes(self.content)

                def change(handler, server=server):
                    with one_by_one:
                        if len(server.asked) == 2:
                            server.etag = '"2"'
                            os.replace(self.new_file(other), self.file)
                        server._serve(handler)
                server.get = change
                report, data = self.fetch(server.files_url + "file", failures=5)
                self.assertEqual(report["code"], 0, report)
                place, seen = 0, []
                for first, end in self.ranges:
                    piece = data[place:place + end - first]
                    place += end - first
                    seen.append(piece == other[first:end])
                    self.assertTrue(seen[-1] or piece == self.content[first:end])
                self.assertEqual(seen, sorted(seen))
                self.assertTrue(any(seen))

    def new_file(self, content):
        path = self.folder / "new"
        path.write_bytes(content)
        return path

    def test_drip(self):
        report, _ = self.fetch(self.server("drip").files_url + "file", stall_usec=300000)
        self.assertEqual(report["code"], TRANSFER)
        self.assertLess(report["seconds"], 10)

    def test_drip_of_small_answers(self):
        """Each of them ends in time, all of them would take for ever."""
        self.ranges = some_ranges(40, n_most_bytes=3)
        server = self.server("first")

        def late(handler):
            server.is_closing.wait(0.2)
            server._serve(handler)
        server.get = late
        report, _ = self.fetch(server.files_url + "file", stall_usec=500000)
        self.assertEqual(report["code"], TRANSFER)
        self.assertIn("all requests together", report["error"])

    def test_failover_in_the_middle(self):
        """The other server has another ETag and no parts; a range that is begun comes anew."""
        for second in ("good", None):
            with self.subTest(second=second):
                servers = self.server("cut in a body"), self.server(second, '"other"')
                servers[0].cut_after = [0] * 100
                report = self.assert_fetched(*(s.files_url + "file" for s in servers))
                self.assertEqual(report["rewinds"], 1)
                self.assertLess(len(servers[0].cut_after), 100)
                self.assertGreater(len(servers[1].asked), 1)

    def test_nobody_has_it(self):
        server = self.server()
        report, data = self.fetch(server.files_url + "none", server.files_url + "no")
        self.assertEqual((report["code"], data), (TRANSFER, b""))
        self.assertIn("status 404", report["error"])


if __name__ == "__main__":
    main()
