# SPDX-License-Identifier: Apache-2.0
"""What the tests of one locksmithd share: a host of fleet.py for each test, whose states are waited
for, and which must end well."""
import contextlib
import json
import re
import signal
import socket
import time
import unittest
from pathlib import Path

from fleet import BOOT_COMPLETE, Away, Host
from lab import Lab, run, tail, wait_for

BUS = ("com.coreos.locksmith1", "/com/coreos/locksmith1", "com.coreos.locksmith1.Manager")
HOUR_USEC = 3600 * 1000000


def now_usec():
    return int(time.time() * 1000000)


def far_window():
    """A daily window that is hours away."""
    start = time.localtime(time.time() + 6 * 3600)
    return {"REBOOT_WINDOW_START": f"{start.tm_hour}:{start.tm_min}", "REBOOT_WINDOW_LENGTH": "1h"}


class HostTest(unittest.TestCase):
    strategy = "reboot"

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.n_hosts = 0

    def host(self, is_good=True, starts=True, has_engine=True, environment=(), prefix=(),
             name=None, **config):
        """A host whose daemon is there, and whose boot is good unless told."""
        cls = type(self)
        cls.n_hosts += 1
        folder = self.lab.folder / (name or f"{cls.__name__.lower()}{cls.n_hosts}")
        host = Host(self.lab, folder, Away(), {"REBOOT_STRATEGY": self.strategy, **config},
                    has_engine=has_engine)
        host.environment, host.command_prefix = dict(environment), list(prefix)
        host.exit_status = 0  # of the daemon, in the end
        self.addCleanup(self.put_away, host)
        host.start_bus()
        self.wait_bus(host)
        host.start_fake()
        if is_good:
            host.do("unit", BOOT_COMPLETE, "active")
        if starts:
            host.start_daemon()
            self.wait_there(host)
        return host

    def wait_bus(self, host):
        def connect():
            with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
                client.connect(str(host.socket))
                return True
        wait_for("the bus", connect)

    def wait_begun(self, process):
        """A daemon that was only just started does not take signals yet, and dies of them."""
        def takes_signals():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                blocked = int(re.search("^SigBlk:\\s*(.*)$", status, re.M)[1], 16)
                return blocked & 1 << signal.SIGTERM - 1 != 0 or process.poll() is not None
        wait_for("the daemon's signal handlers", takes_signals)

    def put_away(self, host):
        if host.daemon is not None and host.daemon.poll() is None:
            self.wait_begun(host.daemon)
            host.daemon.terminate()
            self.assertEqual(host.daemon.wait(20), host.exit_status, tail(host.log))
        self.assertEqual(host.unexpected, [], tail(host.log))
        for process in (host.fake, host.bus_process):
            if process is not None:
                self.lab.end(process, signal.SIGKILL)
        if host.fake is not None:
            host.fake.stdout.close()

    def until(self, host, what, condition, seconds=None):
        def step():
            if host.fake is not None:
                host.step(time.monotonic())
            return condition()
        try:
            return wait_for(what, step, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {host.property('State')}: {host.property('Text')}\n"
                                 f"{tail(host.log)}") from None

    def wait_there(self, host):
        self.until(host, "the daemon", lambda: host.property("State"))

    def wait_state(self, host, state, text=""):
        self.until(host, f"state {state} {text!r}",
                   lambda: host.property("State") == state and text in host.property("Text"))

    def wait_property(self, host, name, value):
        self.until(host, f"{name} {value}", lambda: host.property(name) == value)

    def wait_rebooted(self, host, n=1):
        self.until(host, "the reboot", lambda: host.n_reboots >= n and not host.is_away)

    def wait_log(self, host, text):
        self.until(host, f"{text!r} in the log", lambda: text in host.log_text())

    def stays(self, host, state, seconds=0.4):
        """That something does not happen can only be watched for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            host.step(time.monotonic())
            self.assertEqual(host.property("State"), state, tail(host.log))
        self.assertEqual(self.asked(host), [])

    def asked(self, host):
        """The reboots that logind was asked for."""
        host.handle_reports()
        return [report for report in host.reports if report["what"] == "reboot"]

    def call(self, host, method, *arguments):
        return run(["busctl", f"--address={host.bus}", "call", *BUS, method, *arguments],
                   check=False)

    def condition(self, host, name):
        """(holds, text) of one of them."""
        done = run(["busctl", f"--address={host.bus}", "--json=short", "get-property", *BUS,
                    "Conditions"])
        found = {row[0]: (row[1], row[2]) for row in json.loads(done.stdout)["data"]}
        return found[name]

    def hook(self, host, kind, name, text):
        """A hook that notes when it runs, and then does what text says."""
        folder = host.root / f"etc/locksmith/{kind}.d"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(f"#!/bin/sh\necho \"{kind} $LOCKSMITH_EVENT $LOCKSMITH_VERSION "
                        f"$LOCKSMITH_TRIGGER\" >>'{host.folder}/hooks'\n{text}\n")
        path.chmod(0o755)
        return path

    def hooks_run(self, host):
        with contextlib.suppress(FileNotFoundError):
            return (host.folder / "hooks").read_text().splitlines()
        return []

    def coordinator(self, host):
        path = host.root / "run/update-engine/coordinator.conf"
        return dict(line.split("=", 1) for line in path.read_text().split()) \
            if path.exists() else {}
