#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon's unit: systemd understands it, it leaves the daemon little, and that is enough."""
import os
import re
import shutil
import unittest

from lab import BUILD_ROOT, main, program, run
from machine_test import MachineTest

EXPOSURE_MAX = 25  # of 100, as systemd-analyze counts


def unit_text(name="update-engine"):
    return (BUILD_ROOT / f"systemd-units/{name}.service").read_text()


class Sandbox(MachineTest):
    def unit(self, name="update-engine", tool="update-engine"):
        """The unit with the build's own program."""
        path = self.lab.folder / f"{name}.service"
        path.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={program(tool)}", unit_text(name)))
        return path

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_understands_the_units(self):
        for unit in self.unit(), self.unit("slot-mark-good", "slotctl"):
            done = run(["systemd-analyze", "verify", "--man=no", unit], check=False)
            self.assertEqual((done.returncode, done.stderr.strip()), (0, ""))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_the_unit_leaves_little(self):
        done = run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                    f"--threshold={EXPOSURE_MAX}", self.unit()], check=False)
        if "unrecognized option" in done.stderr:
            self.skipTest("this systemd-analyze knows no offline analysis")
        self.assertEqual(done.returncode, 0, done.stdout)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_an_update_with_the_units_capabilities(self):
        names = re.search(r"^CapabilityBoundingSet=(.*)$", unit_text(), re.MULTILINE)[1].split()
        left = ",".join("+" + name.removeprefix("CAP_").lower() for name in names)
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.payload)
        machine.start_engine(command=["setpriv", f"--bounding-set=-all,{left}", "--inh-caps=-all",
                                      "--no-new-privs", *machine.engine_command()])
        machine.flipside("update")
        self.assert_installed(machine)
        machine.flipside("rollback")
        self.assert_untouched(machine)


if __name__ == "__main__":
    main()
