# SPDX-License-Identifier: Apache-2.0
"""A host that runs Go locksmith, played byte for byte: the three requests that it sends for every
change, recorded from locksmithctl 0.6.2 (v2 keys: create if missing, read without quorum, compare
and swap), with its text of the document, its order of tests and its lack of retries."""
import contextlib
import json
import socket
import threading
import urllib.parse

PATH = "/v2/keys/coreos.com/updateengine/rebootlock/semaphore"


class GoError(Exception):
    pass


def marshal(document):
    """As Go's encoding/json writes the struct: no blanks, in the order of its fields."""
    return json.dumps({"semaphore": document["semaphore"], "max": document["max"],
                       "holders": document["holders"]}, separators=(",", ":"))


def request_bytes(method, host, target, value=None):
    """The bytes of one request of Go's net/http client, as captured."""
    body = "" if value is None else "value=" + urllib.parse.quote_plus(value, safe="")
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\n"
    if value is not None:
        head += (f"Content-Length: {len(body)}\r\n"
                 "Content-Type: application/x-www-form-urlencoded\r\n")
    return (head + "Accept-Encoding: gzip\r\n\r\n" + body).encode()


class GoLocksmith:
    def __init__(self, url, machine_id):
        self.host = urllib.parse.urlsplit(url).netloc
        self.machine_id = machine_id

    def _ask(self, method, query, value=None):
        address, port = self.host.split(":")
        with socket.create_connection((address, int(port)), timeout=20) as connection:
            connection.sendall(request_bytes(method, self.host, PATH + query, value))
            stream = connection.makefile("rb")
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline().strip()):
                name, _, text = line.decode().partition(":")
                if name.lower() == "content-length":
                    length = int(text)
            return status, json.loads(stream.read(length))

    def _change(self, change):
        first = marshal({"semaphore": 1, "max": 1, "holders": None})
        status, answer = self._ask("PUT", "?prevExist=false", first)
        if status != 201 and answer.get("errorCode") != 105:
            raise GoError(answer)
        status, answer = self._ask("GET", "?quorum=false&recursive=false&sorted=false")
        if status != 200:
            raise GoError(answer)
        document = json.loads(answer["node"]["value"])
        change(document)
        status, answer = self._ask("PUT", f"?prevIndex={answer['node']['modifiedIndex']}",
                                   marshal(document))
        if status != 200:
            raise GoError(f"{answer['errorCode']}: {answer['message']} ({answer['cause']}) "
                          f"[{answer['index']}]")

    def lock(self):
        def change(document):
            if document["semaphore"] <= 0:
                raise GoError(f"semaphore is at {document['semaphore']}")
            holders = document["holders"] or []
            if self.machine_id in holders:
                raise GoError("holder exists")
            document["semaphore"] -= 1
            document["holders"] = sorted([*holders, self.machine_id], key=lambda h: h.encode())
        self._change(change)

    def unlock(self):
        def change(document):
            if self.machine_id not in (document["holders"] or []):
                raise GoError("holder does not exist")
            document["semaphore"] += 1
            document["holders"] = [h for h in document["holders"] if h != self.machine_id]
        self._change(change)


class GoHost(threading.Thread):
    """Takes the lock, is away for a while, gives it back, and is done. on_down and on_up are called
    around the reboot, in this thread."""

    def __init__(self, url, machine_id, down_seconds, retry_seconds, on_down, on_up):
        super().__init__(daemon=True)
        self.client = GoLocksmith(url, machine_id)
        self.down_seconds, self.retry_seconds = down_seconds, retry_seconds
        self.on_down, self.on_up = on_down, on_up
        self.is_done = False
        self.stopping = threading.Event()

    def _until_done(self, attempt):
        while not self.stopping.is_set():
            with contextlib.suppress(GoError, OSError):
                attempt()
                return True
            self.stopping.wait(self.retry_seconds)
        return False

    def run(self):
        if not self._until_done(self.client.lock):
            return
        self.on_down()
        self.stopping.wait(self.down_seconds)
        self.on_up()
        self.is_done = self._until_done(self.client.unlock)
