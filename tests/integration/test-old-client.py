#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""update_engine_client with this daemon, and with one of which only the old interface is there."""
import contextlib
import os
import re
import shutil
import socket
import socketserver
import threading
import time
import unittest

import hostile_server
from fleet import Away, Host
from lab import OS_NAME, Lab, main, program, run, wait_for
from machine import BUS_PATH, MANAGER_INTERFACE
from machine_test import MachineTest, create_payload

IDLE = "UPDATE_STATUS_IDLE"
NEED_REBOOT = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
INSTALLED = "Update succeeded -- reboot needed."
NOTHING = "No update available"
BLOCK = re.compile(r"LAST_CHECKED_TIME=(\d+)\nPROGRESS=([01]\.\d{6})\nCURRENT_OP=(\w+)\n"
                   r"NEW_VERSION=([\w.]+)\nNEW_SIZE=(\d+)\n")


def blocks(text):
    """The statuses that were printed; there must be nothing else."""
    assert re.fullmatch(f"(?:{BLOCK.pattern})*", text), text
    return BLOCK.findall(text)


class OldClient(MachineTest):
    def client(self, machine, *flags, check=True):
        return run([program("update_engine_client"), *flags], check=check,
                   env=machine.environment())

    def offering(self, payload=None, **more):
        """A machine with a server that offers the payload."""
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(payload or self.payload, **more)
        machine.start_engine()
        return machine, server

    def follow(self, machine, *flags):
        log = machine.folder / "client.log"
        return log, self.lab.start([program("update_engine_client"), *flags], log,
                                   env=machine.environment())

    def fails(self, machine, *words):
        """One line on stderr, which says why, and no good news."""
        done = self.client(machine, "-update", check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("update_engine_client: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])
        self.assertNotIn(NOTHING, done.stdout + done.stderr)
        blocks(done.stdout)

    def test_status_is_five_lines(self):
        machine = self.machine()
        machine.start_engine()
        self.assertEqual(self.client(machine, "-status").stdout,
                         f"LAST_CHECKED_TIME=0\nPROGRESS=0.000000\nCURRENT_OP={IDLE}\n"
                         "NEW_VERSION=0.0.0\nNEW_SIZE=0\n")

    def test_numbers_are_not_those_of_a_country(self):
        machine = self.machine()
        machine.start_engine()
        done = run([program("update_engine_client"), "--status=true"],
                   env={**machine.environment(), "LC_ALL": "de_DE.UTF-8"})
        self.assertIn("PROGRESS=0.000000\n", done.stdout)

    def test_update(self):
        machine, _ = self.offering()
        done = self.client(machine, "-update")
        self.assertEqual(done.stderr, INSTALLED + "\n")
        last = blocks(done.stdout)[-1]
        self.assertEqual(last[2:4], (NEED_REBOOT, "2.0.0"))
        self.assertGreater(int(last[0]), 1600000000)
        self.assert_installed(machine)
        self.assertEqual(self.client(machine, "-update").stderr, INSTALLED + "\n")

    def test_nothing_to_install(self):
        machine, server = self.offering()
        server.answer = hostile_server.no_update()
        done = self.client(machine, "-update")
        self.assertEqual(done.stderr, NOTHING + "\n")
        checked, *_, operation = blocks(done.stdout)[-1][:3]
        self.assertEqual(operation, IDLE)
        # With update_engine a restart forgot the time.
        machine.stop_engine()
        machine.start_engine()
        self.assertIn(f"LAST_CHECKED_TIME={checked}\n", self.client(machine, "-status").stdout)

    def test_a_server_that_says_not_now(self):
        machine, server = self.offering()
        server.answer = hostile_server.no_update(
            app_status="error-maxUpdatesPerPeriodLimitReached", check_status="error-internal")
        done = self.client(machine, "-update")
        self.assertIn("maxUpdatesPerPeriodLimitReached", done.stderr)

    def test_a_failure_is_a_failure(self):
        other_key, _ = self.lab.make_key("other")
        payload = create_payload(self.lab.folder / "other.payload", self.image_b, other_key)
        machine, server = self.offering(payload)
        self.fails(machine, "the update failed: ", "signature")
        server.answer_status = 500
        self.fails(machine, "HTTP status 500")
        server.answer_status, server.answer = 200, b"no XML"
        self.fails(machine)
        self.assert_untouched(machine)

    def test_an_attempt_that_cannot_begin(self):
        machine = self.machine()
        machine.start_engine()
        self.fails(machine, "no update was begun", "SERVER")
        machine.update_conf.write_text("SERVER=disabled\nBOOT_TRIES=99\n")
        self.fails(machine, "update.conf:2", "BOOT_TRIES")

    def test_an_update_that_is_under_way_is_followed(self):
        machine, server = self.offering()
        server.rate_bytes_per_sec = 4 << 20
        self.client(machine, "-check_for_update")
        machine.wait_for_phase("downloading")
        log, client = self.follow(machine, "-update")
        self.assertEqual(client.wait(60), 0, log.read_text())
        self.assertIn(INSTALLED, log.read_text())

    def test_an_update_is_followed_over_a_kill(self):
        machine, server = self.offering()
        server.rate_bytes_per_sec = 2 << 20
        log, client = self.follow(machine, "-update")
        wait_for("some of the payload", lambda: server.bytes_sent() > 1 << 20, logs=[machine.log])
        machine.kill_engine()
        wait_for("the client to say so", lambda: b"is gone" in log.read_bytes(), logs=[log])
        server.rate_bytes_per_sec = 0
        machine.start_engine()
        self.assertEqual(client.wait(60), 0, log.read_text())
        self.assertIn(INSTALLED, log.read_text())
        self.assert_installed(machine)

    def test_cancelled(self):
        machine, server = self.offering()
        server.rate_bytes_per_sec = 2 << 20
        log, client = self.follow(machine, "-update")
        machine.wait_for_phase("downloading")
        machine.flipside("cancel")
        self.assertEqual(client.wait(60), 1, log.read_text())
        self.assertIn("cancelled", log.read_text())

    def test_check_for_update_returns_at_once(self):
        machine, _ = self.offering()
        done = self.client(machine, "--check_for_update")
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        machine.wait_for_phase("need-reboot")

    def test_reset_status(self):
        machine, _ = self.offering()
        self.client(machine, "-reset_status")
        self.client(machine, "-update")
        # The first in the list acts.
        done = self.client(machine, "-status", "-update", "-reset_status")
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.assertIn(IDLE, self.client(machine, "-update=true", "-status").stdout)

    def test_watch_for_updates(self):
        machine, _ = self.offering()
        log, client = self.follow(machine, "-watch_for_updates")
        wait_for("the client on the bus", lambda: run(
            ["busctl", f"--address={machine.bus}", "list"]).stdout.count("update_engine_c"))
        self.client(machine, "-check_for_update")
        wait_for("the last status", lambda: NEED_REBOOT.encode() in log.read_bytes(), logs=[log])
        self.lab.end(client)
        seen = [block[2] for block in blocks(log.read_text())]
        for status in ("CHECKING_FOR_UPDATE", "DOWNLOADING", "FINALIZING", "UPDATED_NEED_REBOOT"):
            self.assertIn(f"UPDATE_STATUS_{status}", seen)

    def test_command_lines(self):
        machine = self.machine()
        for flags in (["-nonsense"], ["-status=perhaps"], ["status"]):
            done = self.client(machine, *flags, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), flags)
        self.assertEqual(self.client(machine).returncode, 0)

    def test_without_a_bus(self):
        machine = self.machine()
        self.lab.end(machine.bus_process)
        done = self.client(machine, "-status", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_a_daemon_that_is_late(self):
        machine = self.machine()
        log, client = self.follow(machine, "-status")
        wait_for("the client on the bus", lambda: run(
            ["busctl", f"--address={machine.bus}", "list"]).stdout.count("update_engine_c"))
        self.assertIsNone(client.poll())
        machine.start_engine()
        self.assertEqual(client.wait(60), 0)
        self.assertIn(IDLE, log.read_text())

    def test_no_daemon(self):
        machine, started = self.machine(), time.monotonic()
        done = self.client(machine, "-status", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not on the bus", done.stderr)
        self.assertLess(time.monotonic() - started, 45)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_who_may_what(self):
        machine, _ = self.offering()
        for folder in (self.lab.folder, machine.folder):
            folder.chmod(0o755)
        tool = machine.folder / "update_engine_client"
        shutil.copy(program("update_engine_client"), tool)

        def as_nobody(flag):
            return run(["setpriv", "--reuid=65534", "--clear-groups", tool, flag], check=False,
                       env=machine.environment())
        self.assertIn(IDLE, as_nobody("-status").stdout)
        for flag in ("-update", "-check_for_update", "-reset_status"):
            refused = as_nobody(flag)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("not permitted", refused.stderr)
        machine.stop_engine()
        machine.start_engine(command=[*machine.engine_command(), "--operator", "nobody"])
        self.assertEqual(as_nobody("-update").stderr, INSTALLED + "\n")
        self.assertEqual(as_nobody("-reset_status").returncode, 0)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)


class OneAnswer:
    """A server as shell scripts make one: the same bytes for every connection, whatever is asked and
    before it is asked, with bare newlines in the head."""

    def __init__(self, kind, body):
        head = f"HTTP/1.1 200 OK\ncontent-type: {kind}\ncontent-length: {len(body)}\n\n"
        outer = self
        self.n_connections = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.n_connections += 1
                with contextlib.suppress(OSError):
                    reader = threading.Thread(target=self.drain, daemon=True)
                    reader.start()
                    self.request.sendall(head.encode() + body)
                    self.request.shutdown(socket.SHUT_WR)
                    reader.join(10)

            def drain(self):
                with contextlib.suppress(OSError):
                    while self.request.recv(65536):
                        pass
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://localhost:{self.server.server_address[1]}/"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class OfflineScript(MachineTest):
    """How a Flatcar machine gets a payload that lies there: a script writes SERVER=, answers for it,
    and has this client update."""

    def answer(self, kind, body):
        server = OneAnswer(kind, body)
        self.addCleanup(server.close)
        return server

    def update(self, payload):
        machine = self.machine(product=OS_NAME)
        (machine.root / f"boot/{OS_NAME}").mkdir(parents=True)
        machine.start_engine()
        files = self.answer("application/gzip", payload.read_bytes())
        omaha = self.answer("text/xml", hostile_server.offer(files.url, payload))
        with open(machine.update_conf, "a") as file:
            file.write(f"SERVER={omaha.url}update\n")
        machine.update_conf.write_text(
            machine.update_conf.read_text().replace("SERVER=disabled\n", ""))
        done = run([program("update_engine_client"), "-update"], check=False,
                   env=machine.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"\nCURRENT_OP={NEED_REBOOT}\n", run(
            [program("update_engine_client"), "-status"], env=machine.environment()).stdout)
        self.assert_installed(machine)
        self.assertGreater(omaha.n_connections, 1)  # the events have gone there, too

    def test_a_payload_of_format_1(self):
        payload = self.lab.folder / "flatcar_production_update.gz"
        run([program("update-payload"), "create", "--format", "1", "--key", self.key, "-o", payload,
             f"USR={self.image_b}"])
        self.update(payload)

    def test_a_payload_of_format_2(self):
        self.update(create_payload(self.lab.folder / "os.payload", self.image_b, self.key,
                                   product=OS_NAME))


class WithUpdateEngine(unittest.TestCase):
    """A daemon that has the old interface alone, and whose statuses a test says."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.n_hosts = 0

    def setUp(self):
        cls = type(self)
        cls.n_hosts += 1
        folder = self.lab.folder / f"host-{cls.n_hosts}"
        folder.mkdir()
        self.host = Host(self.lab, folder, Away(), {})
        self.host.start_bus()
        wait_for("the bus", self.host.is_bus_up)
        self.host.start_fake()
        self.addCleanup(self.host.end_fake)
        self.log = folder / "client.log"

    def start(self, *flags):
        return self.lab.start([program("update_engine_client"), *flags], self.log,
                              env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.host.bus})

    def play(self, *statuses):
        """-update, and what the daemon's status becomes; the exit code."""
        client = self.start("-update")
        wait_for("the attempt", lambda: self.asked("attempt-update"), logs=[self.log])
        for status in statuses:
            self.host.do("update", f"UPDATE_STATUS_{status}", "2.0.0")
        return client.wait(60)

    def asked(self, what):
        self.host.handle_reports()
        return any(report["what"] == what for report in self.host.reports)

    def test_installed(self):
        self.assertEqual(self.play("CHECKING_FOR_UPDATE", "DOWNLOADING", "UPDATED_NEED_REBOOT"), 0)
        self.assertIn(INSTALLED, self.log.read_text())

    def test_nothing_new(self):
        self.assertEqual(self.play("CHECKING_FOR_UPDATE", "IDLE"), 0)
        self.assertIn(NOTHING, self.log.read_text())

    def test_failed(self):
        self.assertEqual(self.play("CHECKING_FOR_UPDATE", "REPORTING_ERROR_EVENT", "IDLE"), 1)
        self.assertNotIn(NOTHING, self.log.read_text())
        self.assertIn("the update failed", self.log.read_text())

    def test_an_attempt_that_leaves_no_trace(self):
        self.assertEqual(self.play(), 0)
        self.assertIn(NOTHING, self.log.read_text())

    def test_reset_status_says_what_is_left_to_do(self):
        self.assertEqual(self.start("-reset_status").wait(60), 0)
        self.assertTrue(self.asked("reset-status"))
        self.assertIn("slotctl prioritize", self.log.read_text())

    def test_a_signal_of_somebody_else_counts_for_nothing(self):
        client = self.start("-watch_for_updates")
        name = wait_for("the client on the bus", lambda: re.search(
            r"^(:\S+) .*update_engine_c",
            run(["busctl", f"--address={self.host.bus}", "list"]).stdout, re.M))[1]
        run(["dbus-send", f"--bus={self.host.bus}", "--type=signal", f"--dest={name}", BUS_PATH,
             f"{MANAGER_INTERFACE}.StatusUpdate", "int64:1", "double:0", f"string:{NEED_REBOOT}",
             "string:2.0.0", "int64:0"])
        self.host.do("update", "UPDATE_STATUS_DOWNLOADING", "2.0.0")
        wait_for("the status", lambda: b"DOWNLOADING" in self.log.read_bytes(), logs=[self.log])
        self.lab.end(client)
        self.assertNotIn(NEED_REBOOT, self.log.read_text())


if __name__ == "__main__":
    main()
