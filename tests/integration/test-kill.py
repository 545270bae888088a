#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of an install: after each restart it goes on by itself, fetches next
to nothing again, and ends with the right slot. FLIPSIDE_SEED repeats a run."""
import os
import random

from lab import main, wait_for
from machine_test import MachineTest

N_KILLS = 20


def new_random():
    seed = os.environ.get("FLIPSIDE_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"# FLIPSIDE_SEED={seed}", flush=True)
    return random.Random(seed)


def fetched_again(sent, marks):
    """For each stretch of requests that begins at a mark: how many bytes had been sent before."""
    had, again = [], []  # had: (first, end) of what was sent, without overlaps
    for start, end in zip([0, *marks], [*marks, len(sent)]):
        stretch = [(first, first + n) for _, first, n in sent[start:end] if n]
        again.append(sum(max(0, min(e, have_e) - max(f, have_f))
                         for f, e in stretch for have_f, have_e in had))
        had = merged(had + stretch)
    return again[1:]


def merged(ranges):
    result = []
    for first, end in sorted(ranges):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((first, end))
    return result


class Kill(MachineTest):
    slot_mib = 264
    image_mib = 256

    def test_killed_twenty_times_in_one_install(self):
        source = new_random()
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        size = self.payload.stat().st_size
        server.offer(self.payload, max_failures=100)
        server.rate_bytes_per_sec = int(size / 75)
        limit = size * 2 // 100
        machine.start_engine()
        marks = []
        for kill in range(N_KILLS):
            # A moment in what is left, so that all of them fall into the download.
            at = server.bytes_sent()
            step = source.randrange(1, max(2, 2 * (size - at) // (N_KILLS - kill + 1)))
            wait_for(f"kill {kill + 1} at byte {at + step}",
                     lambda: server.bytes_sent() >= at + step or self.is_done(machine),
                     logs=[machine.log])
            machine.kill_engine()
            self.assertFalse(machine.slots()["USR-B"].is_bootable and not self.is_whole(machine))
            server.wait_until_idle()
            marks.append(len(server.sent))
            machine.start_engine()
            wait_for("the download to go on",
                     lambda: any(n for _, _, n in server.sent[marks[-1]:]) or self.is_done(machine),
                     logs=[machine.log])
        server.rate_bytes_per_sec = 0
        machine.wait_for_phase("need-reboot")
        again = fetched_again(server.sent, marks)
        print(f"# bytes fetched again after each kill, of {limit} allowed: {again}")
        self.assertLess(max(again), limit)
        self.assert_installed(machine)

    def is_done(self, machine):
        return machine.slots()["USR-B"].is_bootable

    def is_whole(self, machine):
        self.assert_holds(machine, "USR-B", self.image_b)
        return True


class KillAnywhere(MachineTest):
    """Unthrottled, so that the moments fall into every phase."""
    slot_mib = 40
    image_mib = 32

    def test_killed_at_twenty_moments_of_twenty_installs(self):
        source = new_random()
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        server.offer(self.payload, max_failures=100)
        phases = {}
        for kill in range(N_KILLS):
            with self.subTest(kill=kill + 1):
                try:
                    self.one(machine, source, phases)
                finally:
                    if machine.engine is not None:
                        machine.kill_engine()
        print(f"# killed in {phases}")

    def one(self, machine, source, phases):
        machine.start_engine()
        goal = source.random() * 1.2
        wait_for("the moment", lambda: machine.progress() >= goal or self.is_done(machine))
        phase = machine.phase()
        phases[phase] = phases.get(phase, 0) + 1
        machine.kill_engine()
        if self.is_done(machine):
            self.assert_holds(machine, "USR-B", self.image_b)
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        wait_for("both copies of the table to be good again",
                 lambda: not machine.table_problems(), logs=[machine.log])
        self.assert_installed(machine)
        machine.flipside("cancel", check=False)
        machine.call("com.coreos.update1.Manager.ResetStatus")
        wait_for("the target to be unbootable", lambda: not self.is_done(machine))
        machine.stop_engine()
        self.wipe(machine)

    def wipe(self, machine):
        """The next install has all of its work to do."""
        place = machine.places["USR-B"]
        with open(machine.disk, "r+b") as disk:
            disk.seek(place["start"])
            disk.write(bytes(place["size"]))

    def is_done(self, machine):
        return machine.slots()["USR-B"].is_bootable


if __name__ == "__main__":
    main()
