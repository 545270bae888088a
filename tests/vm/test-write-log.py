#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that a machine writes during an update, its firmware and boot chooser included, is
noted; then the power goes at every flush, with what was not flushed partly lost. Each of these
disks must boot, into a slot that is whole; some of them are booted, and end updated."""
import shutil

from vm_test import VmTest
import gpt_image
from disk_image import SIZES, part_start
from lab import main, run
from write_log import Replay

MANY_BYTES = 20_000_000
# A change of the table is four flushes: entries and header of the backup, then of the primary. In
# the first boot these are the start of the old slot, the target made unbootable, and the flip; in
# the second the start of the new slot, and that it is good. (Boot, change, flush) -> what is cut:
BOOTED = {(0, 2, 1): "the flip: the backup copy is new, the primary one old",
          (1, 0, 2): "the chooser spends a try: the primary copy is torn",
          (1, 1, 0): "the slot is marked good: the backup copy is torn"}
DATA = "some of the update is in the slot"


class WriteLog(VmTest):
    def record(self):
        """From the first boot to a slot marked good: the disk before, and the log of each boot."""
        self.serve(stable=self.distribution.payload("2.0.0"))
        self.vm = self.machine(REBOOT_STRATEGY="reboot", BOOT_TRIES=3)
        shutil.copyfile(self.vm.disk, self.vm.folder / "before")
        logs = []
        for n, end in enumerate(("reset", "off")):
            self.vm.write_log = self.vm.folder / f"log-{n}"
            boot = self.vm.power_on()
            self.see(boot, f"flipside: USR-{'AB'[n]} is chosen")
            if end == "off":
                self.see(boot, "tries 0, successful")
                boot.wait_until_up().ask("systemctl poweroff --no-block")
            boot.wait_for_end(end)
            logs.append(self.vm.write_log)
        self.vm.write_log = None
        return logs

    def places(self):
        """Both copies of the table."""
        return gpt_image.table_places(self.vm.disk.stat().st_size)

    def next_slot(self):
        """What the chooser would start of this disk; one copy of the table is valid at least."""
        n_sectors = self.vm.disk.stat().st_size // 512
        n_valid = 0
        for own in (1, n_sectors - 1):
            try:
                gpt_image.read_table(self.vm.disk, own=own)
                n_valid += 1
            except AssertionError:
                pass
        self.assertGreater(n_valid, 0, "both copies of the table are lost")
        return self.vm.slotctl("next").stdout.split()[0]

    def assert_boots(self, is_table):
        """Whatever boots is whole; while the table does not change, what boots does not either."""
        slot = self.next_slot()
        if slot == "USR-B" and is_table:
            done = self.vm.slotctl("verify", "USR-B", check=False)
            self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)

    def keep(self, name):
        """Puts this disk aside, to be booted later."""
        if name not in self.kept:
            self.kept[name] = self.vm.folder / f"cut-{len(self.kept)}"
            shutil.copyfile(self.vm.disk, self.kept[name])

    def assert_never_written(self, window, label):
        start = self.starts[label]
        for write in window:
            self.assertFalse(write.at < start + SIZES[label] and start < write.at + write.n_bytes,
                             f"{label}, which runs, was written at {write.at}")

    def replay(self, n_boot, log):
        """Goes through one boot's log. Returns how often the table was changed."""
        running, target = ("USR-A", "USR-B") if n_boot == 0 else ("USR-B", "USR-A")
        replay, n_states, n_written, n_tables = Replay(self.vm.disk, log), 0, 0, 0
        start = self.starts[target]
        for window in replay.windows:
            self.assert_never_written(window, running)
            is_table = bool(replay.changed_sectors(window, self.places()))
            what = BOOTED.get((n_boot, n_tables // 4, n_tables % 4))
            for subset in replay.cuts(window, self.places()):
                n_states += 1
                self.assert_boots(is_table)
                if what and subset:
                    self.keep(what)
                elif n_written > MANY_BYTES:
                    self.keep(DATA)
            n_tables += is_table
            n_written += sum(write.n_bytes for write in window
                             if start <= write.at < start + SIZES[target])
            replay.flush(window)
        self.note(f"{log.name}: {len(replay.windows)} flushes, {n_tables} of the table, {n_written} "
                  f"bytes into {target}: {n_states} disks, all of them boot")
        return n_tables

    def assert_ends_updated(self, what):
        shutil.copyfile(self.kept[what], self.vm.disk)
        self.note(f"--- {what} ---")
        for _ in range(3):
            boot = self.vm.power_on()
            if "USR-B" in self.see(boot, "is chosen"):
                self.see(boot, "USR-B: priority 2, tries 0, successful")
                boot.cut_power()
                self.assertEqual(self.vm.table_problems(), "")
                return
            self.see_reset(boot)
        self.fail(f"{what}: not updated after three starts")

    def test_every_disk_that_a_cut_could_leave_boots(self):
        logs, self.kept = self.record(), {}
        after = self.vm.folder / "after"
        self.vm.disk.rename(after)
        (self.vm.folder / "before").rename(self.vm.disk)
        self.starts = {label: part_start(self.vm.disk, label) for label in SIZES}
        self.assertEqual([self.replay(n, log) for n, log in enumerate(logs)], [12, 8])
        run(["cmp", self.vm.disk, after])
        self.assertEqual(set(self.kept), {DATA, *BOOTED.values()})
        for what in self.kept:
            self.assert_ends_updated(what)


main()
