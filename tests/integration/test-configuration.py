#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""update.conf: what is wrong is named with file and line, what is unusual but right works, and the
channel is changed without losing a line."""
import re
import shutil

from lab import OS_NAME, main, wait_for
from machine_test import MachineTest, create_payload


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

    def test_a_machine_that_was_made_for_update_engine(self):
        """Its files, names and quotes, and its key at the one place that update_engine knows."""
        machine, server = self.machine(product=OS_NAME), self.server()
        payload = create_payload(self.lab.folder / "os.payload", self.image_b, self.key,
                                 product=OS_NAME)
        server.offer(payload)
        shutil.rmtree(machine.keys)
        shutil.copy(self.public_key, machine.keys.parent / "update-payload-key.pub.pem")
        upper = OS_NAME.upper()
        share = machine.root / f"usr/share/{OS_NAME}"
        (share / "release").write_text(
            f"{upper}_RELEASE_VERSION=1.0.0\n{upper}_RELEASE_BOARD=arm64-usr\n"
            f"{upper}_RELEASE_APPID={{11111111-2222-3333-4444-555555555555}}\n")
        (share / "update.conf").write_text("SERVER=https://other.invalid/\nGROUP=lts\n")
        machine.update_conf.write_text(
            f"SERVER={server.omaha_url}\nMACHINE_ALIAS=\"db 1\"\nREBOOT_STRATEGY='off'\n")
        for place, name in (("etc", "azure"), ("usr/share/oem", "other")):
            (machine.root / place).mkdir(parents=True, exist_ok=True)
            (machine.root / place / "oem-release").write_text(f"ID={name}\nVERSION_ID=\"2.9\"\n")
        server.answer = server.answer.replace(b"e96281a6-d1af-4bde-9a0a-97b76e56dc57",
                                              b"11111111-2222-3333-4444-555555555555")
        machine.start_engine()
        machine.flipside("update")
        self.assert_installed(machine)
        self.assertNotIn("left out", machine.log.read_text())
        app = dict(re.findall(r'(\w+)="([^"]*)"',
                              re.search(rb"<app ([^>]*)>", server.requests[0])[1].decode()))
        boot_id = (machine.root / "proc/sys/kernel/random/boot_id").read_text().strip()
        self.assertEqual(app, {
            "appid": "{11111111-2222-3333-4444-555555555555}", "version": "1.0.0",
            "track": "lts", "bootid": f"{{{boot_id}}}", "oem": "azure", "oemversion": "2.9",
            "alephversion": "1.0.0", "machinealias": "db 1", "lang": "en-US",
            "machineid": (machine.root / "etc/machine-id").read_text().strip(),
            "board": "arm64-usr", "hardware_class": "", "delta_okay": "false"})
        machine.update_conf.write_text("SERVER=disabled\n")
        n_requests = len(server.requests)
        self.assertNotEqual(machine.flipside("check", check=False).returncode, 0)
        self.assertEqual(len(server.requests), n_requests)

    def test_a_developer_is_left_alone(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        server.offer(self.payload)
        (machine.root / "root").mkdir()
        (machine.root / "root/.dev_mode").touch()
        machine.start_engine()
        wait_for("the first check to be left out",
                 lambda: "/root/.dev_mode" in machine.log.read_text(), logs=[machine.log])
        self.assertEqual(server.requests, [])
        machine.flipside("update")
        self.assert_installed(machine)

    def test_a_proxy_of_the_environment(self):
        machine, proxy = self.machine(), self.server()
        machine.configure(SERVER="http://updates.example.invalid/v1/update/")
        proxy.offer(self.payload, urls="http://payloads.example.invalid/")
        for name in ("http_proxy", "ALL_PROXY"):
            machine.start_engine(command=["env", f"{name}=http://127.0.0.1:{proxy.port}",
                                          *machine.engine_command()])
            machine.flipside("update")
            self.assert_installed(machine)
            machine.flipside("rollback")
            machine.stop_engine()
        machine.start_engine(command=["env", f"http_proxy=http://127.0.0.1:{proxy.port}",
                                      "NO_PROXY=.invalid", *machine.engine_command()])
        self.assertNotEqual(machine.flipside("update", check=False).returncode, 0)

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
