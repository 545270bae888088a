# SPDX-License-Identifier: Apache-2.0
"""A FleetLock server in memory that words its answers as airlock does, and fails where it is told to.

    server = FleetLockServer(groups={"default": 1})
    server.url
    server.fail("pre-reboot", "drop-reply")   # the next such request
    server.holders("default"), server.most    # who is in now, and how many ever were at once
    server.stop(); server.start()             # away, and back at the same port with what it knows

What becomes of a request that is to fail: "cut" (not done, no answer), "drop-reply" (done, no
answer), "gateway" (done, 502), "conflict" (not done, as of two clients at once)."""
import http.server
import json
import threading


class FleetLockServer:
    def __init__(self, groups):
        self.slots = dict(groups)
        self.held = {group: set() for group in groups}
        self.most = 0
        self.requests = []  # (path, id, status or None)
        self.failures = []  # (name of the request, what)
        self.lock = threading.Lock()
        self.port = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer._serve(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fail(self, name, what):
        with self.lock:
            self.failures.append((name, what))

    def holders(self, group):
        with self.lock:
            return sorted(self.held[group])

    def _serve(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        body = handler.rfile.read(length)
        name = handler.path.removeprefix("/v1/")
        with self.lock:
            what = next((what for of, what in self.failures if of == name), None)
            if what:
                self.failures.remove((name, what))
            status, kind, value, identity = (None, "", "", "") if what == "cut" else \
                self._answer(name, handler.headers.get("fleet-lock-protocol"), body, what)
            if what == "gateway":
                status, kind, value = 502, "", "bad gateway"
            silent = what in ("cut", "drop-reply")
            self.requests.append((name, identity, None if silent else status))
        if silent:
            handler.close_connection = True
            return
        text = json.dumps({"kind": kind, "value": value}).encode() + b"\n" if kind else b""
        handler.send_response(status)
        handler.send_header("Content-Type", "text/plain; charset=utf-8")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def _answer(self, name, header, body, what):
        """(status, kind, value, id): does what is asked for."""
        bad = "failed to validate client identity: "
        if name not in ("pre-reboot", "steady-state"):
            return 404, "", "", ""
        if header != "true":
            return 400, "invalid_client_identity", bad + "wrong 'fleet-lock-protocol' header", ""
        try:
            client = json.loads(body)["client_params"]
        except (ValueError, KeyError, TypeError):
            return 400, "invalid_client_identity", bad + "EOF", ""
        identity, group = client.get("id"), client.get("group")
        if not identity or not group:
            return 400, "invalid_client_identity", bad + "empty client ID", ""
        if group not in self.slots:
            return 400, "unknown_group", f'unknown group "{group}"', identity
        if what == "conflict":
            return 500, "failed_lock", "conflict on semaphore detected, aborting", identity
        held = self.held[group]
        if name == "steady-state":
            held.discard(identity)
        elif identity not in held and len(held) >= self.slots[group]:
            return (500, "failed_lock",
                    f"all {self.slots[group]} semaphore slots currently locked", identity)
        else:
            held.add(identity)
        self.most = max(self.most, len(held))
        return 200, "", "", identity
