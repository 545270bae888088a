# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy before one server that loses, cuts and delays what it is told to. It reads requests as
HTTP/1.1 to know them; replies go through as they come.

    proxy = LossyProxy(member.url)
    proxy.url                                   # for the client, instead of member.url
    proxy.rule(is_lock("host0"), "drop-reply")  # the first such request from now on

What becomes of a request that fits a rule:

    cut          the connection is cut before the server sees it: surely not done
    drop-reply   the server does it and answers, the client gets a cut connection: unknown
    half-reply   the same, after half of the first bytes of the answer
    hang         the server never sees it, the client gets nothing, the connection stays
    swallow      the server does it, the client gets nothing, the connection stays
    pass         as without a rule (for the functions below)

before and after are called in the proxy's thread when such a request came, and when its answer
came and has not been passed on."""
import base64
import contextlib
import json
import re
import socket
import threading
import urllib.parse

HEAD_MAX = 64 * 1024


class Rule:
    """What becomes of some requests; may be one for several proxies."""

    def __init__(self, matches, action="pass", skip=0, times=1, before=None, after=None):
        """matches(first_line, body) -> bool. The first `skip` that fit go through, then `times`."""
        self.matches, self.action, self.skip, self.times = matches, action, skip, times
        self.before, self.after = before, after
        self.n_met = 0
        self.lock = threading.Lock()

    def takes(self, first_line, body):
        if not self.matches(first_line, body):
            return False
        with self.lock:
            if self.n_met == self.skip + self.times:
                return False
            self.n_met += 1
            return self.n_met > self.skip

    @property
    def n_taken(self):
        return max(self.n_met - self.skip, 0)


class LossyProxy:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.server = (parts.hostname, parts.port)
        self.rules = []
        self.requests = []      # (first line, body) of all that came
        self.is_silent = False  # connections are taken, nothing goes through
        self.refuses = False    # connections are cut as they come
        self.lock = threading.Lock()
        self.open = set()
        self.is_closing = False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"{parts.scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def rule(self, *what, **more):
        rule = Rule(*what, **more)
        self.add(rule)
        return rule

    def add(self, rule):
        with self.lock:
            self.rules.append(rule)

    def clear(self):
        with self.lock:
            self.rules.clear()

    def silence(self, is_silent=True):
        """Nothing goes through, in either direction; what waits is cut when it is over."""
        was, self.is_silent = self.is_silent, is_silent
        if was and not is_silent:
            self.cut_all()

    def cut_all(self):
        with self.lock:
            connections = list(self.open)
        for connection in connections:
            connection.close()

    def close(self):
        self.is_closing = True
        # shutdown wakes the thread in accept, which close alone does not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut_all()

    def _accept(self):
        while not self.is_closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            connection = Connection(self, client)
            with self.lock:
                self.open.add(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    def find_rule(self, first_line, body):
        with self.lock:
            self.requests.append((first_line, body))
            return next((rule for rule in self.rules if rule.takes(first_line, body)), None)


class Connection:
    def __init__(self, proxy, client):
        self.proxy, self.client, self.server = proxy, client, None
        self.rule = None  # of the request whose answer comes next

    def close(self):
        for end in (self.client, self.server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        with self.proxy.lock:
            self.proxy.open.discard(self)

    def run(self):
        with contextlib.suppress(OSError, ValueError):
            self.server = socket.create_connection(self.proxy.server, timeout=10)
            self.server.settimeout(None)
            threading.Thread(target=self._pass_answers, daemon=True).start()
            with self.client.makefile("rb") as stream:
                while self._pass_request(stream):
                    pass
        self.close()

    def _pass_request(self, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline(HEAD_MAX)
            if not line or len(head) > HEAD_MAX:
                return False
            head += line
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = stream.read(int(length[1])) if length else b""
        first_line = head.split(b"\r\n", 1)[0].decode()
        rule = self.proxy.find_rule(first_line, body)
        if rule is not None and rule.before:
            rule.before()
        if rule is not None and rule.action == "cut":
            return False
        if self.proxy.is_silent or (rule is not None and rule.action == "hang"):
            return True
        self.rule = rule
        self.server.sendall(head + body)
        return True

    def _pass_answers(self):
        with contextlib.suppress(OSError):
            while data := self.server.recv(64 * 1024):
                rule, self.rule = self.rule, None
                if rule is not None and rule.after:
                    rule.after()
                action = rule.action if rule is not None else "pass"
                if action == "drop-reply":
                    break
                if action == "half-reply":
                    self.client.sendall(data[:len(data) // 2])
                    break
                if action == "swallow":
                    while self.server.recv(64 * 1024):
                        pass
                    return  # the client's end stays open until the client has had enough
                if self.proxy.is_silent:
                    continue
                self.client.sendall(data)
        self.close()


# What a request is about.


def semaphore_written(first_line, body):
    """The semaphore document that the request would write, v3 or v2; None when it writes none."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if first_line.startswith("POST /v3/kv/txn"):
            for operation in json.loads(body).get("success", []):
                put = operation.get("request_put") or operation.get("requestPut")
                if put and base64.b64decode(put["key"]).endswith(b"/semaphore"):
                    return json.loads(base64.b64decode(put["value"]))
        if re.match(r"PUT /v2/keys/.*/semaphore\?", first_line):
            return json.loads(urllib.parse.parse_qs(body.decode())["value"][0])
    return None


def is_any(_first_line, _body):
    return True


def is_lock(host_id):
    """Requests that would make the host a holder, or keep it one beside a change by another."""
    def matches(first_line, body):
        document = semaphore_written(first_line, body)
        return document is not None and host_id in (document.get("holders") or [])
    return matches


def is_unlock(is_holder):
    """Requests that would leave the lock without a holder, as long as is_holder() says that the
    host does hold it."""
    def matches(first_line, body):
        document = semaphore_written(first_line, body)
        return document is not None and not document.get("holders") and is_holder()
    return matches
