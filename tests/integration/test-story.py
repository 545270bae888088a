#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job from end to end, with omaha-server: an update by itself, the reboot into it, another
channel, a rollback, an update that does not boot."""
import json

from lab import main, wait_for
from machine_test import MachineTest, create_payload
from omaha import OmahaServer

COMPLETE, STARTED, FINISHED = 3, 13, 14


class Story(MachineTest):
    def start(self, **keys):
        """A machine whose server has 2.0.0 in stable and 3.0.0 in beta."""
        image_c = self.lab.folder / "c.img"
        payload_c = self.lab.folder / "c.payload"
        if not payload_c.exists():
            self.lab.make_image("c.img", self.image_mib, seed=3, based_on=self.image_b)
            create_payload(payload_c, image_c, self.key, version="3.0.0")
        self.image_c = image_c
        server = OmahaServer(self.lab)
        server.add_release("stable", self.payload)
        server.add_release("beta", payload_c)
        server.start()
        self.addCleanup(server.stop)
        machine = self.machine()
        machine.configure(SERVER=server.url, **keys)
        return machine, server

    def reboot(self, machine, version):
        """Into the slot that slotctl names; it must be the one with that version."""
        machine.versions.update(self.versions)
        machine.reboot()
        self.assertEqual(machine.versions[machine.running], version)
        machine.running_before = machine.slot_sha256(machine.running)

    def wait_for_event(self, server, machine, kind, result, **attributes):
        def is_there():
            return any(e["type"] == kind and e["result"] == result
                       and all(e.get(k) == v for k, v in attributes.items())
                       for e in server.events())
        wait_for(f"event {kind}/{result} {attributes}", is_there, logs=[server.report, machine.log])

    def test_update_channel_rollback(self):
        machine, server = self.start(FIRST_CHECK=0)
        self.versions = {"USR-A": "1.0.0", "USR-B": "2.0.0"}
        self.assertEqual(machine.slots(), {"USR-A": (1, 0, True), "USR-B": (0, 0, False)})

        machine.start_engine()  # nobody asks for it
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        for kind in (STARTED, FINISHED, COMPLETE):
            self.wait_for_event(server, machine, kind, 1)

        self.reboot(machine, "2.0.0")
        machine.start_engine()
        machine.slotctl("mark-good", machine.running)
        self.assertEqual(machine.slots()["USR-B"].successful, True)
        self.assertEqual(machine.table_problems(), "")
        self.wait_for_event(server, machine, COMPLETE, 2, previousversion="1.0.0")

        machine.configure(SERVER=server.url)
        machine.flipside("channel", "beta")
        machine.flipside("update")
        self.versions["USR-A"] = "3.0.0"
        self.assert_installed(machine, self.image_c, "USR-A")

        self.reboot(machine, "3.0.0")
        machine.start_engine()
        machine.slotctl("mark-good", machine.running)
        done = machine.flipside("rollback")
        self.assertIn("2.0.0", done.stdout)
        self.assertEqual(machine.table_problems(), "")

        self.reboot(machine, "2.0.0")
        self.assertEqual(machine.running, "USR-B")
        machine.start_engine()
        history = machine.flipside("history").stdout
        for word in ("2.0.0", "3.0.0", "rollback"):
            self.assertIn(word, history)

    def test_rollback_refuses_a_slot_that_is_damaged(self):
        machine, server = self.start()
        machine.start_engine()
        machine.flipside("update")
        self.versions = {"USR-A": "1.0.0", "USR-B": "2.0.0"}
        self.reboot(machine, "2.0.0")
        machine.start_engine()
        machine.slotctl("mark-good", machine.running)
        machine.flipside("rollback")
        self.reboot(machine, "1.0.0")
        machine.start_engine()
        with open(machine.disk, "r+b") as disk:
            disk.seek(machine.places["USR-B"]["start"] + (3 << 20) + 5)
            disk.write(b"damage")
        before = machine.slots()
        done = machine.flipside("rollback", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(machine.slots(), before)

    def test_a_version_that_did_not_boot_is_not_installed_again(self):
        machine, server = self.start(FIRST_CHECK=0)
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        # Three tries that end in nothing, then the old slot: as the boot chooser leaves it.
        machine.slotctl("mark-bad", "USR-B")
        machine.reboot(into="USR-A")
        n_checks = len(server.checks())
        machine.start_engine()
        self.wait_for_event(server, machine, COMPLETE, 0, errorcode=44)
        wait_for("another check", lambda: len(server.checks()) > n_checks, logs=[machine.log])
        wait_for("the check to end", lambda: machine.phase() == "idle", logs=[machine.log])
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        # Who asks for it by hand may have it.
        machine.flipside("update")
        self.assert_installed(machine)

    def test_a_version_that_is_never_marked_good_is_not_installed_again(self):
        machine, server = self.start(FIRST_CHECK=0)
        self.versions = {"USR-A": "1.0.0", "USR-B": "2.0.0"}
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        machine.versions.update(self.versions)
        for _ in range(3):  # each boot comes as far as the daemon
            self.assertTrue(machine.slotctl("next", "--spend").stdout.startswith("USR-B"))
            machine.reboot("USR-B")
            machine.start_engine()
            self.wait_for_event(server, machine, COMPLETE, 2, previousversion="1.0.0")
            self.assertNotEqual(machine.phase(), "need-reboot")
        done = machine.flipside("install", self.payload, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("mark-good", done.stderr)
        self.assertTrue(machine.slots()["USR-A"].is_bootable, "the last slot that boots was lost")

        self.reboot(machine, "1.0.0")
        n_checks = len(server.checks())
        machine.start_engine()
        self.wait_for_event(server, machine, COMPLETE, 0, errorcode=44)
        wait_for("another check", lambda: len(server.checks()) > n_checks, logs=[machine.log])
        wait_for("the check to end", lambda: machine.phase() == "idle", logs=[machine.log])
        self.assertFalse(machine.slots()["USR-B"].is_bootable)

    def test_when_the_update_is_told_the_way_back_is_known(self):
        machine = self.machine(slot_mib=400)  # takes longer to hash than the update to install
        machine.start_engine()
        machine.flipside("install", self.payload)
        machine.kill_engine()
        state = json.loads((machine.state / "state.json").read_text())
        self.assertEqual(sorted(state["slots"]), ["USR-A", "USR-B"])

    def test_a_newer_version_replaces_the_one_that_waits(self):
        machine, server = self.start()
        machine.start_engine()
        machine.flipside("update")
        self.assert_installed(machine)
        machine.flipside("channel", "beta")
        machine.flipside("update")
        self.assert_installed(machine, self.image_c)
        self.assertEqual(machine.property("NewVersion"), "3.0.0")

    def test_what_waits_is_known_after_a_restart(self):
        machine, server = self.start()
        machine.start_engine()
        machine.flipside("update")
        machine.kill_engine()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assertEqual(machine.property("NewVersion"), "2.0.0")

    def test_to_an_older_channel_and_back(self):
        machine, server = self.start()
        machine.become("2.5.0")
        machine.start_engine()
        before = machine.slots()
        machine.flipside("update", check=False)
        self.assertEqual(machine.slots(), before)
        self.assert_untouched(machine)

    def test_status_in_text_and_json(self):
        machine, server = self.start()
        machine.start_engine()
        text = machine.flipside("status").stdout
        for word in ("1.0.0", "stable", "USR-A"):
            self.assertIn(word, text)
        self.assertIn("1.0.0", json.dumps(machine.status()))

    def test_check_installs_nothing(self):
        machine, server = self.start()
        machine.start_engine()
        self.assertIn("2.0.0", machine.flipside("check").stdout)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)

    def test_promotion_from_channel_to_channel(self):
        machine, server = self.start()
        machine.start_engine()
        server.promote("beta", "stable")
        machine.flipside("update")
        self.assert_installed(machine, self.image_c)


if __name__ == "__main__":
    main()
