#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an update server may answer: XML that is wrong in every way, refusals that are no errors,
and downloads that are cut, lie, turn in a circle or lead to a file."""
import base64


from hostile_server import no_update, offer
from lab import main, wait_for
from machine_test import MachineTest

OMAHA_REQUEST, TRANSFER, PAYLOAD_HASH, PAYLOAD_SIZE = 2, 9, 10, 11
EMPTY_RESPONSE, XML, RESPONSE, ENTITY, HTTP_BASE = 30, 31, 34, 46, 2000


class Answers(MachineTest):
    def start(self, **more):
        """A machine and a server, so far without an update."""
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url, **more)
        machine.start_engine()
        return machine, server

    def update(self, machine):
        return machine.flipside("update", check=False)

    def refuse(self, answer, *codes, status=200):
        machine, server = self.start()
        server.answer, server.answer_status = answer, status
        return self.assert_refused(machine, self.update(machine), codes)

    def good(self):
        return offer("http://127.0.0.1:9/", self.payload).decode()

    # The XML.

    def test_empty(self):
        self.refuse(b"", EMPTY_RESPONSE)

    def test_truncated(self):
        text = self.good().encode()
        machine, server = self.start()
        for end in (1, 40, len(text) // 2, len(text) - 15):
            with self.subTest(end=end):
                server.answer = text[:end]
                self.assert_refused(machine, self.update(machine), [XML])

    def test_no_xml_at_all(self):
        self.refuse(b"<!doctype html><p>It works!<br>", XML, ENTITY, RESPONSE)

    def test_an_error_that_quotes_what_no_bus_carries(self):
        # XML names may hold U+1FFFE, and the parser's message quotes them; libsystemd refuses to
        # send a text with it, and then nobody would hear of the error.
        line = self.refuse('<response protocol="3.0"><a\U0001fffe></b></response>'.encode(), XML)
        self.assertIn("????", line)

    def test_no_manifest(self):
        text = self.good()
        start, end = text.index("<manifest"), text.index("</manifest>") + len("</manifest>")
        self.refuse((text[:start] + text[end:]).encode(), RESPONSE)

    def test_no_url(self):
        self.refuse(self.good().replace('<url codebase="http://127.0.0.1:9/"/>', "").encode(),
                    RESPONSE)

    def test_no_hash(self):
        text = self.good()
        start = text.index(' sha256="')
        self.refuse((text[:start] + text[text.index('"', start + 9) + 1:]).encode(), RESPONSE)

    def test_size_zero(self):
        self.refuse(offer("http://127.0.0.1:9/", self.payload, size=-1), RESPONSE)

    def test_a_file_url(self):
        self.refuse(offer(f"file://{self.lab.folder}/", self.payload), RESPONSE)

    def test_entity_bomb(self):
        entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
        bomb = ('<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e0 "boom">' + entities
                + ']><response protocol="3.0"><app status="ok">&e9;</app></response>')
        machine, server = self.start()
        server.answer = bomb.encode()
        before = self.peak_mib(machine)
        self.assert_refused(machine, self.update(machine), [ENTITY])
        self.assertLess(self.peak_mib(machine), before + 20)

    def test_external_entity(self):
        self.refuse(b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
                    b'<response protocol="3.0"><app status="ok">&x;</app></response>', ENTITY)

    def test_a_hundred_megabytes(self):
        machine, server = self.start()

        def endless(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(100 << 20))
            handler.end_headers()
            handler.wfile.write(b"<response>")
            for _ in range(100):
                handler.wfile.write(b"<app/>" * (1 << 20))
        server.answer = endless
        self.assert_refused(machine, self.update(machine), [OMAHA_REQUEST, XML, RESPONSE])
        self.assertLess(self.peak_mib(machine), 200 if self.is_asan(machine) else 40)

    def peak_mib(self, machine):
        with open(f"/proc/{machine.engine.pid}/status") as file:
            return int(file.read().split("VmHWM:")[1].split()[0]) / 1024

    def is_asan(self, machine):
        with open(f"/proc/{machine.engine.pid}/maps") as file:
            return "libasan" in file.read()

    # The server's refusals.

    def test_rate_limit_is_no_error(self):
        machine, server = self.start()
        server.answer = no_update(app_status="error-maxUpdatesPerPeriodLimitReached",
                                  check_status="error-internal")
        done = self.update(machine)
        self.assertIn("maxUpdatesPerPeriodLimitReached", done.stdout + done.stderr)
        self.assertEqual(machine.number("LastErrorCode"), 0)
        self.assertNotIn(("3", "0"), [event[:2] for event in server.events()])
        self.assert_untouched(machine)

    def test_no_update_is_no_error(self):
        machine, server = self.start()
        self.update(machine)
        self.assertEqual(machine.number("LastErrorCode"), 0)
        self.assertNotIn(("3", "0"), [event[:2] for event in server.events()])

    def test_http_errors_have_their_number(self):
        machine, server = self.start()
        for status in (400, 404, 500, 503):
            with self.subTest(status=status):
                server.answer, server.answer_status = b"no", status
                self.assert_refused(machine, self.update(machine), [HTTP_BASE + status])

    def test_nobody_answers(self):
        machine = self.machine()
        machine.configure(SERVER="http://127.0.0.1:9/v1/update/")
        machine.start_engine()
        self.assert_refused(machine, self.update(machine), [OMAHA_REQUEST])

    def test_disabled(self):
        machine = self.machine()
        machine.start_engine()
        self.assert_refused(machine, self.update(machine))

    def test_errors_reach_the_server_when_it_can_be_reached_again(self):
        machine, server = self.start()
        server.offer(self.payload, sha256=bytes(32))
        self.assert_refused(machine, self.update(machine), [PAYLOAD_HASH])
        server.answer = no_update()
        wait_for("the report of the failure", lambda: any(
            event[:2] == ("3", "0") and int(event[2]["errorcode"]) & 0xFFFF == PAYLOAD_HASH
            for event in server.events()), logs=[machine.log])

    # The download.

    def refuse_download(self, get, *codes):
        machine, server = self.start()
        server.offer(self.payload)
        server.get = get
        return self.assert_refused(machine, self.update(machine), codes)

    def test_download_404(self):
        self.refuse_download(lambda handler: handler.send_error(404), TRANSFER, HTTP_BASE + 404)

    def test_redirect_in_a_circle(self):
        def circle(handler):
            handler.send_response(302)
            handler.send_header("Location", handler.path)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        self.refuse_download(circle, TRANSFER)

    def test_redirect_to_a_file(self):
        def to_file(handler):
            handler.send_response(302)
            handler.send_header("Location", f"file://{self.payload}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        self.refuse_download(to_file, TRANSFER)

    def test_redirect_to_another_place_is_followed(self):
        machine, server = self.start()
        server.offer(self.payload)
        other = self.server()
        other.files = dict(server.files)

        def elsewhere(handler):
            handler.send_response(302)
            handler.send_header("Location", other.files_url + self.payload.name)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        server.get = elsewhere
        machine.flipside("update")
        self.assert_installed(machine)

    def test_length_that_is_too_long(self):
        content = self.payload.read_bytes()

        def lie(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content) + 4096))
            handler.end_headers()
            handler.wfile.write(content + bytes(4096))
        self.refuse_download(lie, TRANSFER, PAYLOAD_SIZE)

    def test_length_that_is_too_short(self):
        content = self.payload.read_bytes()

        def lie(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content) // 2))
            handler.end_headers()
            handler.wfile.write(content[:len(content) // 2])
            handler.close_connection = True
        self.refuse_download(lie, TRANSFER, PAYLOAD_SIZE)

    def test_wrong_bytes(self):
        content = bytearray(self.payload.read_bytes())
        content[len(content) // 2] ^= 1

        def wrong(handler):
            wanted = handler.headers.get("Range", "bytes=0-")[6:].split("-")
            first, last = int(wanted[0]), int(wanted[1] or len(content) - 1)
            body = bytes(content[first:last + 1])
            handler.send_response(206 if "Range" in handler.headers else 200)
            handler.send_header("Content-Length", str(len(body)))
            if "Range" in handler.headers:
                handler.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            handler.end_headers()
            handler.wfile.write(body)
        self.refuse_download(wrong)

    def test_other_hash_than_offered(self):
        machine, server = self.start()
        server.offer(self.payload, sha256=base64.b64decode("A" * 43 + "="))
        self.assert_refused(machine, self.update(machine), [PAYLOAD_HASH])

    def test_other_version_than_offered(self):
        machine, server = self.start()
        server.offer(self.payload, version="2.0.1")
        line = self.assert_refused(machine, self.update(machine))
        self.assertIn("2.0.1", line)

    def test_no_ranges(self):
        machine, server = self.start()
        server.has_ranges = False
        server.offer(self.payload)
        machine.flipside("update")
        self.assert_installed(machine)

    def test_cuts_are_gone_on_from(self):
        machine, server = self.start()
        server.offer(self.payload, max_failures=10)
        server.cut_after = [3 << 20, 1 << 20]
        machine.flipside("update")
        self.assert_installed(machine)
        size = self.payload.stat().st_size
        self.assertLess(server.bytes_sent(), size * 1.5, "the download began anew after a cut")

    def test_cuts_without_ranges(self):
        machine, server = self.start()
        server.has_ranges = False
        server.offer(self.payload, max_failures=10)
        server.cut_after = [2 << 20]
        machine.flipside("update")
        self.assert_installed(machine)

    def test_second_url_when_the_first_fails(self):
        machine, server = self.start()
        server.offer(self.payload, urls=["http://127.0.0.1:9/", server.files_url])
        machine.flipside("update")
        self.assert_installed(machine)

    def test_second_url_when_the_first_has_other_bytes(self):
        machine, server = self.start()
        bad = self.server()
        content = bytearray(self.payload.read_bytes())
        content[len(content) // 3] ^= 0x80
        path = self.lab.folder / "bad" / self.payload.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        bad.files[path.name] = path
        server.offer(self.payload, urls=[bad.files_url, server.files_url])
        machine.flipside("update")
        self.assert_installed(machine)


if __name__ == "__main__":
    main()
