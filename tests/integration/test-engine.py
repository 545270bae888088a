#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the engine decides and remembers, over kills, reboots and servers that are away, and what
flipside says and exits with."""
import json
import os
import shutil
import subprocess

from lab import main, program, run, wait_for
from machine_test import MachineTest, create_payload
from omaha import OmahaServer

DONE, FAILED, USAGE, NOTHING, NO_DAEMON, REFUSED = range(6)
OTHER_RUNS = 3
NOBODY = 65534
MANAGER = "com.coreos.update1.Manager"


class EngineTest(MachineTest):
    def start(self, **keys):
        """A machine whose server has 2.0.0 in stable."""
        machine, server = self.machine(), OmahaServer(self.lab)
        server.add_release("stable", self.payload)
        server.start()
        self.addCleanup(server.stop)
        machine.configure(SERVER=server.url, **keys)
        machine.start_engine()
        return machine, server

    def exits(self, machine, status, *args):
        done = machine.flipside(*args, check=False)
        self.assertEqual(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        return done

    def reboot(self, machine, version, into=None):
        """Into the slot that slotctl names, or another, which holds that version."""
        before = machine.running
        machine.versions[into or machine.slotctl("next").stdout.split()[0]] = version
        machine.reboot(into=into)
        if machine.running != before:
            machine.running_before = machine.slot_sha256(machine.running)
        machine.start_engine()

    def has_event(self, server, kind, result, **attributes):
        return any(event["type"] == kind and event["result"] == result
                   and all(event.get(key) == value for key, value in attributes.items())
                   for event in server.events())

    def wait_for_event(self, server, machine, kind, result, **attributes):
        wait_for(f"event {kind}/{result} {attributes}",
                 lambda: self.has_event(server, kind, result, **attributes),
                 logs=[server.report, machine.log])

    def wait_for_bytes(self, machine, n_bytes):
        wait_for("some of the download", lambda: machine.phase() == "downloading"
                 and machine.number("BytesDone") > n_bytes, logs=[machine.log])


class Restarts(EngineTest):
    slot_mib = 40
    image_mib = 32

    def follow(self, machine, *args):
        log = machine.folder / "flipside.log"
        return log, self.lab.start([program("flipside"), "--bus", machine.bus, *args], log)

    def test_update_is_followed_over_a_kill(self):
        machine, server = self.start()
        server.behave(rate=8 << 20)
        log, update = self.follow(machine, "update")
        self.wait_for_bytes(machine, 4 << 20)
        machine.kill_engine()
        wait_for("flipside to say so", lambda: b"gone" in log.read_bytes(), logs=[log])
        machine.start_engine()
        server.behave()
        self.assertEqual(update.wait(60), DONE, log.read_text())
        self.assertIn("is back", log.read_text())
        self.assertIn("2.0.0 is installed in USR-B", log.read_text())
        self.assert_installed(machine)

    def test_install_from_a_url_goes_on_after_a_kill(self):
        machine, server = self.start()
        server.behave(rate=8 << 20)
        url = server.url.replace("/v1/update/", "/payload/2.0.0/payload")
        _, install = self.follow(machine, "install", url)
        self.wait_for_bytes(machine, 4 << 20)
        machine.kill_engine()
        server.behave()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assertEqual(install.wait(60), DONE)
        self.assert_installed(machine)

    def test_killed_while_a_pending_version_is_replaced(self):
        machine, server = self.start()
        machine.flipside("update")
        image = self.lab.make_image("c.img", self.image_mib, seed=3, based_on=self.image_b)
        newer = create_payload(self.lab.folder / "c.payload", image, self.key, version="3.0.0")
        server.add_release("stable", newer)
        server.behave(rate=4 << 20)
        machine.call(f"{MANAGER}.AttemptUpdate")
        wait_for("the target to be touched",
                 lambda: not machine.slots()["USR-B"].is_bootable, logs=[machine.log])
        machine.kill_engine()
        self.reboot(machine, "1.0.0", into="USR-A")
        server.behave()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine, image)
        self.assertFalse(self.has_event(server, 3, 0, errorcode=44))
        self.assertNotIn("did not boot", machine.flipside("history").stdout)

    def test_stopped_by_systemd_goes_on_after_the_start(self):
        machine, server = self.start()
        server.behave(rate=8 << 20)
        machine.call(f"{MANAGER}.AttemptUpdate")
        self.wait_for_bytes(machine, 4 << 20)
        self.assertEqual(machine.stop_engine(), 0)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        server.behave()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)

    def test_json_of_an_update(self):
        machine, _ = self.start()
        lines = machine.flipside("--json", "update").stdout.splitlines()
        objects = [json.loads(line) for line in lines]
        self.assertEqual(objects[-1]["result"], "done")
        self.assertIn("downloading", {each.get("phase") for each in objects})


class Memory(EngineTest):
    def test_events_wait_for_the_server(self):
        machine, server = self.start()
        server.behave(omaha="http-503")
        machine.flipside("install", self.payload)
        self.assertIn("13", (machine.state / "events.json").read_text())
        self.assertEqual(machine.stop_engine(), 0)
        machine.start_engine()
        server.behave()
        self.exits(machine, NOTHING, "check")
        for kind in (13, 14, 3):
            self.wait_for_event(server, machine, kind, 1)

    def test_a_version_that_was_rolled_back_needs_a_person(self):
        machine, server = self.start()
        machine.flipside("update")
        self.reboot(machine, "2.0.0")
        self.assertIn("back to version 1.0.0", machine.flipside("rollback").stdout)
        self.wait_for_event(server, machine, 3, 0, errorcode=44)
        machine.configure(SERVER=server.url, FIRST_CHECK=0)
        n_checks = len(server.checks())
        self.reboot(machine, "1.0.0")
        self.wait_for_event(server, machine, 3, 2, previousversion="2.0.0")
        wait_for("a check", lambda: len(server.checks()) > n_checks, logs=[machine.log])
        machine.wait_for_phase("idle")
        self.assertNotIn("did not boot", machine.flipside("history").stdout)
        slots = machine.slots()
        self.assertGreater(slots["USR-A"].priority, slots["USR-B"].priority)
        machine.flipside("update")
        self.assert_installed(machine)

    def test_a_slot_that_fell_back_cannot_surprise(self):
        machine, server = self.start()
        machine.flipside("update")
        self.assertTrue(machine.slots()["USR-B"].is_bootable)
        self.reboot(machine, "1.0.0", into="USR-A")
        self.wait_for_event(server, machine, 3, 0, errorcode=44)
        wait_for("the slot to be unbootable", lambda: not machine.slots()["USR-B"].is_bootable,
                 logs=[machine.log])
        self.assertEqual(machine.number("LastErrorCode"), 44)
        self.assertIn("did not boot", machine.flipside("status").stdout)
        self.assert_untouched(machine)

    def test_rollback_of_a_pending_update_withdraws_it(self):
        machine, server = self.start(FIRST_CHECK=0)
        machine.wait_for_phase("need-reboot")
        self.assertIn("1.0.0 stays", machine.flipside("rollback").stdout)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.assertEqual(machine.phase(), "idle")
        n_checks = len(server.checks())
        machine.stop_engine()
        machine.start_engine()
        wait_for("a check", lambda: len(server.checks()) > n_checks, logs=[machine.log])
        machine.wait_for_phase("idle")
        self.assertFalse(machine.slots()["USR-B"].is_bootable)

    def test_rollback_to_an_unknown_slot_is_refused(self):
        machine, _ = self.start()
        done = self.exits(machine, REFUSED, "rollback")
        self.assertIn("slotctl prioritize USR-B", done.stderr)
        self.assert_untouched(machine)

    def test_rollback_back_and_forth(self):
        machine, _ = self.start()
        machine.flipside("update")
        self.reboot(machine, "2.0.0")
        machine.flipside("rollback")
        self.reboot(machine, "1.0.0")
        self.assertIn("2.0.0", machine.flipside("rollback").stdout)
        self.reboot(machine, "2.0.0")
        self.assertEqual(machine.running, "USR-B")

    def test_last_error_outlives_a_restart_until_a_success(self):
        machine, server = self.start()
        server.behave(omaha="http-500")
        self.exits(machine, FAILED, "update")
        self.assertEqual(machine.number("LastErrorCode"), 2500)
        machine.stop_engine()
        machine.start_engine()
        self.assertEqual(machine.number("LastErrorCode"), 2500)
        server.behave()
        machine.flipside("check")
        self.assertEqual(machine.number("LastErrorCode"), 0)
        self.assertEqual(machine.property("LastError"), "")

    def test_a_bad_configuration_is_told_until_it_is_corrected(self):
        machine, server = self.start()
        machine.stop_engine()
        machine.update_conf.write_text("SERVER=x\n")
        machine.start_engine()
        self.assertIn("update.conf", machine.property("LastError"))
        self.assertIn("update.conf", machine.flipside("status").stdout)
        self.assertIn("update.conf:1", machine.log.read_text())
        self.assertIn("SERVER=x", self.exits(machine, FAILED, "update").stderr)
        machine.configure(SERVER=server.url)
        machine.flipside("update")
        self.assertEqual(machine.property("LastError"), "")
        self.assert_installed(machine)

    def test_an_older_version_needs_permission(self):
        machine, server = self.start()
        machine.stop_engine()
        machine.become("2.5.0")
        machine.start_engine()
        done = self.exits(machine, FAILED, "update")
        self.assertIn("--allow-downgrade", done.stderr)
        self.assertEqual(machine.number("LastErrorCode"), 51)
        self.wait_for_event(server, machine, 3, 0, errorcode=51)
        self.assert_refused(machine, self.exits(machine, FAILED, "install", self.payload), [51])
        machine.flipside("--allow-downgrade", "update")
        self.assert_installed(machine)


class Client(EngineTest):
    def test_without_a_daemon(self):
        machine = self.machine()
        for verb in ("check", "update", "cancel", "rollback"):
            done = self.exits(machine, NO_DAEMON, verb)
            self.assertEqual(len(done.stderr.splitlines()), 1)
        text = self.exits(machine, DONE, "--disk", machine.disk, "--slot", "USR-A", "status").stdout
        for word in ("does not run", "USR-A", "USR-B", "1.0.0", "running"):
            self.assertIn(word, text)
        status = json.loads(machine.flipside("--disk", machine.disk, "--json", "status").stdout)
        self.assertEqual((status["daemon"], len(status["slots"])), (False, 2))
        self.exits(machine, DONE, "history")
        machine.flipside("channel", "beta")
        self.assertIn("beta", machine.flipside("channel").stdout)

    def test_without_a_bus(self):
        machine = self.machine()
        done = run([program("flipside"), "--bus", "unix:path=/nonexistent", "update"], check=False)
        self.assertEqual(done.returncode, NO_DAEMON)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assert_untouched(machine)

    def test_usage(self):
        machine = self.machine()
        for args in ((), ("nonsense",), ("install",), ("update", "now"), ("--nonsense", "status")):
            self.exits(machine, USAGE, *args)
        for args in (("--nonsense",), ("what",)):
            done = run([program("update-engine"), *args], check=False)
            self.assertEqual(done.returncode, USAGE)

    def test_exit_statuses_with_a_daemon(self):
        machine, server = self.start()
        self.exits(machine, DONE, "check")
        self.exits(machine, NOTHING, "cancel")
        self.exits(machine, FAILED, "install", "/nonexistent")
        machine.configure(SERVER="disabled")
        for verb in ("check", "update"):
            self.assertIn("update.conf", self.exits(machine, REFUSED, verb).stderr)
        machine.configure(SERVER=server.url)
        server.behave(omaha="no-update")
        self.exits(machine, NOTHING, "check")
        self.exits(machine, DONE, "update")
        self.assert_untouched(machine)

    def test_the_command_line_of_update_engine(self):
        machine = self.machine()
        machine.start_engine(command=[*machine.engine_command(), "-foreground", "-logtostderr"])
        self.assertEqual(machine.phase(), "idle")

    def test_busy(self):
        machine, server = self.start()
        server.behave(omaha="stall")
        machine.call(f"{MANAGER}.AttemptUpdate")
        machine.wait_for_phase("checking")
        for args in (("update",), ("check",), ("install", self.payload), ("rollback",)):
            self.assertIn("checking", self.exits(machine, REFUSED, *args).stderr)
        self.exits(machine, DONE, "cancel")
        self.assertEqual(machine.phase(), "idle")

    def test_second_daemon(self):
        machine, _ = self.start()
        done = run(machine.engine_command(), check=False, env=machine.environment())
        self.assertEqual(done.returncode, OTHER_RUNS)
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_reading_is_free_and_changing_is_not(self):
        if os.getuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("needs root and setpriv, to be somebody else")
        machine, _ = self.start()
        for folder in (self.lab.folder, machine.folder):
            folder.chmod(0o755)
        # A copy that everybody may run, wherever the build folder is.
        tool = machine.folder / "flipside"
        shutil.copy(program("flipside"), tool)
        machine.socket.chmod(0o777)

        def as_nobody(*args):
            return subprocess.run(
                ["setpriv", f"--reuid={NOBODY}", "--clear-groups", tool, "--bus", machine.bus,
                 *args], capture_output=True, text=True, timeout=60)
        status = as_nobody("status")
        self.assertEqual(status.returncode, DONE, status.stderr)
        self.assertIn("USR-A", status.stdout)
        for args in (("update",), ("check",), ("rollback",), ("cancel",)):
            done = as_nobody(*args)
            self.assertEqual(done.returncode, REFUSED, f"{args}: {done.stdout}{done.stderr}")
        self.assertEqual(machine.phase(), "idle")
        self.assert_untouched(machine)


if __name__ == "__main__":
    main()
