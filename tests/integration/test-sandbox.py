#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemons' units: systemd understands them, they leave the daemons little, and that is enough."""
import os
import re
import shutil
import unittest

from host_test import HostTest
from lab import BUILD_ROOT, RUNS_POSTINST, SOURCE_ROOT, main, program, run
from machine_test import MachineTest

EXPOSURE_MAX = 25  # of 100, as systemd-analyze counts
LOCKSMITHD_EXPOSURE_MAX = 45  # its hooks are the administrator's programs


def unit_text(name="update-engine"):
    return (BUILD_ROOT / f"systemd-units/{name}.service").read_text()


def limited(unit):
    """Runs a command with the capabilities that the unit leaves."""
    names = re.search(r"^CapabilityBoundingSet=(.*)$", unit_text(unit), re.MULTILINE)[1].split()
    left = ",".join("+" + name.removeprefix("CAP_").lower() for name in names)
    return ["setpriv", f"--bounding-set=-all,{left}", "--inh-caps=-all", "--no-new-privs"]


class Sandbox(MachineTest):
    def unit(self, name="update-engine", tool="update-engine"):
        """The unit with the build's own program."""
        path = self.lab.folder / f"{name}.service"
        path.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={program(tool)}", unit_text(name)))
        return path

    def understands(self, *units):
        done = run(["systemd-analyze", "verify", "--man=no", *units], check=False)
        self.assertEqual((done.returncode, done.stderr.strip()), (0, ""))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_understands_the_units(self):
        for unit in (self.unit(), self.unit("slot-mark-good", "slotctl"),
                     self.unit("locksmithd", "locksmithd")):
            self.understands(unit)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_understands_the_unit_with_postinst(self):
        unit = self.unit()
        drop_in = self.lab.folder / "update-engine.service.d/50-postinst.conf"
        drop_in.parent.mkdir(exist_ok=True)
        text = (BUILD_ROOT / "systemd-units/update-engine-postinst.conf").read_text()
        drop_in.write_text(re.sub(r"ExecStart=/\S+", f"ExecStart={program('update-engine')}", text))
        self.addCleanup(shutil.rmtree, drop_in.parent)
        self.understands(unit)
        # Whatever the unit restricts, the drop-in has a word on.
        keys = set(re.findall(r"^(Restrict\w+|Protect\w+|SystemCallFilter|CapabilityBoundingSet|"
                              r"DevicePolicy|NoNewPrivileges|MemoryDenyWriteExecute)=",
                              unit.read_text(), re.MULTILINE))
        left = {"RestrictRealtime"}
        self.assertEqual(keys - set(re.findall(r"^(\w+)=", text, re.MULTILINE)), left)
        self.assertEqual("--postinst yes" in text, not RUNS_POSTINST)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_understands_what_belongs_to_a_boot(self):
        folder = SOURCE_ROOT / "systemd-units"
        timer = self.lab.folder / "slot-deadline.timer"
        shutil.copy(folder / "slot-deadline.timer", timer)
        self.understands(self.unit("slot-deadline", "slotctl"), timer)
        timer = self.lab.folder / "update-engine-stub.timer"
        shutil.copy(folder / "update-engine-stub.timer", timer)
        self.understands(self.unit("update-engine-stub", "update_engine_stub"), timer)
        # A check that looks at all that multi-user.target starts, and the unit that waits for it.
        self.understands(folder / "examples/health-check.service",
                         self.unit("slot-mark-good", "slotctl"))
        in_initrd = self.lab.folder / "flipside-usr.service"
        text = (BUILD_ROOT / "systemd-units/initrd/flipside-usr.service").read_text()
        in_initrd.write_text(re.sub(r"ExecStart=\S+",
                                    f"ExecStart={folder}/initrd/mount-usr", text))
        self.understands(in_initrd)
        softdog = self.lab.folder / "flipside-softdog.service"
        softdog.write_text((folder / "flipside-softdog.service").read_text().replace(
            "ExecStart=modprobe", "ExecStart=echo"))
        self.understands(softdog)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_the_unit_leaves_little(self):
        for unit, most in ((self.unit(), EXPOSURE_MAX),
                           (self.unit("update-engine-stub", "update_engine_stub"), EXPOSURE_MAX),
                           (self.unit("locksmithd", "locksmithd"), LOCKSMITHD_EXPOSURE_MAX)):
            done = run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                        f"--threshold={most}", unit], check=False)
            if "unrecognized option" in done.stderr:
                self.skipTest("this systemd-analyze knows no offline analysis")
            self.assertEqual(done.returncode, 0, done.stdout)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_an_update_with_the_units_capabilities(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.payload)
        machine.start_engine(command=[*limited("update-engine"), *machine.engine_command()])
        machine.flipside("update")
        self.assert_installed(machine)
        machine.flipside("rollback")
        self.assert_untouched(machine)


class LocksmithdSandbox(HostTest):
    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_a_reboot_with_the_units_capabilities(self):
        host = self.host(prefix=limited("locksmithd"))
        self.hook(host, "pre-reboot", "10-note", "")
        host.offer_update()
        self.wait_rebooted(host)
        self.assertEqual(self.hooks_run(host), ["pre-reboot reboot 2.0.0 update-engine"])


if __name__ == "__main__":
    main()
