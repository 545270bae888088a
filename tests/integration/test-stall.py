#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that stalls: every wait has an end. A file of its own, for the daemon waits a minute."""
from lab import main
from machine_test import MachineTest

TRANSFER = 9


class Stall(MachineTest):
    def test_a_download_that_stalls_ends(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        server.offer(self.payload)

        def stall(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(self.payload.stat().st_size))
            handler.end_headers()
            handler.wfile.write(self.payload.read_bytes()[:1 << 20])
            server.is_closing.wait()
        server.get = stall
        machine.start_engine()
        done = machine.flipside("update", check=False, seconds=200)
        self.assert_refused(machine, done, [TRANSFER])


if __name__ == "__main__":
    main()
