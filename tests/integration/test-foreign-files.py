#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files that other programs read, and those that update_engine has left behind."""
import json
import os
import stat

import hostile_server
from lab import main, run, wait_for
from machine_test import MachineTest, create_payload

NOTHING_NEW = 3


class ForeignTest(MachineTest):
    def file(self, machine, name):
        return machine.root / "var/lib/update_engine/prefs" / name

    def marks(self, machine):
        """Which of the two marks of a pending reboot there are."""
        return {name for name in ("update_engine_autoupdate_completed", "reboot-required")
                if (machine.root / "run" / name).exists()}

    def assert_due(self, machine, previous="1.0.0"):
        self.assertEqual(len(self.marks(machine)), 2)
        self.assertEqual(self.file(machine, "previous-version").read_text(), previous)

    def assert_not_due(self, machine):
        self.assertEqual(self.marks(machine), set())
        self.assertEqual(self.file(machine, "previous-version").read_text(), "")

    def offering(self, payload=None, **more):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(payload or self.payload, **more)
        return machine, server


class FilesForOthers(ForeignTest):
    def test_an_update_and_its_reboot(self):
        machine, _ = self.offering()
        machine.start_engine()
        self.assert_not_due(machine)
        machine.flipside("update")
        self.assert_due(machine)
        machine.kill_engine()
        for name in self.marks(machine):
            (machine.root / "run" / name).unlink()
        machine.start_engine()
        self.assert_due(machine)
        # As a reboot leaves /run.
        for name in self.marks(machine):
            (machine.root / "run" / name).unlink()
        machine.versions["USR-B"] = "2.0.0"
        self.assertEqual(machine.reboot(), "USR-B")
        machine.start_engine()
        self.assertEqual(self.marks(machine), set())
        # Until the slot is good the machine may come back to what reads this.
        self.assertEqual(self.file(machine, "previous-version").read_text(), "1.0.0")
        machine.slotctl("mark-good", "USR-B")
        machine.stop_engine()
        machine.start_engine()
        self.assert_not_due(machine)

    def test_a_reset_takes_the_marks_back(self):
        machine, server = self.offering()
        machine.start_engine()
        machine.flipside("update")
        machine.call("com.coreos.update1.Manager.ResetStatus")
        self.assert_not_due(machine)
        # update_engine then takes it for a rollback.
        machine.stop_engine()
        machine.start_engine()
        machine.flipside("check")
        self.assertNotIn("44", [more.get("errorcode") for _, _, more in server.events()])

    def test_a_reboot_that_others_asked_for_stays(self):
        machine, _ = self.offering()
        mark = machine.root / "run/reboot-required"
        mark.parent.mkdir(exist_ok=True)
        mark.write_text("a package\n")
        machine.start_engine()
        machine.flipside("update")
        self.assert_due(machine)
        machine.flipside("rollback")
        self.assertEqual(mark.read_text(), "a package\n")
        self.assertEqual(self.marks(machine), {"reboot-required"})

    def test_a_failure_leaves_no_mark(self):
        other_key, _ = self.lab.make_key("other")
        machine, _ = self.offering(
            create_payload(self.lab.folder / "other.payload", self.image_b, other_key))
        machine.start_engine()
        self.assertNotEqual(machine.flipside("update", check=False).returncode, 0)
        self.assert_not_due(machine)

    def test_the_answer_is_there_before_the_install(self):
        machine, server = self.offering()
        answer, previous = (self.file(machine, name)
                            for name in ("full-response", "previous-version"))
        server.rate_bytes_per_sec = 2 << 20
        machine.start_engine()
        self.assertFalse(answer.exists())
        machine.call("com.coreos.update1.Manager.AttemptUpdate")
        wait_for("some of the payload", lambda: server.bytes_sent() > 1 << 18, logs=[machine.log])
        self.assertEqual(answer.read_bytes(), server.answer)
        self.assertEqual(stat.S_IMODE(answer.stat().st_mode), 0o600)
        # How a postinst tells that it is of this update.
        self.assertGreater(answer.stat().st_mtime_ns, previous.stat().st_mtime_ns)
        server.rate_bytes_per_sec = 0
        machine.wait_for_phase("need-reboot")
        # An install that no server has offered has none.
        machine.flipside("install", self.payload)
        self.assertFalse(answer.exists())
        self.assert_due(machine)

    def test_they_are_no_reason_not_to_update(self):
        machine, _ = self.offering()
        for folder in ("run", "var/lib/update_engine"):
            (machine.root / folder).parent.mkdir(exist_ok=True)
            (machine.root / folder).write_text("no folder")
        machine.start_engine()
        machine.flipside("update")
        self.assert_installed(machine)
        said = [line for line in machine.log.read_text().splitlines() if "other programs" in line]
        self.assertEqual(len(said), 1, said)
        os.remove(machine.root / "run")


class TakenOver(ForeignTest):
    """The first start on a machine that update_engine has updated so far."""

    def after(self, aleph="0.9.0", previous="", waiting=False, answer=None, **more):
        machine = self.machine(**more)
        server = self.server()
        machine.configure(SERVER=server.omaha_url)
        self.file(machine, "x").parent.mkdir(parents=True)
        for name, text in {"aleph-version": aleph, "previous-version": previous,
                           "full-response": answer}.items():
            if text is not None:
                self.file(machine, name).write_bytes(
                    text if isinstance(text, bytes) else text.encode())
        if waiting:
            (machine.root / "run").mkdir()
            (machine.root / "run/update_engine_autoupdate_completed").touch()
        return machine, server

    def offer_text(self, version="2.0.0"):
        return hostile_server.offer("http://127.0.0.1/", self.payload, version=version)

    def events(self, server, n):
        """The first n events that the server heard of: (type, result, code, previous version)."""
        found = wait_for("the events", lambda: server.events()[:n] if len(server.events()) >= n
                         else None)
        return [(kind, result, more.get("errorcode", ""), more.get("previousversion", ""))
                for kind, result, more in found]

    def check(self, machine):
        self.assertIn(machine.flipside("check", check=False).returncode, (0, NOTHING_NEW))

    def aleph(self, machine):
        return json.loads((machine.state / "state.json").read_text())["aleph_version"]

    def test_the_first_version_stays_the_first(self):
        machine, server = self.after(aleph="0.9.0\n")
        machine.start_engine()
        self.assertEqual(self.aleph(machine), "0.9.0")
        self.check(machine)
        self.assertIn(b'alephversion="0.9.0"', server.requests[-1])
        self.assertNotIn("left out", machine.log.read_text())

    def test_the_update_that_brought_this_daemon_is_reported(self):
        machine, server = self.after(previous="0.9.5")
        machine.start_engine()
        self.assertEqual(self.events(server, 1), [("3", "2", "", "0.9.5")])
        # Once.
        self.assertEqual(self.file(machine, "previous-version").read_text(), "")
        machine.stop_engine()
        machine.start_engine()
        self.check(machine)
        self.assertEqual(self.events(server, 2)[1], ("3", "2", "", ""))
        self.assertIn("0.9.5", machine.log.read_text())

    def test_it_is_reported_when_the_server_is_back(self):
        machine, server = self.after(previous="0.9.5")
        machine.configure(SERVER="http://127.0.0.1:9/v1/update/")
        machine.start_engine()
        machine.kill_engine()
        machine.configure(SERVER=server.omaha_url)
        # As if power had gone before the state was written.
        (machine.state / "state.json").unlink()
        self.file(machine, "previous-version").write_text("0.9.5")
        machine.start_engine()
        self.check(machine)
        told = [more.get("previousversion") for _, _, more in server.events()]
        self.assertEqual(told.count("0.9.5"), 1, told)

    def test_one_that_did_not_boot_is_reported_and_not_tried_again(self):
        machine, server = self.after(previous="1.0.0", answer=self.offer_text())
        server.offer(self.payload)
        machine.start_engine()
        self.assertEqual(self.events(server, 1), [("3", "0", "44", "")])
        self.assertIn("2.0.0", machine.property("LastError"))
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        machine.stop_engine()
        machine.start_engine()
        wait_for("the offer to be declined",
                 lambda: "did not boot here" in machine.log.read_text(),
                 logs=[machine.log])
        self.assertFalse(machine.slots()["USR-B"].is_bootable)

    def test_one_that_waits_for_its_reboot_goes_on_waiting(self):
        machine, server = self.after(previous="1.0.0", waiting=True, answer=self.offer_text("1.5"))
        run(["sgdisk", "--attributes=3:set:49", "--attributes=3:set:52", machine.disk])
        machine.start_engine()
        self.assertEqual(machine.phase(), "need-reboot")
        self.assert_due(machine)
        self.check(machine)
        self.assertEqual(self.events(server, 1), [("3", "2", "", "")])
        # A newer one takes its place.
        server.offer(self.payload)
        machine.flipside("update")
        self.assert_installed(machine)

    def test_a_mark_that_the_table_does_not_bear_out_is_removed(self):
        machine, _ = self.after(previous="1.0.0", waiting=True)
        machine.start_engine()
        self.assertEqual(machine.phase(), "idle")
        self.assert_not_due(machine)

    def test_one_that_was_reset_by_hand_is_no_failure(self):
        machine, server = self.after(previous="1.0.0", answer=self.offer_text())
        run(["sgdisk", "--attributes=3:set:49", "--attributes=3:set:52", machine.disk])
        machine.start_engine()
        self.check(machine)
        self.assertEqual(self.events(server, 1), [("3", "2", "", "")])

    def test_what_is_damaged_is_left_out_in_one_line(self):
        machine, server = self.after(aleph="", previous=bytes(40), answer=b"no XML")
        machine.start_engine()
        said = [line for line in machine.log.read_text().splitlines() if "left out" in line]
        self.assertEqual(len(said), 1, said)
        for name in ("aleph-version", "previous-version", "full-response"):
            self.assertIn(name, said[0])
        self.assertEqual(self.aleph(machine), "1.0.0")
        self.check(machine)
        self.assertEqual(self.events(server, 1), [("3", "2", "", "")])

    def test_a_state_of_our_own_goes_before(self):
        machine, server = self.after(aleph=None)
        machine.start_engine()
        machine.stop_engine()
        self.file(machine, "full-response").write_bytes(b"no XML")
        self.file(machine, "aleph-version").write_text("0.9.0")
        machine.start_engine()
        self.check(machine)
        self.assertEqual(self.events(server, 1), [("3", "2", "", "")])
        self.assertEqual(self.aleph(machine), "1.0.0")
        self.assertNotIn("left out", machine.log.read_text())

    def come_back(self, machine, server, chosen_by):
        """The other slot has update_engine. It is booted, and its update brings this daemon again,
        in the slot that it was in before."""
        chosen_by(machine)
        machine.reboot(into="USR-B")
        self.file(machine, "previous-version").write_text("2.0.0")
        machine.versions["USR-A"] = "3.0.0"
        machine.slotctl("prioritize", "USR-A")
        machine.slotctl("mark-good", "USR-A")
        self.assertEqual(machine.reboot(), "USR-A")
        machine.running_before = machine.slot_sha256("USR-A")
        machine.start_engine()
        self.check(machine)
        told = [(kind, result, more.get("errorcode", ""), more.get("previousversion", ""))
                for kind, result, more in server.events()]
        self.assertIn(("3", "2", "", "2.0.0"), told)
        self.assertNotIn("did not boot", machine.log.read_text())
        self.assertEqual(machine.property("LastError"), "")
        self.assert_not_due(machine)
        return told

    def test_back_from_an_update_to_it(self):
        machine, server = self.after(aleph=None)
        machine.start_engine()
        told = self.come_back(machine, server, lambda machine: machine.flipside(
            "install", self.payload))
        self.assertNotIn("44", [code for _, _, code, _ in told])

    def test_back_from_a_slot_that_was_chosen_by_hand(self):
        machine, server = self.after(aleph=None)
        machine.start_engine()
        self.come_back(machine, server, lambda machine: machine.slotctl("prioritize", "USR-B"))

    def test_with_a_configuration_that_comes_later(self):
        machine, server = self.after(previous="0.9.5")
        machine.update_conf.write_text("SERVER=nonsense\n")
        machine.start_engine()
        self.assertEqual(self.file(machine, "previous-version").read_text(), "0.9.5")
        machine.configure(SERVER=server.omaha_url)
        self.check(machine)
        self.assertIn(("3", "2", "", "0.9.5"), self.events(server, 1))


if __name__ == "__main__":
    main()
