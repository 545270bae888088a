#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What machines without a disk have instead of the daemon."""
import re

from lab import main, program, run
from machine_test import MachineTest


class Stub(MachineTest):
    def check_in(self, machine, check=True):
        return run([program("update_engine_stub"), "--root", machine.root], check=check)

    def test_the_server_hears_of_the_machine(self):
        machine, server = self.machine(), self.server()
        server.offer(self.payload)
        machine.configure(SERVER=server.omaha_url, GROUP="beta", MACHINE_ALIAS='"rack 7"')
        self.assertEqual(self.check_in(machine).stderr, "")
        self.assertEqual(server.events(), [("3", "2", {"previousversion": ""})])
        app = dict(re.findall(r'(\w+)="([^"]*)"',
                              re.search(rb"<app ([^>]*)>", server.requests[0])[1].decode()))
        self.assertEqual((app["version"], app["track"], app["oem"], app["machinealias"]),
                         ("1.0.0", "beta", "diskless", "rack 7"))
        self.assertEqual(app["machineid"], (machine.root / "etc/machine-id").read_text().strip())
        # An answer is not acted on.
        self.assertNotIn(b"updatecheck", server.requests[0])
        self.assertEqual(server.sent, [])

    def test_a_known_oem(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        (machine.root / "usr/share/oem").mkdir(parents=True)
        (machine.root / "usr/share/oem/oem-release").write_text("ID=packet\nVERSION_ID=0.2\n")
        self.check_in(machine)
        self.assertIn(b'oem="packet" oemversion="0.2"', server.requests[0])

    def test_without_a_server(self):
        machine = self.machine()
        machine.configure(SERVER="disabled")
        self.assertIn("no update server", self.check_in(machine).stdout)

    def test_failures(self):
        machine, server = self.machine(), self.server()
        server.answer_status = 503
        for conf, word in ((f"SERVER={server.omaha_url}\n", "503"),
                           ("SERVER=http://127.0.0.1:9/\n", "did not answer"),
                           ("SERVER=nonsense\n", "update.conf:1")):
            machine.update_conf.write_text(conf)
            done = self.check_in(machine, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    main()
