# SPDX-License-Identifier: Apache-2.0
"""An update server inside the test's own process, that answers whatever a test wants: any bytes as
the Omaha answer, and a payload that is cut, stalls, lies about its length or has no ranges, or
whose ranges come in parts of any kind. It counts every byte that it sends.

(omaha-server is the one for people; its own ways to misbehave are tested with it.)"""
import base64
import hashlib
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lab import wait_for

CHUNK = 16 * 1024
BOUNDARY = "--a'b=="  # it needs quotes


def offer(url, payload, version="2.0.0", app_id="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}",
          size=None, sha256=None, max_failures=1, deltas=(), metadata_size=None):
    """An Omaha answer that offers the payload file below one URL or several, and deltas: (file,
    version that it begins with) each. A URL has one try, so that a test need not wait for ten."""
    told = f'MetadataSize="{metadata_size}"' if metadata_size else ""
    content = Path(payload).read_bytes()
    urls = "".join(f'<url codebase="{u}"/>' for u in ([url] if isinstance(url, str) else url))
    more = "".join(f'<package name="{Path(file).name}" size="{Path(file).stat().st_size}" '
                   f'delta_from="{base}" required="false" '
                   f'hash_sha256="{hashlib.sha256(Path(file).read_bytes()).hexdigest()}"/>'
                   for file, base in deltas)
    digest = base64.b64encode(sha256 or hashlib.sha256(content).digest()).decode()
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<response protocol="3.0" server="test"><daystart elapsed_seconds="0"/>
<app appid="{app_id}" status="ok"><ping status="ok"/><updatecheck status="ok">
<urls>{urls}</urls>
<manifest version="{version}"><packages>
<package name="{Path(payload).name}" size="{size or len(content)}" required="true"/>{more}</packages>
<actions><action event="postinstall" sha256="{digest}" DisablePayloadBackoff="true"
 MaxFailureCountPerUrl="{max_failures}" {told}/></actions>
</manifest></updatecheck></app></response>""".encode()


def no_update(app_id="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}", app_status="ok",
              check_status="noupdate"):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<response protocol="3.0" server="test"><daystart elapsed_seconds="0"/>
<app appid="{app_id}" status="{app_status}"><ping status="ok"/>
<updatecheck status="{check_status}"><urls></urls></updatecheck></app></response>""".encode()


class HostileServer:
    """Runs until close(). The knobs may be turned while it runs."""

    def __init__(self):
        self.answer = no_update()  # bytes, or a function of the handler
        self.answer_status = 200
        self.files = {}            # name -> path
        self.get = None            # a function of the handler that answers every GET itself
        self.requests = []         # the XML bodies that were posted
        self.sent = []             # (name, first byte, bytes sent) of each GET
        self.rate_bytes_per_sec = 0
        self.has_ranges = True
        self.etag = None           # with its quotes; it is heeded in If-Range
        self.parts = None          # how several ranges are answered; None: with the whole file
        self.asked = []            # the Range headers of the GETs, or ""
        self.cut_after = []        # bytes after which the next GETs are cut, one after the other
        self.is_closing = threading.Event()
        self.lock = threading.Lock()
        self.n_sending = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that was killed hangs up anywhere
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.server.server_address[1]

    @property
    def omaha_url(self):
        return f"http://127.0.0.1:{self.port}/v1/update/"

    @property
    def files_url(self):
        return f"http://127.0.0.1:{self.port}/files/"

    def offer(self, payload, urls=None, **more):
        """Serves the payload file and offers it."""
        for file in (payload, *(delta for delta, _ in more.get("deltas", ()))):
            self.files[Path(file).name] = Path(file)
        self.answer = offer(urls or self.files_url, payload, **more)

    def bytes_sent(self):
        with self.lock:
            return sum(n for _, _, n in self.sent)

    def wait_until_idle(self):
        """Until no answer is under way: what was sent is counted."""
        wait_for("the server to be idle", lambda: self.n_sending == 0)

    def events(self):
        """What was reported: (type, result, attributes) of each event, in order."""
        found = []
        for body in self.requests:
            for tag in re.findall(rb"<event\b([^>]*)>", body):
                attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag.decode()))
                found.append((attributes.pop("eventtype"), attributes.pop("eventresult"),
                              attributes))
        return found

    def close(self):
        self.is_closing.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(outer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                # Small: what lies in the socket is sent, but did not arrive.
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().setup()

            def log_message(self, *_):
                pass

            def do_POST(self):
                outer.requests.append(self.rfile.read(int(self.headers["Content-Length"])))
                answer = outer.answer
                if callable(answer):
                    return outer._quietly(answer, self)
                self.send_response(outer.answer_status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                outer._quietly(self.wfile.write, answer)

            def do_GET(self):
                if outer.get:
                    return outer._quietly(outer.get, self)
                outer._quietly(outer._serve, self)

        return Handler

    def _quietly(self, function, *args):
        """A client that hangs up is nothing to report; the connection is over."""
        try:
            function(*args)
        except (BrokenPipeError, ConnectionResetError):
            if args and isinstance(args[0], BaseHTTPRequestHandler):
                args[0].close_connection = True

    def _serve(self, handler):
        name = handler.path.rpartition("/")[2]
        if name not in self.files:
            handler.send_error(404)
            return
        with self.lock:
            self.asked.append(handler.headers.get("Range", ""))
        with open(self.files[name], "rb") as file:
            size = file.seek(0, 2)
            first, last, partial = 0, size - 1, False
            asked = handler.headers.get("Range", "")
            if handler.headers.get("If-Range") not in (None, self.etag):
                asked = ""
            if self.parts and self.has_ranges and "," in asked:
                return self._serve_parts(handler, file, size, re.findall(r"(\d+)-(\d+)", asked))
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
            if wanted and self.has_ranges:
                first, partial = int(wanted[1]), True
                last = min(int(wanted[2] or last), last)
                if first > last:
                    handler.send_error(416)
                    return
            handler.send_response(206 if partial else 200)
            handler.send_header("Content-Length", str(last - first + 1))
            if self.etag:
                handler.send_header("ETag", self.etag)
            if self.has_ranges:
                handler.send_header("Accept-Ranges", "bytes")
            if partial:
                handler.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            handler.end_headers()
            file.seek(first)
            self._send(handler, file, name, first, last - first + 1)

    def _serve_parts(self, handler, file, size, wanted):
        """Answers several ranges, well or by one of these lies."""
        how = self.parts
        ranges = [(int(first), int(last)) for first, last in wanted]
        if isinstance(how, int):
            return handler.send_error(how)
        if how == "first" or how == "span":
            first, last = ranges[0][0], ranges[0 if how == "first" else -1][1]
            file.seek(first)
            return self._send_parts(handler, file.read(last - first + 1),
                                    [("Content-Range", f"bytes {first}-{last}/{size}")])
        if how == "coalesced":
            ranges = [(ranges[i][0], ranges[min(i + 1, len(ranges) - 1)][1])
                      for i in range(0, len(ranges), 2)]
        elif how == "reordered":
            ranges[1:] = ranges[:0:-1]
        elif how == "lacks the last":
            ranges.pop()
        middle = len(ranges) // 2
        body, cut = b"preamble", None
        for i, (first, last) in enumerate(ranges):
            said, total, boundary = first, size, BOUNDARY
            if i == middle and how == "wrong range":
                said, last = first + 1, last + 1
            if i == middle and how == "wrong total":
                total += 1
            if i == middle and how == "wrong boundary":
                boundary = "another"
            head = (f"\r\n--{boundary}\r\nContent-Type: text/plain\r\n"
                    + (f"Content-Range: bytes {said}-{last}/{total}\r\n"
                       if i < middle or how != "no range" else "") + "\r\n").encode()
            file.seek(first)
            if i == middle and how.startswith("cut"):
                cut = len(body) + (len(head) // 2 if how == "cut in a header" else len(head) + 10)
            body += head + file.read(last - said + 1)
        body += f"\r\n--{BOUNDARY}--\r\n".encode() if how != "no end" else b""
        kind = "" if how == "no boundary" else f'; charset=x; boundary="{BOUNDARY}"'
        if cut and self.cut_after:
            self.cut_after.pop()
            return self._send_parts(handler, body, [("Content-Type", "multipart/byteranges" + kind)],
                                    cut)
        return self._send_parts(handler, body, [("Content-Type", "multipart/byteranges" + kind)])

    def _send_parts(self, handler, body, headers, cut=None):
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(body)))
        if self.etag:
            handler.send_header("ETag", self.etag)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        if self.parts == "drip":
            for byte in body:
                handler.wfile.write(bytes([byte]))
                if self.is_closing.wait(0.005):
                    break
            return
        with self.lock:
            self.sent.append(("parts", 0, len(body[:cut])))
        for at in range(0, len(body[:cut]), CHUNK):
            handler.wfile.write(body[:cut][at:at + CHUNK])
        handler.close_connection = cut is not None

    def _send(self, *answer):
        with self.lock:
            self.n_sending += 1
        try:
            self._send_counted(*answer)
        finally:
            with self.lock:
                self.n_sending -= 1

    def _send_counted(self, handler, file, name, first, n_bytes):
        with self.lock:
            cut = self.cut_after.pop(0) if self.cut_after else None
            self.sent.append((name, first, 0))
            place = len(self.sent) - 1
        n_sent, started = 0, time.monotonic()
        while n_sent < n_bytes and not self.is_closing.is_set():
            if cut is not None and n_sent >= cut:
                handler.close_connection = True
                return
            n = min(CHUNK, n_bytes - n_sent, n_bytes if cut is None else cut - n_sent)
            n_sent += handler.request.send(file.read(n))
            file.seek(first + n_sent)
            with self.lock:
                self.sent[place] = (name, first, n_sent)
            if self.rate_bytes_per_sec:
                ahead = n_sent / self.rate_bytes_per_sec - (time.monotonic() - started)
                if ahead > 0:
                    self.is_closing.wait(ahead)
