#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""README.md's page "How a machine is made", done as it stands there: by its own commands, with
Debian's kernel, userland and initramfs-tools, down to the machine that updates itself."""
import os
import re
import unittest
from pathlib import Path

from vm_test import COMPLETE, DONE, FINISHED, REBOOTED, STARTED
import gpt_image
from distribution import find_tool
from lab import BUILD_ROOT, OS_NAME, SOURCE_ROOT, Lab, main, program, run, tail, wait_for
from omaha import OmahaServer
from qemu import BOOT_SECONDS
from readme import commands
from server import free_port

PAGE = "How a machine is made"
PROGRAMS = ("update-payload", "slotctl", "omaha-server")


class Readme(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a userland can be made by root only")
        if not find_tool("mmdebstrap") or not Path("/usr/share/ovmf/OVMF.fd").exists():
            self.skipTest("mmdebstrap or OVMF is not installed (tests/install-packages machine)")
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.work = self.lab.folder / "machine"
        self.work.mkdir()
        self.port = free_port()
        clone = self.lab.folder / "clone"
        clone.mkdir()
        (clone / "build").symlink_to(BUILD_ROOT)
        (clone / "tests").symlink_to(SOURCE_ROOT / "tests")
        paths = [str(Path(program(name)).parent) for name in PROGRAMS]
        self.environment = {**os.environ, "FLIPSIDE": str(clone),
                            "PATH": ":".join([*paths, os.environ["PATH"], "/usr/sbin:/sbin"])}

    def type_in(self, script, **more):
        """What a person types, but for the port, which may be taken here."""
        return ["bash", "-euc", script.replace(":8080", f":{self.port}")], {
            "cwd": self.work, "env": self.environment, **more}

    def run_blocks(self, blocks):
        """All that ends; the server is left running, as a child of ours."""
        *rest, server = "".join(blocks).rstrip().splitlines()
        self.assertTrue(server.startswith("omaha-server serve") and server.endswith("&"), server)
        args, more = self.type_in("\n".join(rest))
        done = run(args, check=False, seconds=600, **more)
        if done.returncode != 0 and "mmdebstrap" in done.stderr and not (
                self.work / "tree/usr/share/coreos").exists():
            self.skipTest("no mirror of Debian can be reached: " + done.stderr.splitlines()[-1])
        self.assertEqual(done.returncode, 0, done.stdout[-1500:] + done.stderr[-1500:])
        report = self.lab.folder / "report"
        args, more = self.type_in(f"exec {server.rstrip('& ')} --report {report}")
        self.lab.start(args, self.lab.folder / "server.log", **more)
        server = OmahaServer(self.lab)
        server.report = report
        return server

    @unittest.skipUnless(OS_NAME == "coreos", "the page is about the default build")
    def test_the_page(self):
        *blocks, machine = commands(PAGE)
        server = self.run_blocks(blocks)
        console = self.lab.folder / "console"
        args, more = self.type_in("exec " + machine)
        qemu = self.lab.start(args, console, **more)

        def see(words):
            def line():
                self.assertIsNone(qemu.poll(), tail(console))
                text = re.sub(r"\x1b\[[0-9;=?]*[a-zA-Z]", "",
                              console.read_bytes().decode(errors="replace"))
                return next((line.strip() for line in text.splitlines() if words in line), None)
            print("#", wait_for(f"'{words}' on the console", line, BOOT_SECONDS, [console]),
                  flush=True)

        def see_event(kind, result, **attributes):
            wait_for(f"event {kind}/{result}", lambda: any(
                (event["type"], event["result"]) == (kind, result)
                and attributes.items() <= event.items() for event in server.events()),
                BOOT_SECONDS, [console])
            print(f"# server: received event {kind}/{result} {attributes or ''}", flush=True)

        see("flipside: USR-A is started: demo 1.0.0")
        see("flipside: /usr is USR-A (/dev/vda2), verified")
        see(" login:")
        for kind in (STARTED, FINISHED, COMPLETE):
            see_event(kind, DONE)
        see("flipside: USR-B is started: demo 2.0.0")
        see("flipside: /usr is USR-B (/dev/vda3), verified")
        see_event(COMPLETE, REBOOTED, previousversion="1.0.0")
        disk = self.work / "disk.img"
        good = gpt_image.attributes(2, 0, True)
        wait_for("the slot to be good", lambda: good == gpt_image.read_attributes(disk)["USR-B"],
                 BOOT_SECONDS, [console])
        qemu.kill()
        qemu.wait()
        shown = run([program("slotctl"), "--disk", disk, "verify", "USR-B"]).stdout
        print("#", shown.strip().splitlines()[-1])
        self.assertIn("USR-B holds demo 2.0.0 whole", shown)


main()
