#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The state folder is full or read-only, a second daemon is started, the state is damaged."""
import contextlib
import os

from lab import main, run
from machine_test import MachineTest


class State(MachineTest):
    def mount_small(self, machine, options):
        """A file system of its own for the state, as far as this place allows mounting."""
        done = run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", machine.state], check=False)
        if done.returncode:
            self.skipTest(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        self.addCleanup(run, ["umount", "--lazy", machine.state], check=False)

    def test_full_disk(self):
        machine = self.machine()
        self.mount_small(machine, "size=64k")
        filler = machine.state / "filler"
        machine.start_engine()
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(fd, bytes(4096)):
                pass
        os.close(fd)
        done = machine.flipside("install", self.payload, check=False)
        line = self.assert_refused(machine, done, [1])
        self.assertRegex(line, "(?i)space|full")
        filler.unlink()
        machine.flipside("install", self.payload)
        self.assert_installed(machine)

    def test_read_only(self):
        machine = self.machine()
        self.mount_small(machine, "size=1m,ro")
        machine.start_engine(wait=False)
        if machine.comes_up():
            done = machine.flipside("install", self.payload, check=False)
            self.assert_refused(machine, done, [1])
            self.assertRegex(done.stderr, "(?i)read-only")
        else:
            self.assertNotEqual(machine.engine.returncode, 0)
            self.assertRegex(machine.log.read_text(), "(?i)read-only")
            self.assertFalse(machine.slots()["USR-B"].is_bootable)
            self.assert_untouched(machine)

    def test_second_daemon(self):
        machine = self.machine()
        machine.start_engine()
        first, machine.engine = machine.engine, None
        log = machine.log
        machine.log = machine.folder / "second.log"
        machine.start_engine(wait=False)
        second = machine.engine
        second.wait(60)
        self.assertNotEqual(second.returncode, 0)
        self.assertGreater(len(machine.log.read_text().strip()), 20)
        machine.engine, machine.log = first, log
        machine.flipside("install", self.payload)
        self.assert_installed(machine)

    def test_damaged_state_is_set_aside(self):
        machine = self.machine()
        machine.start_engine()
        machine.flipside("install", self.payload)
        machine.stop_engine()
        for path in machine.state.rglob("*"):
            if path.is_file():
                path.write_bytes(os.urandom(100))
        machine.start_engine()
        machine.flipside("install", self.payload)
        self.assert_installed(machine)


if __name__ == "__main__":
    main()
