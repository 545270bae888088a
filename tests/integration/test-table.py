#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The partition table is destroyed below the running daemon: one copy, which it repairs and tells of,
or both, which it tells of and leaves alone."""
import contextlib
import fcntl
import json
import os
import unittest

from lab import main, run, sha256_file, wait_for
from machine import FLIPSIDE_INTERFACE, SECTOR, overwrite, table_bytes
from machine_test import MachineTest
from omaha import OmahaServer

HEADER = bytes(SECTOR)
ENTRIES = bytes(32 * SECTOR)
PRIMARY_HEADER, PRIMARY_ENTRIES = SECTOR, 2 * SECTOR
BACKUP_HEADER, BACKUP_ENTRIES = -SECTOR, -33 * SECTOR


def restore(disk, table):
    overwrite(disk, 0, table[:34 * SECTOR])
    overwrite(disk, BACKUP_ENTRIES, table[34 * SECTOR:])


def destroy_primary(disk):
    overwrite(disk, PRIMARY_HEADER, HEADER + ENTRIES)


def destroy_backup(disk):
    overwrite(disk, BACKUP_ENTRIES, ENTRIES + HEADER)


def destroy_both(disk):
    destroy_primary(disk)
    destroy_backup(disk)


def touch(disk):
    """Somebody has it open for writing and writes nothing."""
    open(disk, "r+b").close()


def other_backup(disk):
    """A backup that is valid and says something else."""
    copy = disk.with_suffix(".other")
    run(["cp", "--sparse=always", disk, copy])
    run(["sgdisk", "--attributes=3:set:60", copy])
    return table_bytes(copy)[34 * SECTOR:]


class TableTest(MachineTest):
    slot_mib = 12
    image_mib = 8

    def start(self, server=False, command=None, **keys):
        """A machine whose daemon has looked for the first time: the next look has its reason."""
        machine = self.machine()
        if server:
            machine.server = OmahaServer(self.lab)
            machine.server.add_release("stable", self.payload)
            machine.server.start()
            self.addCleanup(machine.server.stop)
            keys["SERVER"] = machine.server.url
        machine.configure(**{"SERVER": "disabled", **keys})
        machine.table = table_bytes(machine.disk)
        machine.start_engine(command=command(machine) if command else self.verbose(machine))
        self.wait_for_look(machine, "good")
        return machine

    def verbose(self, machine):
        """It says when it has looked."""
        return [*machine.engine_command(), "--verbose"]

    def count(self, machine, words):
        return machine.log.read_text().count(words)

    def wait_for_look(self, machine, health, n=1):
        """Until it has looked so many times and found that."""
        words = f"partition table {health}"
        wait_for(f"{n} times '{words}'", lambda: self.count(machine, words) >= n,
                 logs=[machine.log])

    def wait_for_table(self, machine):
        """Until the table is, byte for byte, what it was."""
        wait_for("the table to be repaired",
                 lambda: table_bytes(machine.disk) == machine.table, logs=[machine.log])
        self.wait_for_health(machine, "good")
        self.assertEqual(machine.table_problems(), "")

    def wait_for_health(self, machine, health):
        wait_for(f"the table to be {health}",
                 lambda: machine.property("TableHealth") == health, logs=[machine.log])

    def repairs(self, machine):
        """Result and text of each, as the history has them."""
        lines = map(json.loads, machine.flipside("--json", "history").stdout.splitlines())
        return [(line["result"], line["text"]) for line in lines if line["what"] == "repair"]

    def assert_repairs(self, machine, *expected):
        repairs = self.repairs(machine)
        self.assertEqual(len(repairs), len(expected), repairs)
        for (result, text), (expected_result, *words) in zip(repairs, expected):
            self.assertEqual(result, expected_result, text)
            for word in (str(machine.disk), *words):
                self.assertIn(word, text)


class Repairs(TableTest):
    def test_whatever_is_destroyed_on_an_idle_machine(self):
        machine = self.start()
        damages = (
            ("primary copy has no GPT signature", lambda: overwrite(
                machine.disk, PRIMARY_HEADER, HEADER)),
            ("primary copy has entries", lambda: overwrite(machine.disk, PRIMARY_ENTRIES, ENTRIES)),
            ("primary copy has no GPT signature", lambda: destroy_primary(machine.disk)),
            ("backup copy has no GPT signature", lambda: overwrite(
                machine.disk, BACKUP_HEADER, HEADER)),
            ("backup copy has entries", lambda: overwrite(machine.disk, BACKUP_ENTRIES, ENTRIES)),
            ("backup copy has no GPT signature", lambda: destroy_backup(machine.disk)),
            ("copies differ", lambda: overwrite(
                machine.disk, BACKUP_ENTRIES, other_backup(machine.disk))),
        )
        for n, (words, damage) in enumerate(damages, 1):
            damage()
            wait_for(f"repair {n}", lambda: len(self.repairs(machine)) == n, logs=[machine.log])
            self.wait_for_table(machine)
            result, text = self.repairs(machine)[-1]
            self.assertEqual(result, "done")
            self.assertIn(words, text)
            self.assertIn(str(machine.disk), text)
            self.assertEqual(self.count(machine, text), sum(
                each == text for _, each in self.repairs(machine)))
        self.assertIn("repair", machine.flipside("history").stdout)
        self.assertNotIn("Table:", machine.flipside("status").stdout)
        self.assertEqual(machine.status()["table_health"], "good")
        self.assert_untouched(machine)

    def test_damage_from_before_the_start(self):
        machine = self.machine()
        machine.table = table_bytes(machine.disk)
        destroy_primary(machine.disk)
        machine.start_engine()
        self.wait_for_table(machine)
        wait_for("the report", lambda: self.repairs(machine), logs=[machine.log])
        self.assert_repairs(machine, ("done", "primary copy"))

    def test_a_download_goes_on(self):
        for destroy in (destroy_primary, destroy_backup):
            with self.subTest(destroy.__name__):
                machine = self.start(server=True)
                machine.server.behave(rate=1 << 20)
                machine.call(f"{FLIPSIDE_INTERFACE}.Update")
                wait_for("some of the download", lambda: machine.phase() == "downloading"
                         and machine.number("BytesDone") > 0, logs=[machine.log])
                machine.table = table_bytes(machine.disk)
                destroy(machine.disk)
                self.wait_for_table(machine)
                self.assertEqual(machine.phase(), "downloading")
                machine.wait_for_phase("need-reboot")
                self.assert_installed(machine)
                self.assertIn("done", [result for result, _ in self.repairs(machine)])

    def test_the_slot_that_waits_still_boots_next(self):
        machine = self.start(server=True)
        machine.flipside("update")
        machine.table = table_bytes(machine.disk)
        for n, destroy in enumerate((destroy_primary, destroy_backup), 1):
            destroy(machine.disk)
            wait_for(f"repair {n}", lambda: len(self.repairs(machine)) == n, logs=[machine.log])
            self.wait_for_table(machine)
            self.assertEqual(machine.phase(), "need-reboot")
            self.assertEqual(machine.slotctl("next").stdout.split()[0], "USR-B")
        self.assert_installed(machine)

    def test_a_check_finds_what_nobody_was_told_of(self):
        machine = self.start(server=True)
        with open(machine.disk, "r+b") as file:  # the event comes when it is closed
            file.seek(PRIMARY_HEADER)
            file.write(HEADER + ENTRIES)
            file.flush()
            machine.flipside("check")
            self.wait_for_table(machine)
        self.assert_repairs(machine, ("done", "primary copy"))

    def test_a_check_by_itself_looks_without_a_server_too(self):
        machine = self.start(FIRST_CHECK=8)
        with open(machine.disk, "r+b") as file:
            file.seek(BACKUP_HEADER, os.SEEK_END)
            file.write(HEADER)
            file.flush()
            self.wait_for_table(machine)
        self.assert_repairs(machine, ("done", "backup copy"))

    def test_a_disk_whose_image_is_replaced_is_watched_on(self):
        machine = self.start()
        copy = machine.disk.with_suffix(".new")
        run(["cp", "--sparse=always", machine.disk, copy])
        os.rename(copy, machine.disk)
        self.wait_for_look(machine, "good", 2)
        destroy_primary(machine.disk)
        self.wait_for_table(machine)

    def test_the_bus_tells_of_each_change(self):
        machine = self.start()
        log = machine.folder / "monitor.log"
        self.lab.start(
            ["dbus-monitor", "--address", machine.bus, "type='signal',"
             "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'"], log)
        wait_for("the monitor", lambda: "NameAcquired" in log.read_text(), logs=[log])
        destroy_backup(machine.disk)

        def has_told():
            text = log.read_text()
            damaged = text.find('"backup-damaged"')
            return damaged >= 0 and text.find('"good"', damaged) >= 0
        wait_for("both changes", has_told, logs=[log, machine.log])


class Restraint(TableTest):
    """When nothing is written."""

    def test_both_copies_are_destroyed(self):
        machine = self.start(server=True)
        destroy_both(machine.disk)
        whole = sha256_file(machine.disk)
        self.wait_for_health(machine, "unreadable")
        for n in (2, 3):
            self.wait_for_look(machine, "unreadable", n - 1)
            touch(machine.disk)
        machine.flipside("check")
        self.wait_for_look(machine, "unreadable", 3)
        self.assertEqual(self.count(machine, "holds no valid GPT"), 1, "it is told once")
        self.assert_repairs(machine, ("failed", "primary copy", "backup copy", "Restore the table"))
        status = machine.flipside("status").stdout
        self.assertIn("Table:        unreadable", status)
        self.assertEqual(machine.status()["table_health"], "unreadable")
        self.assertNotEqual(machine.flipside("update", check=False).returncode, 0)
        self.assertEqual(sha256_file(machine.disk), whole, "the disk was written")

        restore(machine.disk, machine.table)
        self.wait_for_health(machine, "good")
        self.assertIn("good again", machine.log.read_text())
        self.assertEqual(table_bytes(machine.disk), machine.table)
        machine.flipside("update")
        self.assert_installed(machine)

    def test_one_copy_of_two_is_restored(self):
        machine = self.start()
        destroy_both(machine.disk)
        self.wait_for_health(machine, "unreadable")
        overwrite(machine.disk, BACKUP_ENTRIES, machine.table[34 * SECTOR:])
        self.wait_for_table(machine)
        self.assertEqual([result for result, _ in self.repairs(machine)], ["failed", "done"])

    def test_a_start_without_a_table(self):
        machine = self.start(server=True)
        machine.flipside("update")
        machine.table = table_bytes(machine.disk)
        machine.stop_engine()
        destroy_both(machine.disk)
        whole = sha256_file(machine.disk)
        machine.start_engine()
        self.assertEqual(machine.property("TableHealth"), "unreadable")
        self.assertEqual(machine.property("RunningSlot"), "")
        self.assertEqual(sha256_file(machine.disk), whole, "the disk was written")
        restore(machine.disk, machine.table)
        self.wait_for_health(machine, "good")
        self.assertEqual(machine.property("RunningSlot"), "USR-A")
        self.assertEqual(machine.phase(), "need-reboot")
        self.assertEqual(self.repairs(machine), [], "it was never known to be ours")
        self.assert_installed(machine)
        self.assertEqual(table_bytes(machine.disk), machine.table)

    def test_a_change_that_is_under_way_is_not_disturbed(self):
        machine = self.start()
        new = other_backup(machine.disk)
        with open(machine.disk, "r+b") as disk:
            fcntl.flock(disk, fcntl.LOCK_EX)
            overwrite(machine.disk, BACKUP_ENTRIES, new)
            self.wait_for_health(machine, "copies-differ")
            disk.seek(0)
            run(["cp", "--sparse=always", machine.disk, machine.folder / "whole.img"])
            run(["sgdisk", "--attributes=3:set:60", machine.folder / "whole.img"])
            machine.table = table_bytes(machine.folder / "whole.img")
            disk.write(machine.table[:34 * SECTOR])
            disk.flush()
            fcntl.flock(disk, fcntl.LOCK_UN)
            self.wait_for_health(machine, "good")
        self.assertEqual(table_bytes(machine.disk), machine.table)
        self.assertEqual(machine.table_problems(), "")
        self.assertNotIn("damaged:", machine.log.read_text())

    def test_another_disk_in_the_place_of_ours_is_left_alone(self):
        machine = self.start()
        other = machine.folder / "other.img"
        run(["cp", "--sparse=always", machine.disk, other])
        run(["sgdisk", "--change-name=2:OTHER", other])
        destroy_primary(other)
        whole = sha256_file(other)
        os.rename(other, machine.disk)
        wait_for("the refusal", lambda: self.repairs(machine), logs=[machine.log])
        self.assert_repairs(machine, ("failed", "no slot USR-A"))
        self.assertEqual(machine.property("TableHealth"), "primary-damaged")
        self.assertEqual(sha256_file(machine.disk), whole)


def injecting(what, *more):
    """The daemon below strace, which makes system calls fail; the daemon stays our own child."""
    def command(machine):
        return ["strace", "-D", "-f", "-qq", "-o", machine.folder / "strace.log",
                *(["-P", machine.disk] if "on the disk" in more else []),
                "-e", f"trace={what.split(':')[0]}", "-e", f"inject={what}",
                *machine.engine_command(), "--verbose"]
    return command


class Failures(TableTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if run(["strace", "-f", "-o", "/dev/null", "true"], check=False).returncode:
            raise unittest.SkipTest("strace cannot trace here")

    def start(self, *args, **more):
        machine = super().start(*args, **more)
        self.addCleanup(self.end, machine)
        return machine

    def end(self, machine):
        """Not as others: what the sanitizers say at the end of a traced process is of no use."""
        with contextlib.suppress(ProcessLookupError):
            machine.kill_engine()

    def test_a_repair_that_failed_is_tried_at_the_next_check_only(self):
        machine = self.start(server=True, command=injecting("pwrite64:error=EIO", "on the disk"))
        destroy_backup(machine.disk)
        whole = sha256_file(machine.disk)
        failure = "repairing it failed"
        wait_for("the failure", lambda: self.count(machine, failure), logs=[machine.log])
        # The look that its own try wakes, and one more.
        self.wait_for_look(machine, "backup-damaged", 2)
        touch(machine.disk)
        self.wait_for_look(machine, "backup-damaged", 3)
        self.assertEqual(self.count(machine, failure), 1)
        self.assertIn("Table:        backup-damaged", machine.flipside("status").stdout)
        machine.flipside("check")
        wait_for("the next try", lambda: self.count(machine, failure) == 2, logs=[machine.log])
        self.assert_repairs(machine, ("failed", "backup copy", "Input/output error"))
        self.assertEqual(sha256_file(machine.disk), whole, "the disk was written")
        self.assertEqual(machine.property("TableHealth"), "backup-damaged")

        machine.slotctl("repair")
        self.wait_for_table(machine)
        self.assert_repairs(machine, ("failed", "backup copy"), ("done", "good again"))

    def test_without_inotify_the_checks_look(self):
        machine = self.start(server=True, command=injecting("inotify_add_watch:error=ENOSPC"))
        for n in (1, 2):
            destroy_primary(machine.disk)
            machine.flipside("check")
            self.wait_for_table(machine)
        self.assertEqual(self.count(machine, "cannot be watched"), 1)


if __name__ == "__main__":
    main()
