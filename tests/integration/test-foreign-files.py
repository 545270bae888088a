#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files that other programs read, and those that update_engine has left behind."""
import os
import stat

from lab import main, wait_for
from machine_test import MachineTest, create_payload


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
        machine, _ = self.offering()
        machine.start_engine()
        machine.flipside("update")
        machine.call("com.coreos.update1.Manager.ResetStatus")
        self.assert_not_due(machine)

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


if __name__ == "__main__":
    main()
