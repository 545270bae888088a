#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""update.conf: what is wrong is named with file and line, what is unusual but right works, and the
channel is changed without losing a line."""
from lab import OS_NAME, main
from machine_test import MachineTest


class Configuration(MachineTest):
    def complain(self, text, *words):
        """The daemon lives on, names the fault where a person looks, and installs nothing."""
        machine = self.machine()
        machine.update_conf.write_bytes(text if isinstance(text, bytes) else text.encode())
        machine.start_engine()
        self.assertEqual(machine.phase(), "idle")
        line = self.assert_refused(machine, machine.flipside("update", check=False))
        for place in (line, machine.property("LastError"), machine.flipside("status").stdout):
            self.assertIn("update.conf", place)
            for word in words:
                self.assertIn(word, place)

    def warn(self, text, *words, **expected):
        """The daemon goes on with the rest, and names what it left out where a person looks."""
        machine = self.machine()
        machine.update_conf.write_bytes(text if isinstance(text, bytes) else text.encode())
        machine.start_engine()
        for place in (machine.log.read_text(), machine.property("ConfigWarning"),
                      machine.flipside("status").stdout):
            for word in words:
                self.assertIn(word, place)
        self.assertEqual(machine.property("LastError"), "")
        for name, value in expected.items():
            self.assertEqual(machine.property(name), value)
        # Once, however often the file is read.
        machine.call("com.coreos.update1.Flipside.Reload")
        self.assertEqual(machine.log.read_text().count(words[0]), 1)
        done = machine.flipside("--bus", "unix:path=/nonexistent", "--disk", machine.disk, "status")
        self.assertIn(words[0], done.stdout)
        self.last = machine

    def test_unknown_key(self):
        self.warn("SERVER=disabled\nSERVR=http://example.org/\nGROUP=beta\n", "update.conf:2", "SERVR",
                  Channel="beta", Server="")

    def test_line_without_equals_sign(self):
        self.warn("SERVER=disabled\nwhatever\n", "update.conf:2", "KEY=value")

    def test_many_that_are_left_out(self):
        self.warn("SERVER=disabled\n" + "export A=1\n" * 20, "update.conf:2")
        self.assertIn("and 19 more", self.last.property("ConfigWarning"))
        self.assertIn("12 more lines", self.last.log.read_text())

    def test_an_update_beside_what_is_left_out(self):
        machine, server = self.machine(), self.server()
        server.offer(self.payload)
        machine.update_conf.write_text(f"export A=b\nNONSENSE=1\nSERVER='{server.omaha_url}'\n")
        machine.start_engine()
        machine.flipside("update")
        self.assert_installed(machine)

    def test_bad_value(self):
        self.complain("SERVER=disabled\n\nBOOT_TRIES=99\n", ":3", "BOOT_TRIES", "15")

    def test_bad_url(self):
        self.complain("SERVER=gopher://example.org/\n", ":1", "http")

    def test_a_megabyte(self):
        self.complain(b"GROUP=" + b"x" * (1 << 20) + b"\n", "update.conf")

    def test_a_password_that_everybody_can_read(self):
        machine = self.machine()
        machine.configure(SERVER="disabled", DOWNLOAD_USER="u", DOWNLOAD_PASSWORD="geheim")
        machine.update_conf.chmod(0o644)
        machine.start_engine()
        machine.call("com.coreos.update1.Flipside.Reload")
        log = machine.log.read_text()
        self.assertEqual(log.count("can be read by everybody"), 1, log)
        self.assertNotIn("geheim", log)
        machine.update_conf.chmod(0o600)
        machine.stop_engine()
        machine.start_engine()
        self.assertEqual(machine.log.read_text().count("can be read by everybody"), 1)

    def test_no_newline_at_the_end(self):
        machine = self.machine()
        machine.update_conf.write_text("SERVER=disabled\nGROUP=beta")
        machine.start_engine()
        self.assertEqual(machine.property("Channel"), "beta")

    def test_quotes(self):
        machine = self.machine()
        machine.update_conf.write_text("SERVER='disabled'\nGROUP=\"beta\"\n")
        machine.start_engine()
        self.assertEqual(machine.property("Channel"), "beta")

    def test_keys_of_locksmith_are_left_alone(self):
        machine = self.machine()
        machine.update_conf.write_text("REBOOT_STRATEGY=off\nLOCKSMITHD_GROUP=a\nSERVER=disabled\n")
        machine.start_engine()
        self.assertEqual(machine.phase(), "idle")

    def test_channel_is_changed_and_the_rest_stays(self):
        machine = self.machine()
        text = "# mine\nSERVER=disabled\nGROUP=stable\n\n# the end\nREBOOT_STRATEGY=off\n"
        machine.update_conf.write_text(text)
        machine.start_engine()
        machine.flipside("channel", "beta")
        self.assertEqual(machine.update_conf.read_text(), text.replace("stable", "beta"))
        self.assertIn("beta", machine.flipside("channel").stdout)

    def test_channel_without_a_file(self):
        machine = self.machine()
        machine.update_conf.unlink()
        (machine.root / f"usr/share/{OS_NAME}/update.conf").write_text("SERVER=disabled\n")
        machine.start_engine()
        machine.flipside("channel", "beta")
        self.assertEqual(machine.update_conf.read_text().strip(), "GROUP=beta")

    def test_channel_that_cannot_be(self):
        machine = self.machine()
        before = machine.update_conf.read_text()
        machine.start_engine()
        for name in ("", "a b", 'a"b', "x" * 1000, "a\nSERVER=http://evil.example/"):
            with self.subTest(name=name[:20]):
                done = machine.flipside("channel", name, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(machine.update_conf.read_text(), before)

    def test_a_change_that_is_wrong_keeps_the_daemon(self):
        machine = self.machine()
        server = self.server()
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        machine.update_conf.write_text("BOOT_TRIES=none\n")
        done = machine.flipside("update", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("BOOT_TRIES", done.stderr)
        machine.configure(SERVER=server.omaha_url)
        machine.flipside("check", check=False)
        self.assertEqual(len(server.requests) > 0, True)


if __name__ == "__main__":
    main()
