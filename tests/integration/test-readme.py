#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""README.md's page "How a CoreOS or Flatcar machine moves over", done as it stands there."""
import os
import random
import subprocess
import time
import unittest
from pathlib import Path

from lab import OS_NAME, Lab, main, program, run, wait_for
from machine import Attributes, partition, table_problems
from readme import commands

PAGE = "How a CoreOS or Flatcar machine moves over"
PROGRAMS = ("update-payload", "slotctl", "omaha-server", "update-engine", "flipside")
N_KILLS = 20


@unittest.skipUnless(OS_NAME == "coreos", "the page is about the default build")
class MovesOver(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.work = self.lab.folder / "machine"
        self.work.mkdir()
        paths = [str(Path(program(name)).parent) for name in PROGRAMS]
        self.environment = {**os.environ, "PATH": ":".join(
            [*paths, os.environ["PATH"], "/usr/sbin:/sbin"])}
        self.payload, self.disk, self.install, self.serve = commands(PAGE)

    def type_in(self, script):
        """In a shell of its own, whose background jobs end with it."""
        ending = 'trap \'kill -9 $(jobs -p) 2>/dev/null || :\' EXIT\n'
        return run(["bash", "-euc", ending + script], check=False, seconds=300, cwd=self.work,
                   env=self.environment)

    def slot(self, number):
        return Attributes(partition(self.work / "disk.img", number)["flags"])

    def assert_done(self, done):
        self.assertEqual(done.returncode, 0, done.stdout[-1500:] + done.stderr[-1500:])

    def assert_installed(self):
        new = self.slot(4)
        self.assertEqual((new.tries, new.successful), (3, False))
        self.assertGreater(new.priority, self.slot(3).priority)
        self.assertEqual(table_problems(self.work / "disk.img"), "")
        kernel, image = ((self.work / name).read_bytes() for name in ("vmlinuz", "usr.img"))
        self.assertEqual((self.work / "machine/boot/coreos/vmlinuz-b").read_bytes(), kernel)
        with open(self.work / "disk.img", "rb") as disk:
            disk.seek(17 << 20)
            self.assertEqual(disk.read(len(image)), image)

    def test_the_page(self):
        self.assert_done(self.type_in(self.payload + self.disk + self.install + self.serve))
        self.assert_installed()

    def test_killed_at_random_moments(self):
        """The page's own commands, killed until it has happened often enough before their end."""
        self.assert_done(self.type_in(self.payload + self.disk))
        start = time.monotonic()
        self.assert_done(self.type_in(self.install))
        seconds = time.monotonic() - start
        source, n_kills = random.Random(7), 0
        for _ in range(3 * N_KILLS):
            if n_kills == N_KILLS:
                break
            if self.slot(4).is_bootable:
                self.assert_installed()
                self.assert_done(self.type_in("rm -rf disk.img machine state\n" + self.disk))
            n_kills += self.is_killed_after(source.uniform(0, seconds))
            self.assertTrue(self.slot(3).is_bootable)
        self.assertEqual(n_kills, N_KILLS)
        (self.work / "bus").unlink(missing_ok=True)
        self.assert_done(self.type_in(self.install))
        self.assert_installed()

    def is_killed_after(self, seconds):
        (self.work / "bus").unlink(missing_ok=True)
        shell = subprocess.Popen(["bash", "-euc", self.install], cwd=self.work,
                                 env=self.environment, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(seconds)
        is_running = shell.poll() is None
        os.killpg(shell.pid, 9)
        shell.wait()
        wait_for("all of it to be gone", lambda: not self.processes(shell.pid))
        return is_running

    @staticmethod
    def processes(session):
        return run(["pgrep", "-g", str(session)], check=False).stdout.split()


main()
