#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An initrd with systemd, by dracut with our module. (The other tests' initrd is the smallest that
does, and README.md's is one of initramfs-tools.)"""
import os

from vm_test import VmTest
from disk_image import SIZES
from distribution import find_tool
from lab import main


class Dracut(VmTest):
    def setUp(self):
        if not find_tool("dracut"):
            self.skipTest("dracut is not installed (tests/install-packages vm)")
        super().setUp()
        self.vm = self.machine(SERVER="disabled")

    def machine(self, **keys):
        self.serve(stable=self.distribution.payload("2.0.0"))
        return super().machine(**keys)

    def image(self, fs):
        path = self.lab.folder / "dracut-slot.img"
        self.distribution.make_image(path, "3.0.0", fs, self.distribution.dracut_initrd(),
                                     SIZES["USR-B"])
        return path

    def test_it_mounts_the_slot(self):
        self.vm.write("USR-B", self.image(self.distribution.usr_image("3.0.0")))
        boot = self.vm.power_on()
        self.see(boot, "flipside: USR-B is started: flipside-test 3.0.0")
        self.see(boot, "flipside: /usr is USR-B (/dev/vda3), verified")
        self.see(boot, "USR-B: priority 2, tries 0, successful")
        boot.wait_until_started()
        self.see_answer(boot, "findmnt /usr && flipside status")
        boot.cut_power()

    def test_what_cannot_be_mounted_restarts_the_machine(self):
        nothing = self.lab.folder / "nothing"
        nothing.write_bytes(os.urandom(1 << 20))
        self.vm.write("USR-B", self.image(nothing))
        self.vm.slotctl("prioritize", "USR-B", "--tries", "1")
        boot = self.vm.power_on()
        self.see(boot, "flipside: USR-B is chosen: priority 2, tries 1")
        self.see(boot, "cannot be mounted as one of")
        self.see_reset(boot)
        self.see_bits(self.vm, "USR-B", 2, 0, False)
        boot = self.vm.power_on()
        self.see(boot, "flipside: /usr is USR-A")
        boot.cut_power()


main()
