#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program /postinst of a new image below the installed unit and its drop-in: it may do what it
did below update_engine."""
import shutil

import container
from container import BUILD_ROOT
from lab import RUNS_POSTINST, program, run
from nspawn_test import NspawnTest

# What flatcar-postinst does, as far as there is something here to do it with.
SCRIPT = """#!/bin/bash
set -euo pipefail
exec 5>/var/log/postinst
[[ $(dirname "$0")/postinst == "$0" && -e $(dirname "$0")/lib/os-release ]]
echo "device $(stat -c %F "$1")" >&5
mkdir /tmp/postinst-mount
mount -t tmpfs none /tmp/postinst-mount
echo mounted >&5
umount /tmp/postinst-mount
mkdir -p /boot/grub /etc/flatcar/sysext
echo written | tee /boot/grub/new /etc/flatcar/sysext/new >&5
systemctl show -p ActiveState dbus.service >&5
journalctl -b 0 -u update-engine -o cat --no-pager | grep -q postinst
echo "from the script" | tee >(systemd-cat -t coreos-postinst)
unshare -m true
touch /run/reboot-required
slotctl prioritize USR-B
"""


class Postinst(NspawnTest):
    def test_what_it_may_do(self):
        usr = self.userland.root / "usr"
        (usr / "postinst").write_text(SCRIPT)
        (usr / "postinst").chmod(0o755)
        image = self.userland.image("2.0.0")
        (usr / "postinst").unlink()
        host = self.host()
        if not RUNS_POSTINST:
            drop_in = BUILD_ROOT / "systemd-units/update-engine-postinst.conf"
            folder = host.root / "etc/systemd/system/update-engine.service.d"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(drop_in, folder)
        payload = host.root / "root/2.0.0.payload"
        payload.parent.mkdir(exist_ok=True)
        run([program("update-payload"), "create", "--product", "demo", "--version", "2.0.0",
             "--key", self.key, "-o", payload, f"USR={image}"])
        host.boot()
        done = host.run("flipside", "install", "/root/2.0.0.payload", check=False)
        self.assertEqual(done.returncode, 0, done.stderr + host.last_words())
        lines = (host.root / "var/log/postinst").read_text().splitlines()
        self.assertEqual(lines[:4], ["device block special file", "mounted", "written",
                                     "ActiveState=active"])
        self.assertEqual((host.root / "boot/grub/new").read_text(), "written\n")
        self.assertEqual(host.run("ls", "/run/reboot-required").returncode, 0)
        self.assertTrue(host.journal("FLIPSIDE_TASK=postinst"))
        self.assertTrue(host.journal("SYSLOG_IDENTIFIER=coreos-postinst"))
        self.assertTrue(host.slots()["USR-B"].is_bootable)
        self.assertEqual(host.table_problems(), "")
        self.assertEqual(host.run("flipside", "status", "--json").returncode, 0)


if __name__ == "__main__":
    container.main()
