# SPDX-License-Identifier: Apache-2.0
"""How long the daemon takes to answer GetStatus, asked again and again over one connection. Spoken
by hand (D-Bus specification, "Message Protocol"), for a program per question takes longer than the
answer."""
import os
import socket
import struct
import threading
import time

from machine import BUS_NAME, BUS_PATH, MANAGER_INTERFACE

METHOD_CALL, METHOD_RETURN, ERROR = 1, 2, 3
PATH, INTERFACE, MEMBER, DESTINATION = 1, 2, 3, 6
PAUSE_SECONDS = 0.005
FIXED_BYTES = 16


def _pad(data, n_bytes):
    return data + bytes(-len(data) % n_bytes)


def _call(serial, destination, path, interface, member):
    fields = b""
    for code, kind, text in ((PATH, b"o", path), (DESTINATION, b"s", destination),
                             (INTERFACE, b"s", interface), (MEMBER, b"s", member)):
        fields = _pad(fields, 8) + bytes([code, 1]) + kind + b"\0"
        fields += struct.pack("<I", len(text)) + text.encode() + b"\0"
    return _pad(struct.pack("<cBBBIII", b"l", METHOD_CALL, 0, 1, 0, serial, len(fields)) + fields,
                8)


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.serial = 0
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode()
                            + b"\r\n")
        if not self.socket.recv(256).startswith(b"OK"):
            raise ConnectionError("the bus lets us not in")
        self.socket.sendall(b"BEGIN\r\n")
        self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")

    def _exactly(self, n_bytes):
        data = b""
        while len(data) < n_bytes:
            piece = self.socket.recv(n_bytes - len(data))
            if not piece:
                raise ConnectionError("the bus has hung up")
            data += piece
        return data

    def call(self, *whom_and_what):
        """Waits for the answer, and says whether it is one."""
        self.serial += 1
        self.socket.sendall(_call(self.serial, *whom_and_what))
        while True:
            head = self._exactly(FIXED_BYTES)
            kind, n_body, n_fields = head[1], *struct.unpack_from("<4xI4xI", head)
            self._exactly(n_fields + -n_fields % 8 + n_body)
            if kind in (METHOD_RETURN, ERROR):
                return kind == METHOD_RETURN


class Probe:
    """Asks for as long as the block lasts."""

    def __init__(self, machine):
        self.connection = Connection(machine.socket)
        self.milliseconds = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        while not self.is_over.wait(PAUSE_SECONDS):
            began = time.monotonic()
            if not self.connection.call(BUS_NAME, BUS_PATH, MANAGER_INTERFACE, "GetStatus"):
                raise ConnectionError("GetStatus was answered with an error")
            self.milliseconds.append((time.monotonic() - began) * 1000)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.connection.socket.close()


def summary(milliseconds):
    ordered = sorted(milliseconds)
    return {"n": len(ordered), "p50_ms": ordered[len(ordered) // 2],
            "p99_ms": ordered[len(ordered) * 99 // 100], "max_ms": ordered[-1]}
