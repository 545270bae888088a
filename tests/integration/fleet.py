# SPDX-License-Identifier: Apache-2.0
"""Hosts that share a reboot lock. Each has a root folder, a bus, and a real locksmithd among logind,
systemd and an update engine that fake-logind plays. What logind is asked for, the fleet does: it
ends the host's daemons, gives it a new boot id, starts them again, and after a while declares the
boot good.

    fleet = Fleet(lab, n=20, endpoints=cluster.urls)
    fleet.start()
    fleet.offer_update()
    fleet.run_until("all are updated", fleet.is_updated)
    fleet.close()

Everything happens inside run_until(), in the test's own thread. The fleet itself counts how many
hosts are away (from logind's yes until the boot was declared good), whatever the lock says."""
import contextlib
import functools
import json
import os
import queue
import selectors
import shutil
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import lab as lab_module
from lab import OS_NAME, is_listening, run, tail
from machine import BUS_CONFIGURATION

NEED_REBOOT = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
IDLE = "UPDATE_STATUS_IDLE"
BOOT_COMPLETE = "boot-complete.target"
RESTART_SECONDS = 0.1  # what Restart= and RestartSec= of the unit do, quicker

program = functools.lru_cache(None)(lab_module.program)


def run_due(owner, now):
    """Does what is due of the owner's timers: (when, what)."""
    due = [what for when, what in owner.timers if when <= now]
    owner.timers = [timer for timer in owner.timers if timer[0] > now]
    for what in due:
        what()


class Away:
    """Which hosts are away, and how many there ever were at once. Safe from any thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = set()
        self.most = 0
        self.order = []

    def goes(self, name):
        with self.lock:
            self.now.add(name)
            self.order.append(name)
            self.most = max(self.most, len(self.now))

    def is_back(self, name):
        with self.lock:
            self.now.discard(name)


class Host:
    def __init__(self, lab, folder, away, config, boot_seconds=0.05, has_engine=True):
        self.lab, self.folder, self.name, self.away = lab, folder, folder.name, away
        self.boot_seconds = boot_seconds  # from the start of the daemons until the boot is good
        self.has_engine = has_engine      # fake-logind plays the update engine, too
        self.root = self.folder / "root"
        self.socket = self.folder / "bus"
        self.log = self.folder / "locksmithd.log"
        self.bus_process = self.fake = self.daemon = None
        self.config = {"LOCKSMITHD_LOGIN_GRACE": "0", **config}
        self.environment = {}
        self.command_prefix = []      # before locksmithd, such as strace
        self.version, self.offered = 1, None
        self.is_away = False
        self.n_reboots = 0
        self.reports = []             # of fake-logind
        self.unexpected = []          # exit statuses of a daemon that ended by itself
        self.timers = []              # (when, what)
        self._buffer = b""
        self._make_root()

    def _make_root(self):
        for folder in ("proc/sys/kernel/random", f"etc/{OS_NAME}", f"usr/share/{OS_NAME}",
                       "var/lib"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "etc/machine-id").write_text(self.name + "\n")
        self._begin_boot()
        self.write_config()

    def _begin_boot(self):
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{uuid.uuid4()}\n")
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()

    def write_config(self, **more):
        self.config.update(more)
        (self.root / f"etc/{OS_NAME}/update.conf").write_text(
            "".join(f"{key}={value}\n" for key, value in self.config.items()))

    @property
    def bus(self):
        return f"unix:path={self.socket}"

    # Processes.

    def start_bus(self):
        file = self.folder / "bus.conf"
        file.write_text(BUS_CONFIGURATION.format(path=self.socket))
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        self.bus_process = self.lab.start(
            ["dbus-daemon", f"--config-file={file}", "--nofork", "--nopidfile"],
            self.folder / "bus.log")

    def is_bus_up(self):
        return is_listening(self.socket)

    def start_fake(self):
        """fake-logind; its first report says that it is there."""
        command = [program("fake-logind"), "--bus", self.bus, "--systemd"]
        if self.has_engine:
            command.append("--update-engine")
        with open(self.folder / "fake-logind.log", "ab") as log:
            self.fake = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=log)
        self.lab.processes.append(self.fake)
        self._buffer = b""
        while b"\n" not in self._buffer:
            data = os.read(self.fake.stdout.fileno(), 4096)
            assert data, "fake-logind: " + tail(self.folder / "fake-logind.log")
            self._buffer += data
        self._buffer = b""
        os.set_blocking(self.fake.stdout.fileno(), False)

    def end_fake(self):
        self.lab.end(self.fake, signal.SIGKILL)
        self.fake.stdout.close()
        self.fake = None

    def daemon_command(self):
        return [*self.command_prefix, program("locksmithd"), "--root", self.root, "--bus", self.bus]

    def start_daemon(self):
        self.daemon = self.lab.start(
            self.daemon_command(), self.log,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus, **self.environment})

    def end_daemon(self, how=signal.SIGTERM):
        daemon, self.daemon = self.daemon, None
        if daemon is not None:
            self.lab.end(daemon, how)
            self.end_hooks()
            lab_module.wait_for("the bus to see that it ended", self.is_name_free)

    def is_name_free(self):
        """The bus has it in its own time; who starts again before is told that the name is taken."""
        if not self.is_bus_up():
            return True
        return run(["busctl", f"--address={self.bus}", "call", "org.freedesktop.DBus",
                    "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s",
                    "com.coreos.locksmith1"]).stdout.split() == ["b", "false"]

    def end_hooks(self):
        """What a daemon left behind that was killed: systemd ends all of a unit's processes."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (folder / "environ").read_bytes().split(b"\0")
                if f"DBUS_SYSTEM_BUS_ADDRESS={self.bus}".encode() in environment and any(
                        word.startswith(b"LOCKSMITH_HOOK=") for word in environment):
                    os.kill(int(folder.name), signal.SIGKILL)

    def kill_daemon(self):
        """-9, and nobody was told: it is started again as after a crash."""
        self.end_daemon(signal.SIGKILL)
        self.later(RESTART_SECONDS, self.start_daemon)

    def restart_bus(self):
        """The bus and all who were on it; locksmithd may stay, or end and be started again."""
        self.lab.end(self.bus_process, signal.SIGKILL)
        self.end_fake()
        self.start_bus()
        lab_module.wait_for("the bus", self.is_bus_up)
        self.start_fake()
        self._tell_fake()

    def _tell_fake(self):
        """What a fake that was started again must know of a host that was not."""
        self.do("unit", BOOT_COMPLETE, "active")
        if self.has_engine and self.offered:
            self.do("update", NEED_REBOOT, f"{self.offered}.0.0")

    def later(self, seconds, what):
        self.timers.append((time.monotonic() + seconds, what))

    def do(self, *words):
        """Tells fake-logind what to do."""
        run(["busctl", f"--address={self.bus}", "call", "flipside.Fake", "/control",
             "flipside.Fake", "Do", "as", len(words), *words])

    # What happens to a host.

    def offer_update(self, version=None):
        self.offered = version or self.version + 1
        if self.has_engine:
            self.do("update", NEED_REBOOT, f"{self.offered}.0.0")

    def withdraw_update(self):
        self.offered = None
        self.do("update", IDLE, "0.0.0")

    def is_updated(self):
        return self.offered is None and not self.is_away

    def handle_reports(self):
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.fake.stdout.fileno(), 65536):
                self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            report = json.loads(line)
            self.reports.append(report)
            if report["what"] == "reboot" and report["detail"] == "accepted":
                self.reboot()
                return

    def reboot(self):
        """All daemons end, and a new boot begins. It is over when that was declared good."""
        if not self.is_away:
            self.is_away = True
            self.away.goes(self.name)
        self.n_reboots += 1
        self.timers.clear()
        self.end_daemon(signal.SIGTERM if self.n_reboots % 2 else signal.SIGKILL)
        self.end_fake()
        self._begin_boot()
        if self.offered is not None:
            self.version, self.offered = self.offered, None
        self.start_fake()
        self.start_daemon()
        self.later(self.boot_seconds, self.complete_boot)

    def complete_boot(self):
        # First counted, then said: the lock may go to another host before this returns.
        self.is_away = False
        self.away.is_back(self.name)
        self.do("unit", BOOT_COMPLETE, "active")

    def step(self, now):
        self.handle_reports()
        run_due(self, now)
        if self.daemon is not None and self.daemon.poll() is not None:
            self.unexpected.append(self.daemon.returncode)
            self.lab.processes.remove(self.daemon)
            self.daemon = None
            self.later(RESTART_SECONDS, self.start_daemon)

    # What a person asks.

    def ctl(self, *args, check=True):
        return run([program("locksmithctl"), "--root", self.root, "--bus", self.bus, *args],
                   check=check, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus})

    def property(self, name):
        """Of locksmithd on the bus, as busctl shows it without its type; "" while it is away."""
        done = run(["busctl", f"--address={self.bus}", "get-property", "com.coreos.locksmith1",
                    "/com/coreos/locksmith1", "com.coreos.locksmith1.Manager", name], check=False)
        return done.stdout.strip().partition(" ")[2].strip('"') if done.returncode == 0 else ""

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class EngineHost(Host):
    """A host with a disk and the real update-engine (a Machine of machine.py)."""

    def __init__(self, machine, payload, away, config):
        self.machine, self.payload = machine, payload
        super().__init__(machine.lab, machine.folder, away, config, has_engine=False)
        self.bus_process = machine.bus_process

    def _make_root(self):
        (self.root / "etc/machine-id").write_text(self.name + "\n")
        (self.root / "run").mkdir(exist_ok=True)
        self.write_config()

    def write_config(self, **more):
        self.config.update(more)
        self.machine.configure(SERVER="disabled", **self.config)

    def start_bus(self):
        pass

    def offer_update(self, version=None):
        """Installs the payload, so that the engine waits for the reboot."""
        self.offered = 2
        self.machine.flipside("install", self.payload)

    def restart_engine(self):
        self.machine.kill_engine()
        self.machine.start_engine(wait=False)

    def _begin_boot(self):
        self.machine.reboot()
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()

    def start_daemon(self):
        if self.machine.engine is None:
            self.machine.start_engine(wait=False)
        super().start_daemon()

    def complete_boot(self):
        self.machine.slotctl("mark-good", self.machine.running)
        super().complete_boot()


class Fleet:
    def __init__(self, lab, n, endpoints, store="etcd-v3", config=(), boot_seconds=0.05,
                 name="fleet"):
        self.lab, self.endpoints = lab, endpoints
        self.away = Away()
        self.calls = queue.SimpleQueue()
        self.timers = []
        self.config = {"REBOOT_STRATEGY": "etcd-lock", "LOCKSMITHD_STORE": store, **dict(config)}
        self.hosts = [Host(lab, lab.folder / name / f"host{i}", self.away, self.config_of(i),
                           boot_seconds) for i in range(n)]

    def config_of(self, i):
        """Each host begins with another endpoint, as hosts that have one near them do."""
        i %= len(self.endpoints)
        return {**self.config,
                "LOCKSMITHD_ENDPOINT": ",".join(self.endpoints[i:] + self.endpoints[:i])}

    def start(self):
        for host in self.hosts:
            host.start_bus()
        for host in self.hosts:
            lab_module.wait_for("the bus", host.is_bus_up)
            host.start_fake()
            host.do("unit", BOOT_COMPLETE, "active")
        for host in self.hosts:
            host.start_daemon()

    def close(self):
        for host in self.hosts:
            for process in (host.daemon, host.fake, host.bus_process):
                if process is not None:
                    self.lab.end(process, signal.SIGKILL)
            if host.fake is not None:
                host.fake.stdout.close()

    def later(self, seconds, what):
        """What a host has planned ends with its boot; this does not."""
        self.timers.append((time.monotonic() + seconds, what))

    def offer_update(self):
        for host in self.hosts:
            host.offer_update()

    def is_updated(self):
        return all(host.is_updated() for host in self.hosts)

    def in_turn(self, function):
        """A function for other threads, which has run_until() call this one and waits for that."""
        def wait():
            done = threading.Event()
            self.calls.put((function, done))
            done.wait(lab_module.DEADLINE)
        return wait

    def run_until(self, what, condition, seconds=None):
        """Lets the hosts live until condition() is true."""
        seconds = seconds or lab_module.DEADLINE
        end = time.monotonic() + seconds
        while True:
            with selectors.DefaultSelector() as selector:
                for host in self.hosts:
                    if host.fake is not None:
                        selector.register(host.fake.stdout, selectors.EVENT_READ)
                selector.select(0.02)
            with contextlib.suppress(queue.Empty):
                function, done = self.calls.get_nowait()
                function()
                done.set()
            now = time.monotonic()
            run_due(self, now)
            for host in self.hosts:
                host.step(now)
            answer = condition()
            if answer:
                return answer
            if now > end:
                raise AssertionError(f"after {seconds} s still waiting for: {what}\n{self.told()}")

    def told(self):
        """What each host has to say, for a test that failed."""
        return "\n".join(f"--- {host.name}: version {host.version}, offered {host.offered}, "
                         f"{'away' if host.is_away else 'there'}\n{tail(host.log, 1200)}"
                         for host in self.hosts if not host.is_updated())
