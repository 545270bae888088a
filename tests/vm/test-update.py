#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job on a whole machine: an update is found, installed and booted, and declared good."""
from vm_test import COMPLETE, DONE, FINISHED, REBOOTED, STARTED, VmTest
from lab import main

# A person at the second serial line, as logind and locksmithd see one.
LOG_IN = ("systemd-run --quiet --unit=operator --property=PAMName=login --property=TTYPath=/dev/ttyS1 "
          "--property=StandardInput=tty --property=User=root sleep infinity")


class Update(VmTest):
    def test_by_itself_from_the_check_to_a_slot_marked_good(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(LOCKSMITHD_LOGIN_GRACE="10s", FIRST_CHECK=3)
        boot = machine.power_on()
        self.see(boot, "flipside: USR-A is chosen: priority 1, successful")
        self.see(boot, "flipside: USR-A is started: flipside-test 1.0.0")
        self.see(boot, "flipside: /usr is USR-A (/dev/vda2), verified")
        boot.wait_until_up()
        boot.tell(LOG_IN)
        self.see_event(boot, STARTED, DONE)
        self.see_answer(boot, "flipside status")  # while it installs
        self.see_event(boot, FINISHED, DONE)
        self.see_event(boot, COMPLETE, DONE)
        self.see(boot, "best-effort")
        self.see_at_terminal(boot, "flipside reboots in 10s into version 2.0.0")
        self.see_reset(boot)
        self.see_bits(machine, "USR-B", 2, 3, False)

        boot = machine.power_on()
        self.see(boot, "flipside: USR-B is chosen: priority 2, tries 3, of which one is spent now")
        self.see(boot, "flipside: USR-B is started: flipside-test 2.0.0")
        self.see(boot, "flipside: /usr is USR-B (/dev/vda3), verified")
        self.see(boot, "USR-B: priority 2, tries 0, successful")
        self.see_event(boot, COMPLETE, REBOOTED, previousversion="1.0.0")
        boot.wait_until_up()
        self.see_answer(boot, "flipside status && slotctl status")
        boot.cut_power()
        self.see_bits(machine, "USR-B", 2, 0, True)
        self.assertEqual(machine.table_problems(), "")


class LargeSectors(VmTest):
    def test_a_disk_with_sectors_of_4096_bytes(self):
        self.serve(stable=self.distribution.payload("2.0.0"))
        machine = self.machine(sector=4096)
        boot = machine.power_on()
        self.see(boot, "flipside: /usr is USR-A")
        self.see_event(boot, COMPLETE, DONE)
        self.see_reset(boot)
        self.see_bits(machine, "USR-B", 2, 3, False)

        boot = machine.power_on()
        self.see(boot, "flipside: USR-B is chosen: priority 2, tries 3")
        self.see(boot, "flipside: /usr is USR-B")
        self.see(boot, "USR-B: priority 2, tries 0, successful")
        boot.wait_until_up()
        self.see_answer(boot, "cat /sys/block/vda/queue/logical_block_size && slotctl verify USR-B")
        boot.cut_power()
        self.assertEqual(machine.table_problems(), "")


main()
