# SPDX-License-Identifier: Apache-2.0
"""Ways to an nginx of our own that counts what it sends: loopback, and a slow link to a network
namespace, which is made here and ends with the lab."""
import os
import re
import socket
import sys
import time
from pathlib import Path

from lab import run, wait_for

RATE_MBIT, DELAY_MS = 100, 20
BURST, QUEUE_MS = "64kb", 50


class Server:
    """nginx, serving one folder; prefix: how to come into its namespace."""

    def __init__(self, lab, folder, address="127.0.0.1", prefix=()):
        own = lab.folder / f"nginx-{address}"
        own.mkdir()
        self.log = own / "access.log"
        self.log.touch()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.base = f"http://{address}:{probe.getsockname()[1]}"
        temporary = "".join(f"    {kind}_temp_path {own}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (own / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log {own}/error.log;\n"
            + ("user root;\n" if os.geteuid() == 0 else "")
            + "events {}\nhttp {\n    sendfile on;\n    keepalive_requests 100000;\n"
            + "    log_format count '$bytes_sent $status $request_uri';\n"
            + f"    access_log {self.log} count;\n" + temporary
            + f"    server {{ listen {self.base[7:]}; root {folder}; }}\n}}\n")
        lab.start([*prefix, "nginx", "-c", own / "nginx.conf", "-e", own / "error.log"],
                  own / "log")
        wait_for("nginx", lambda: run(["curl", "-s", "-o", own / "first", self.base],
                                      check=False).returncode == 0, logs=[own / "error.log"])
        self.mark()

    def url(self, path):
        return f"{self.base}/{Path(path).name}"

    def mark(self):
        """Counting begins here."""
        self._settle()
        self.begin = self.log.stat().st_size

    def traffic(self):
        """(bytes sent with their headers, requests) since the mark."""
        self._settle()
        with open(self.log) as file:
            file.seek(self.begin)
            sent = [int(line.split()[0]) for line in file]
        return sum(sent), len(sent)

    def _settle(self):
        """A request is logged a moment after its last byte was sent."""
        size = -1
        while size != (now := self.log.stat().st_size):
            size = now
            time.sleep(0.05)


class Loopback:
    name, title = "loopback", "over loopback"
    lacks = []

    def __init__(self, lab, folder):
        self.server = Server(lab, folder)


class SlowLink:
    """Towards us, RATE_MBIT by tbf and DELAY_MS by netem; where the kernel has no netem the delay
    is made by a relay between two tun devices."""
    name = "slow"

    def __init__(self, lab, folder):
        self.lacks = []
        self.lab, self.space = lab, f"flipside-bench-{os.getpid()}"
        net = f"198.18.{os.getpid() // 64 % 256}"
        first = os.getpid() % 64 * 4
        self.ours, self.theirs = f"{net}.{first + 1}", f"{net}.{first + 2}"
        self.near, self.far = f"fb{os.getpid()}n", f"fb{os.getpid()}f"
        self._ip("netns", "add", self.space)
        lab.undo.append(lambda: self._ip("netns", "del", self.space))
        self._veth()
        has_delay = self._shape() or self._relay()
        self.title = f"over {RATE_MBIT} Mbit/s" + (f" with {DELAY_MS} ms of delay" if has_delay
                                                   else "")
        self.server = Server(lab, folder, self.theirs, ["ip", "netns", "exec", self.space])

    def _ip(self, *args):
        run(["ip", *args])

    def _tc(self, *args):
        return run(["tc", "-n", self.space, "qdisc", "add", "dev", self.far, *args],
                   check=False).returncode == 0

    def _up(self):
        self._ip("addr", "add", f"{self.ours}/30", "dev", self.near)
        self._ip("link", "set", self.near, "up")
        self._ip("-n", self.space, "addr", "add", f"{self.theirs}/30", "dev", self.far)
        self._ip("-n", self.space, "link", "set", self.far, "up")

    def _veth(self):
        self._ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns",
                 self.space)
        self._up()

    def _limit(self):
        if not self._tc("root", "handle", "1:", "tbf", "rate", f"{RATE_MBIT}mbit", "burst", BURST,
                        "latency", f"{QUEUE_MS}ms"):
            raise OSError("the kernel has no tbf")

    def _shape(self):
        self._limit()
        return self._tc("parent", "1:1", "handle", "2:", "netem", "delay", f"{DELAY_MS}ms",
                        "limit", "5000")

    def _relay(self):
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            self.lacks.append(f"the delay of {DELAY_MS} ms: no netem and no tun in the kernel")
            return False
        self._ip("link", "del", self.near)
        log = self.lab.folder / "relay.log"
        self.lab.start([sys.executable, Path(__file__).parent / "delay-relay", self.near, self.far,
                        DELAY_MS], log)
        wait_for("the relay", lambda: re.search("ready", log.read_text()), logs=[log])
        self._ip("link", "set", self.far, "netns", self.space)
        self._up()
        self._limit()
        return True


def slow_link(lab, folder):
    """(link, None), or (None, why there is none)."""
    if os.geteuid() != 0:
        return None, "a network namespace is made by root only"
    try:
        return SlowLink(lab, folder), None
    except (AssertionError, OSError) as reason:
        return None, str(reason).replace("\n", " ")
