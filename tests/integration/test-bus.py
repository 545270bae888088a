#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon on D-Bus as others use it: the old interface member by member, answers while an
install runs, the readiness that systemd waits for."""
import os
import shutil
import socket
import time
import unittest
from xml.etree import ElementTree

from lab import BUILD_ROOT, OPERATOR, main, program, run, wait_for
from machine import BUS_NAME, BUS_PATH, MANAGER_INTERFACE
from machine_test import MachineTest

OPERATOR_METHODS = {"AttemptUpdate", "ResetStatus"}
OLD_STATUS = f"{MANAGER_INTERFACE}.GetStatus"


class Bus(MachineTest):
    slot_mib = 72
    image_mib = 64

    def test_status_of_the_old_interface(self):
        machine = self.machine()
        machine.start_engine()
        answer = machine.call(OLD_STATUS).stdout.split()
        self.assertIn("UPDATE_STATUS_IDLE", answer)
        self.assertIn("int64", answer)
        self.assertIn("double", answer)

    def test_answers_while_an_install_runs(self):
        machine = self.machine()
        machine.start_engine()
        install = self.lab.start([*self.flipside_command(machine), "install", self.payload],
                                 machine.folder / "flipside.log", env=machine.environment())
        slowest, n_answers, statuses = 0, 0, set()
        while install.poll() is None:
            started = time.monotonic()
            answer = machine.call(OLD_STATUS)
            slowest = max(slowest, time.monotonic() - started)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            statuses |= {word for word in answer.stdout.split() if word.startswith("UPDATE_")}
            n_answers += 1
        print(f"# {n_answers} answers while it ran, the slowest after {slowest * 1000:.0f} ms, "
              f"with the start of dbus-send; {sorted(statuses)}")
        self.assertEqual(install.returncode, 0)
        # Not a measurement: a loop that is blocked by the disk would take the whole install.
        self.assertLess(slowest, 5)
        self.assert_installed(machine)

    def flipside_command(self, machine):
        return [program("flipside"), "--bus", machine.bus, "--root", machine.root]

    def test_signals_that_locksmith_waits_for(self):
        machine = self.machine()
        log = machine.folder / "monitor.log"
        machine.start_engine()
        monitor = self.lab.start(
            ["dbus-monitor", "--address", machine.bus,
             f"type='signal',interface='{MANAGER_INTERFACE}',member='StatusUpdate'"], log)
        wait_for("the monitor", lambda: b"NameAcquired" in log.read_bytes()
                 or b"signal" in log.read_bytes(), logs=[log])
        machine.flipside("install", self.payload)
        wait_for("the signal", lambda: b"UPDATE_STATUS_UPDATED_NEED_REBOOT" in log.read_bytes(),
                 logs=[log, machine.log])
        self.lab.end(monitor)
        text = log.read_text()
        for status in ("DOWNLOADING", "VERIFYING", "FINALIZING"):
            self.assertIn(f"UPDATE_STATUS_{status}", text)

    def test_its_status_is_signalled_at_its_start(self):
        machine = self.machine()
        log = machine.folder / "monitor.log"
        monitor = self.lab.start(
            ["dbus-monitor", "--address", machine.bus,
             f"type='signal',interface='{MANAGER_INTERFACE}',member='StatusUpdate'"], log)
        wait_for("the monitor", lambda: b"NameAcquired" in log.read_bytes(), logs=[log])
        machine.start_engine()
        wait_for("the signal", lambda: b"UPDATE_STATUS_IDLE" in log.read_bytes(),
                 logs=[log, machine.log])
        self.lab.end(monitor)

    def test_reset_status_takes_the_update_back(self):
        machine = self.machine()
        machine.start_engine()
        self.assertEqual(machine.call(f"{MANAGER_INTERFACE}.ResetStatus").returncode, 0)
        machine.flipside("install", self.payload)
        self.assertTrue(machine.slots()["USR-B"].is_bootable)
        self.assertEqual(machine.call(f"{MANAGER_INTERFACE}.ResetStatus").returncode, 0)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.assertEqual(machine.phase(), "idle")

    def test_reset_status_while_something_is_under_way(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.payload)
        server.rate_bytes_per_sec = 2 << 20
        machine.start_engine()
        machine.call(f"{MANAGER_INTERFACE}.AttemptUpdate")
        machine.wait_for_phase("downloading")
        refused = machine.call(f"{MANAGER_INTERFACE}.ResetStatus")
        self.assertIn("Error.Busy", refused.stderr)
        machine.flipside("cancel")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_nobody_changes_anything(self):
        """On a bus that lets all pass, so that the daemon itself must refuse; and the policy of the
        system bus has the same list."""
        machine = self.machine()
        for folder in (self.lab.folder, machine.folder):
            folder.chmod(0o755)
        machine.start_engine()

        free = self.free_for_nobody(machine)
        self.assertEqual(free, {"GetStatus", "GetSlots"})
        policy = ElementTree.parse(BUILD_ROOT / "systemd-units/com.coreos.update1.conf")
        self.assertEqual(self.allowed_by(policy.find("policy[@context]")), free)
        users = {rules.get("user"): self.allowed_by(rules)
                 for rules in policy.iterfind("policy[@user]")}
        self.assertEqual(users, {"root": {None}, OPERATOR: OPERATOR_METHODS} if OPERATOR
                         else {"root": {None}})

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_the_operator_may_ask_for_an_update(self):
        machine = self.machine()
        for folder in (self.lab.folder, machine.folder):
            folder.chmod(0o755)
        machine.start_engine(command=[*machine.engine_command(), "--operator", "nobody"])
        machine.flipside("install", self.payload)
        self.assertEqual(self.free_for_nobody(machine),
                         {"GetStatus", "GetSlots", *OPERATOR_METHODS})
        self.assertFalse(machine.slots()["USR-B"].is_bootable)

    def allowed_by(self, rules):
        """The methods of ours that a part of the policy lets pass; None: all."""
        return {rule.get("send_member") for rule in rules.iterfind("allow[@send_destination]")
                if rule.get("send_interface", BUS_NAME).startswith(BUS_NAME)}

    def free_for_nobody(self, machine):
        """The methods of ours that nobody may call; all of them are called."""
        def call_as_nobody(member, *args):
            return run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dbus-send",
                        f"--bus={machine.bus}", "--print-reply", f"--dest={BUS_NAME}", BUS_PATH,
                        member, *args], check=False)

        free = set()
        text = call_as_nobody("org.freedesktop.DBus.Introspectable.Introspect").stdout
        tree = ElementTree.fromstring(text[text.index("<node"):text.rindex("</node>") + 7])
        for interface in tree.findall("interface"):
            name = interface.get("name")
            for method in interface.findall("method"):
                if not name.startswith(BUS_NAME):
                    continue
                types = [a.get("type") for a in method.findall("arg") if a.get("direction") == "in"]
                values = {"s": "string:/nothing", "t": "uint64:0"}
                done = call_as_nobody(f"{name}.{method.get('name')}", *(values[t] for t in types))
                if done.returncode == 0:
                    free.add(method.get("name"))
                else:
                    self.assertIn("AccessDenied", done.stderr, method.get("name"))
        return free

    def test_a_password_in_a_url_is_shown_nowhere(self):
        machine = self.machine()
        machine.configure(SERVER="http://user:secret@127.0.0.1:9/v1/update/")
        machine.start_engine()
        self.assertEqual(machine.property("Server"), "http://***@127.0.0.1:9/v1/update/")
        machine.call("com.coreos.update1.Flipside.Reload")
        machine.flipside("update", check=False)
        self.assertIn("***@", machine.flipside("status").stdout)
        refused = machine.flipside("install", "https://user:secret@127.0.0.1:9/p", check=False)
        self.assertIn("DOWNLOAD_PASSWORD", refused.stderr)
        for path in (machine.log, *machine.state.iterdir()):
            self.assertNotIn(b"secret", path.read_bytes(), path)

    def test_cancel(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.payload)
        server.rate_bytes_per_sec = 2 << 20
        machine.start_engine()
        self.assertNotEqual(machine.flipside("cancel", check=False).returncode, 0)
        update = self.lab.start([*self.flipside_command(machine), "update"],
                                machine.folder / "flipside.log", env=machine.environment())
        wait_for("some of the payload", lambda: server.bytes_sent() > 3 << 20, logs=[machine.log])
        machine.flipside("cancel")
        self.assertNotEqual(update.wait(60), 0)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.assert_untouched(machine)
        server.rate_bytes_per_sec = 0
        machine.flipside("update")
        self.assert_installed(machine)

    def test_tells_systemd_when_it_is_ready(self):
        machine = self.machine()
        path = machine.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(60)
            environment = {**machine.environment(), "NOTIFY_SOCKET": str(path),
                           "WATCHDOG_USEC": "2000000"}
            machine.engine = self.lab.start(machine.engine_command(), machine.log, env=environment)
            seen = b""
            while b"READY=1" not in seen or b"WATCHDOG=1" not in seen:
                seen += notify.recv(4096) + b"\n"
        self.assertEqual(os.path.exists(path), True)

    def test_watch_tells_of_an_install(self):
        machine = self.machine()
        machine.start_engine()
        log = machine.folder / "watch.log"
        watch = self.lab.start([*self.flipside_command(machine), "watch"], log,
                               env=machine.environment())
        wait_for("the watcher", lambda: log.stat().st_size > 0, logs=[log])
        machine.flipside("install", self.payload)
        wait_for("the watcher to see it", lambda: b"2.0.0" in log.read_bytes(), logs=[log])
        self.lab.end(watch)

    def test_name_and_path_are_the_old_ones(self):
        machine = self.machine()
        machine.start_engine()
        text = run(["dbus-send", f"--bus={machine.bus}", "--print-reply=literal",
                    f"--dest={BUS_NAME}", BUS_PATH,
                    "org.freedesktop.DBus.Introspectable.Introspect"]).stdout
        for member in ("AttemptUpdate", "ResetStatus", "GetStatus", "StatusUpdate"):
            self.assertIn(member, text)


if __name__ == "__main__":
    main()
