# SPDX-License-Identifier: Apache-2.0
"""What the tests of a whole machine share: a lab with two releases and a key, made once for each
class, a machine for each test, and what must hold whenever an update was refused."""
import unittest

from hostile_server import HostileServer
from lab import Lab, program, run
from machine import Machine


def create_payload(output, image, *keys, version="2.0.0", product="demo", min_version=None,
                   frame_size=None, frame_prefix=None):
    """What a release engineer types."""
    more = ["--min-version", min_version] if min_version else []
    more += ["--frame-size", frame_size] if frame_size else []
    more += ["--frame-prefix", frame_prefix] if frame_prefix else []
    for key in keys:
        more += ["--key", key]
    run([program("update-payload"), "create", "--product", product, "--version", version, *more,
         "--output", output, f"USR={image}"])
    return output


class MachineTest(unittest.TestCase):
    slot_mib = 12
    image_mib = 8

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.key, cls.public_key = cls.lab.make_key("release")
        cls.image_a = cls.lab.make_image("a.img", cls.image_mib, seed=1)
        cls.image_b = cls.lab.make_image("b.img", cls.image_mib, seed=2)
        cls.payload = create_payload(cls.lab.folder / "b.payload", cls.image_b, cls.key)
        cls.n_machines = 0

    def machine(self, **more):
        """A machine that runs A from USR-A, trusts the release key and has no server yet."""
        cls = type(self)
        cls.n_machines += 1
        more = {"slot_mib": self.slot_mib, "image": self.image_a, **more}
        machine = Machine(self.lab, f"machine-{cls.n_machines}", **more)
        machine.trust(self.public_key)
        machine.configure(SERVER="disabled")
        machine.running_before = machine.slot_sha256(machine.running)
        self.addCleanup(self._put_away, machine)
        return machine

    def _put_away(self, machine):
        if machine.engine is not None and machine.engine.poll() is None:
            self.assertEqual(machine.stop_engine(), 0, "the daemon's exit status")
        machine.disk.unlink(missing_ok=True)

    def server(self):
        server = HostileServer()
        self.addCleanup(server.close)
        return server

    def assert_holds(self, machine, label, image):
        """The slot holds the image, read from the disk."""
        n_bytes = image.stat().st_size
        with open(image, "rb") as file:
            place = machine.places[label]
            with open(machine.disk, "rb") as disk:
                disk.seek(place["start"])
                for at in range(0, n_bytes, 1 << 20):
                    self.assertEqual(file.read(1 << 20), disk.read(min(1 << 20, n_bytes - at)),
                                     f"{label} differs from {image.name} near {at}")

    def assert_installed(self, machine, image=None, label="USR-B"):
        """The image is in the slot, the slot is next, and the running one is as it was."""
        self.assert_holds(machine, label, image or self.image_b)
        slots = machine.slots()
        other = next(name for name in slots if name != label)
        self.assertEqual((slots[label].tries, slots[label].successful), (3, False))
        self.assertGreater(slots[label].priority, slots[other].priority)
        self.assert_untouched(machine)

    def assert_untouched(self, machine):
        """The running slot has its bytes and can boot; sgdisk accepts the table."""
        self.assertEqual(machine.slot_sha256(machine.running), machine.running_before,
                         "the running slot was written")
        self.assertTrue(machine.slots()[machine.running].is_bootable)
        self.assertEqual(machine.table_problems(), "")

    def assert_refused(self, machine, done, codes=()):
        """A tool said no in one line; the daemon has the code; nothing can boot that should not."""
        self.assertNotEqual(done.returncode, 0, "a refused update must not end with status 0")
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, f"one line was expected on stderr:\n{done.stderr}")
        self.assertGreater(len(lines[0]), 20)
        if codes:
            self.assertIn(machine.number("LastErrorCode"), codes, lines[0])
            self.assertNotEqual(machine.property("LastError"), "")
        target = next(label for label in machine.slots() if label != machine.running)
        self.assertFalse(machine.slots()[target].is_bootable, f"{target} could boot")
        self.assert_untouched(machine)
        return lines[0]
