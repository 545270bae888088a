#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed, or the disk fails, at the system calls that an update hangs on: those that
write and flush the partition table, the slot and what the daemon remembers. strace does it, one
call in each run. Afterwards the daemon is restarted, or the machine boots what would be chosen."""
import concurrent.futures
import contextlib
import json
import os
import queue
import shutil
import signal
import traceback
import unittest
from pathlib import Path

from lab import DEADLINE, main, program, run, sha256_file, wait_for
from machine import slots_of, table_problems
from machine_test import MachineTest, create_payload
from omaha import OmahaServer

N_AT_ONCE = 4
STARTED, FINISHED, COMPLETE = (13, 1), (14, 1), (3, 1)


class Point:
    """The when-th of these calls, on the disk or (path None) anywhere; strace counts them for each
    thread by itself. error None: killed before the call is made."""

    def __init__(self, snapshot, calls, when, on_disk=True, error=None, ending="restart"):
        self.snapshot, self.calls, self.when, self.on_disk = snapshot, calls, when, on_disk
        self.error, self.ending = error, ending

    def __str__(self):
        return (f"{self.error or 'kill'} at {self.calls} {self.when} "
                f"{'on the disk' if self.on_disk else ''} from '{self.snapshot}', {self.ending}")

    def command(self, machine):
        what = f"error={self.error}" if self.error else "signal=KILL"
        return ["strace", "-f", "-qq", "-o", machine.folder / "strace.log",
                *(["-P", machine.disk] if self.on_disk else []), "-e", f"trace={self.calls}",
                "-e", f"inject={self.calls}:{what}:when={self.when}", *machine.engine_command()]


class PointTest(MachineTest):
    """Several machines at once, each with its snapshots, share the points."""

    slot_mib = 4
    image_mib = 3

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if run(["strace", "-f", "-o", "/dev/null", "true"], check=False).returncode:
            raise unittest.SkipTest("strace cannot trace here")
        cls.image_c = cls.lab.make_image("c.img", cls.image_mib, seed=3)
        cls.payload_c = create_payload(cls.lab.folder / "c.payload", cls.image_c, cls.key,
                                       version="3.0.0")
        cls.content = {"1.0.0": cls.image_a, "2.0.0": cls.image_b, "3.0.0": cls.image_c}

    # Machines and what they are put back to.

    def new_machine(self):
        machine = self.machine()
        machine.server = OmahaServer(self.lab)
        machine.server.add_release("stable", self.offered)
        machine.server.start()
        self.addCleanup(machine.server.stop)
        return machine

    def save(self, machine, name):
        machine.snapshots = getattr(machine, "snapshots", {})
        folder = machine.folder / name
        folder.mkdir()
        shutil.copytree(machine.root, folder / "root")
        run(["cp", "--sparse=always", machine.disk, folder / "disk.img"])
        machine.snapshots[name] = folder, machine.running

    def restore(self, machine, name):
        folder, machine.running = machine.snapshots[name]
        shutil.rmtree(machine.root)
        shutil.copytree(folder / "root", machine.root)
        run(["cp", "--sparse=always", folder / "disk.img", machine.disk])
        machine.n_events = len(machine.server.events())
        machine.running_before = machine.slot_sha256(machine.running)

    # One point.

    def child(self, process):
        """The daemon below strace, or None."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    def is_done(self, machine):
        """Whether 3.0.0 waits for its reboot, as the daemon says."""
        with contextlib.suppress(AssertionError, json.JSONDecodeError):
            status = machine.status()
            return status["phase"] == "need-reboot" and status["new_version"] == "3.0.0"
        return False

    def holds(self, machine, label):
        """The version that the slot holds whole, or None."""
        for version, image in self.content.items():
            if machine.slot_sha256(label, image.stat().st_size) == sha256_file(image):
                return version
        return None

    def check_disk(self, machine):
        """Each slot that can boot is whole; the table can be read, and be repaired into a clean one
        that says the same. Returns the slot that boots."""
        self.assertEqual(machine.slot_sha256(machine.running), machine.running_before)
        chosen = machine.slotctl("next").stdout.split()[0]
        self.assertTrue(self.holds(machine, chosen), f"{chosen} boots next and is not whole")
        copy = machine.folder / "copy.img"
        run(["cp", "--sparse=always", machine.disk, copy])
        run([program("slotctl"), "--disk", copy, "repair"])
        self.assertEqual(table_problems(copy), "")
        self.assertEqual(run([program("slotctl"), "--disk", copy, "next"]).stdout.split()[0], chosen)
        for label, bits in slots_of(copy).items():
            if bits.is_bootable:
                self.assertTrue(self.holds(machine, label), f"{label} can boot and is not whole")
        if chosen != machine.running:
            # What a slot with update_engine tells the server by.
            previous = machine.root / "var/lib/update_engine/prefs/previous-version"
            self.assertEqual(previous.read_text(), self.holds(machine, machine.running))
        return chosen

    def reboot(self, machine, chosen):
        """The system comes up and is marked good before the daemon starts."""
        machine.versions = {label: self.holds(machine, label) for label in machine.versions}
        machine.reboot(into=chosen)
        machine.slotctl("mark-good", chosen)
        machine.running_before = machine.slot_sha256(chosen)

    def events(self, machine):
        return machine.server.events()[machine.n_events:]

    def has_event(self, machine, kind, result):
        return any((e["type"], e["result"]) == (kind, result) for e in self.events(machine))

    def wait_for_reboot_report(self, machine, previous):
        """3/2 of a reboot names the version before; each check with nothing to tell sends one, too."""
        wait_for("the report of the reboot",
                 lambda: any((e["type"], e["result"], e.get("previousversion")) == (3, 2, previous)
                             for e in self.events(machine)),
                 logs=[machine.log, machine.server.report])

    # All of them.

    def work(self, machine, points, results):
        with contextlib.suppress(queue.Empty):
            while True:
                point = points.get_nowait()
                try:
                    results.append((point, self.one(machine, point), None))
                except Exception:
                    results.append((point, False, traceback.format_exc()))
                    if machine.engine is not None:
                        with contextlib.suppress(Exception):
                            child = self.child(machine.engine)
                            if child:
                                os.kill(child, signal.SIGKILL)
                            machine.kill_engine()
                        machine.engine = None

    def try_all(self, n_killed_at_least):
        machines = [self.new_machine() for _ in range(N_AT_ONCE)]
        points, results = queue.Queue(), []
        for point in self.points():
            points.put(point)

        def run_machine(machine):
            self.prepare(machine)
            self.work(machine, points, results)

        with concurrent.futures.ThreadPoolExecutor(N_AT_ONCE) as pool:
            for future in [pool.submit(run_machine, machine) for machine in machines]:
                future.result()
        for point, _, failure in results:
            with self.subTest(str(point)):
                if failure:
                    self.fail(failure)
        n_killed = sum(was_killed for _, was_killed, _ in results)
        print(f"# {len(results)} points, killed at {n_killed}")
        self.assertGreaterEqual(n_killed, n_killed_at_least)


class Update(PointTest):
    """The update replaces one that waits for its reboot, so that the target can boot when it
    begins."""

    @property
    def offered(self):
        return self.payload_c

    def prepare(self, machine):
        """The snapshots: 2.0.0 waits for its reboot; 3.0.0 replaces it, all but the flip is done."""
        machine.start_engine()
        machine.flipside("install", self.payload)
        machine.stop_engine()
        (machine.state / "events.json").unlink(missing_ok=True)
        machine.configure(SERVER=machine.server.url, FIRST_CHECK=0)
        self.save(machine, "waits")
        self.restore(machine, "waits")
        # The table is flushed once for a target that cannot boot anyway, and then for the flip.
        for calls, when in (("fdatasync", 1), ("fsync", 2)):
            self.assertTrue(self.run_into(machine, Point("waits", calls, when)))
        state = json.loads((machine.state / "state.json").read_text())
        self.assertEqual(state["pending"]["version"], "3.0.0")
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.save(machine, "all but the flip")

    def run_into(self, machine, point):
        """Runs the daemon until it is killed, or has done all that it can; whether it was killed."""
        if point.error:  # then it is asked, and its answer waited for
            machine.configure(SERVER=machine.server.url)
        machine.start_engine(command=point.command(machine), wait=False)
        process = machine.engine

        def has_ended():
            return process.poll() is not None or self.is_done(machine)

        if point.error:
            machine.comes_up()
            machine.flipside("update", check=False)
            machine.configure(SERVER=machine.server.url, FIRST_CHECK=0)
        else:
            wait_for(f"the daemon to end ({point})", has_ended, logs=[machine.log])
        was_killed = process.poll() is not None
        if not was_killed:
            os.kill(self.child(process), signal.SIGTERM)
        process.wait(DEADLINE)
        machine.engine = None
        return was_killed

    def one(self, machine, point):
        self.restore(machine, point.snapshot)
        was_killed = self.run_into(machine, point)
        chosen = self.check_disk(machine)
        if point.ending == "reboot":
            self.reboot(machine, chosen)
        machine.start_engine()
        if point.ending == "reboot" and chosen == "USR-B":
            self.wait_for_reboot_report(machine, "1.0.0")
        if self.holds(machine, machine.running) != "3.0.0":
            if point.error:  # it failed before: the daemon waits for its next try, or is told to
                machine.flipside("update", check=False)
            wait_for("3.0.0 to be installed", lambda: self.is_done(machine), logs=[machine.log])
            self.assertFalse((machine.state / "checkpoint").exists(), "it outlived its install")
            wait_for("a clean table", lambda: not machine.table_problems(), logs=[machine.log])
            target = next(label for label in machine.places if label != machine.running)
            self.assert_installed(machine, self.image_c, target)
        for kind, result in (STARTED, FINISHED, COMPLETE):
            wait_for(f"event {kind}/{result}", lambda: self.has_event(machine, kind, result),
                     logs=[machine.log, machine.server.report])
        self.assertNotIn("44", [str(e.get("errorcode")) for e in self.events(machine)])
        self.assertEqual(machine.stop_engine(), 0)
        return was_killed

    def points(self):
        both = ("restart", "reboot")
        for when in range(1, 7):
            for ending in both:
                yield Point("waits", "fsync", when, ending=ending)
                yield Point("all but the flip", "fsync", when, ending=ending)
        for when in range(1, 13):  # what the daemon remembers: its files are replaced in the loop
            yield Point("waits", "renameat", when, on_disk=False, ending=both[when % 2])
        for when in (1, 3):
            yield Point("waits", "unlinkat", when, on_disk=False)
            yield Point("waits", "pwrite64", when)
        for when in (1, 2):
            yield Point("waits", "fdatasync", when)
            yield Point("waits", "fdatasync", when, error="EIO")
        for when in range(1, 6):
            yield Point("waits", "fsync", when, error="EIO", ending=both[when % 2])
            yield Point("all but the flip", "fsync", when + 1, error="EIO", ending=both[when % 2])

    def test_every_point_ends_with_the_update(self):
        self.try_all(20)


class Rollback(PointTest):
    """To the other slot, which is good; and back from an update that waits for its reboot. The server
    goes on offering 2.0.0, which nobody wants then."""

    @property
    def offered(self):
        return self.payload

    def prepare(self, machine):
        machine.configure(SERVER=machine.server.url)
        machine.start_engine()
        machine.flipside("update")
        machine.stop_engine()
        (machine.state / "events.json").unlink(missing_ok=True)
        self.save(machine, "waits")
        machine.n_events = len(machine.server.events())
        self.reboot(machine, "USR-B")
        machine.start_engine()
        self.wait_for_reboot_report(machine, "1.0.0")
        machine.stop_engine()
        (machine.state / "events.json").unlink(missing_ok=True)
        self.save(machine, "runs")

    def run_into(self, machine, point):
        machine.start_engine(command=point.command(machine), wait=False)
        process = machine.engine
        if machine.comes_up():
            machine.flipside("rollback", check=False)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, TypeError):
                os.kill(self.child(process), signal.SIGTERM)
        process.wait(DEADLINE)
        machine.engine = None
        return process.returncode == -signal.SIGKILL

    def one(self, machine, point):
        self.restore(machine, point.snapshot)
        before = machine.running
        was_killed = self.run_into(machine, point)
        chosen = self.check_disk(machine)
        if point.ending == "reboot":
            self.reboot(machine, chosen)
        machine.configure(SERVER=machine.server.url, FIRST_CHECK=0)
        n_checks = len(machine.server.checks())
        machine.start_engine()
        wait_for("the check", lambda: len(machine.server.checks()) > n_checks, logs=[machine.log])
        phase = "need-reboot" if chosen != machine.running else "idle"
        wait_for(f"phase {phase}", lambda: machine.phase() == phase, logs=[machine.log])
        self.assertEqual(self.check_disk(machine), chosen, "it was changed without being asked")
        is_rolled_back = chosen == "USR-A" and before == "USR-B"
        if chosen == machine.running != before:
            self.wait_for_reboot_report(machine, self.holds(machine, before))
        wait_for("the outbox to be empty", lambda: self.n_waiting(machine) == 0, logs=[machine.log])
        codes = [str(e.get("errorcode")) for e in self.events(machine)]
        self.assertEqual("44" in codes, is_rolled_back, codes)
        self.assertEqual(machine.stop_engine(), 0)
        return was_killed

    def n_waiting(self, machine):
        path = machine.state / "events.json"
        return len(json.loads(path.read_text())["events"]) if path.exists() else 0

    def points(self):
        for snapshot in ("waits", "runs"):
            for when in range(1, 6):
                for ending in ("restart", "reboot"):
                    yield Point(snapshot, "fsync", when, ending=ending)
            for when in range(1, 7):
                ending = ("restart", "reboot")[when % 2]
                yield Point(snapshot, "renameat", when, on_disk=False, ending=ending)
            yield Point(snapshot, "fsync", 3, error="EIO", ending="reboot")

    def test_no_point_leaves_a_rollback_half_done(self):
        self.try_all(15)


if __name__ == "__main__":
    main()
