# SPDX-License-Identifier: Apache-2.0
"""What the stories share: a distribution, an update server, a machine, and notes of what was seen,
which go into the test's output as they happen."""
import os
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from distribution import Distribution, Missing  # noqa: E402
from lab import Lab  # noqa: E402
from server import UpdateServer  # noqa: E402
from virtual_machine import VirtualMachine  # noqa: E402

STARTED, FINISHED, COMPLETE = 13, 14, 3
FAILED, DONE, REBOOTED = 0, 1, 2
DID_NOT_BOOT = 44


class VmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.distribution = Distribution()
        except Missing as reason:
            raise unittest.SkipTest(str(reason)) from None

    def setUp(self):
        self.started = time.monotonic()
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.server = UpdateServer(self.lab)

    def serve(self, **channels):
        """Channel -> the payload of its release, or several, the last of which it points at."""
        for channel, payload in channels.items():
            self.server.add_release(channel, payload)
        if not self.server.process:
            self.server.start()

    def machine(self, version="1.0.0", sector=512, **keys):
        """Runs that version from USR-A; it asks the server for an update as soon as it is up."""
        machine = VirtualMachine(self.lab, self.distribution, version, sector=sector)
        keys = {"SERVER": self.server.machine_url, "FIRST_CHECK": 1, "POLL_INTERVAL": 60, **keys}
        machine.configure(**keys)
        return machine

    # What was seen.

    def note(self, text):
        for line in filter(str.strip, text.splitlines()):
            print(f"# {time.monotonic() - self.started:5.1f} s  {line}", flush=True)

    def see(self, boot, words, **more):
        """Waits for these words on the serial line, and notes the line."""
        line = boot.wait_for_line(words, **more)
        self.note(line)
        return line

    def see_at_terminal(self, boot, words):
        """Waits for these words on the second serial line, where a person is logged in."""
        def line():
            text = boot.terminal.read_text(errors="replace")
            return next((line for line in text.splitlines() if words in line), None)
        self.note(boot.wait(f"'{words}' at the terminal", line))

    def see_event(self, boot, kind, result, **attributes):
        """Waits until the server has received an event."""
        boot.wait(f"event {kind}/{result} {attributes}",
                  lambda: self.server.has_event(kind, result, **attributes))
        more = "".join(f" {key}={value}" for key, value in attributes.items())
        self.note(f"server: received event {kind}/{result}{more}")

    def see_in_journal(self, boot, unit, words):
        """Waits until the unit has said this, and notes the line."""
        line = boot.wait(f"'{words}' from {unit}", lambda: next(
            (line for line in boot.tell(f"journalctl -b -o cat -u {unit}").splitlines()
             if words in line), None))
        self.note(f"{unit}: {line}")

    def see_answer(self, boot, command, status=0):
        """Types a command, notes what it says and checks its exit status."""
        answer = boot.ask(command)
        self.note(f"$ {command}\n{answer.text}")
        self.assertEqual(answer.status, status, answer.text)
        return answer.text

    def see_reset(self, boot):
        boot.wait_for_end("reset")
        self.note("the machine has reset itself")

    def see_bits(self, machine, label, priority, tries, successful):
        """The slot's bits on the disk of a machine that is off."""
        self.assertEqual(machine.bits(label), (priority, tries, successful))
        self.note(f"disk: {label} priority {priority}, tries {tries}, "
                  f"{'successful' if successful else 'not successful'}")
