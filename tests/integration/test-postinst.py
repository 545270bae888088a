#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program /postinst of a new image: what it is given, how its end is judged, that it cannot
stay, and that the table is right whatever it did to it. Needs root, for mounts and namespaces."""
import json
import os
import shutil
import time
import unittest
import urllib.request

import payload_v1 as book
from lab import OS_NAME, RUNS_POSTINST, main, program, run, wait_for
from machine_test import MachineTest

GENERIC, POSTINST, FIRMWARE, CANCELLED = 1, 5, 19, 48
KERNEL = b"the kernel of the new system" * 99
PROXIES = {"HTTPS_PROXY": "http://proxy.invalid:1", "no_proxy": "localhost",
           "LD_LIBRARY_PATH": "/nowhere"}


def make_image(path, tree, kind, size_mib):
    if kind == "erofs":
        run(["mkfs.erofs", path, tree])
    elif kind == "squashfs":
        run(["mksquashfs", tree, path, "-noappend", "-quiet", "-no-progress"])
    elif kind == "btrfs":
        path.unlink(missing_ok=True)
        run(["truncate", "-s", f"{size_mib}M", path])
        run(["mkfs.btrfs", "-q", "-M", "-m", "single", "-d", "single", "-r", tree, path])
    else:
        path.unlink(missing_ok=True)
        run([f"mkfs.{kind}", "-q", "-d", tree, path, f"{size_mib}M"])
    content = path.read_bytes()
    path.write_bytes(content + bytes(-len(content) % 4096))
    return path


@unittest.skipUnless(os.geteuid() == 0, "mounts and namespaces need root")
class PostinstTest(MachineTest):
    """Images are made of a script each; it finds what it may touch in $T."""

    def machine(self, image=None, **more):
        machine = super().machine(**more, **({"image": image} if image else {}))
        machine.runs_postinst = True
        machine.boot = machine.root / f"boot/{OS_NAME}"
        machine.boot.mkdir(parents=True)
        machine.tmp = machine.folder / "t"
        machine.tmp.mkdir()
        return machine

    def script(self, machine, text):
        return f"#!/bin/bash\nT={machine.tmp}\n{text}\n"

    def make(self, machine, text, kind="ext4", size_mib=4, kernel=None, more=(), mode=0o755):
        """A payload whose image holds the script; None: none."""
        tree = machine.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        (tree / "marker").write_text("the new system")
        if text is not None:
            (tree / "postinst").write_text(self.script(machine, text))
            (tree / "postinst").chmod(mode)
        machine.image = make_image(machine.folder / "new.img", tree, kind, size_mib)
        procedures = [book.Procedure(book.KERNEL, kernel)] if kernel else []
        return book.Payload(machine.image.read_bytes(), procedures=[*procedures, *more]).write(
            machine.folder / "new.payload", self.key)

    def flip(self, machine):
        """What cgpt does for the real program."""
        slotctl = f"{program('slotctl')} --disk {machine.disk}"
        return f"{slotctl} prioritize USR-B && {slotctl} next >&2"

    def install(self, machine, path, check=True, more=(), **start):
        if machine.engine is None:
            machine.start_engine(command=[*machine.engine_command(), *more], **start)
        return machine.flipside("install", path, check=check)

    def assert_done(self, machine):
        self.assert_installed(machine, machine.image)
        self.assert_nothing_stays(machine)

    def assert_failed(self, machine, done, code):
        line = self.assert_refused(machine, done, [code])
        slot = machine.slots()["USR-B"]
        self.assertEqual(slot, (0, 0, False))
        self.assert_nothing_stays(machine)
        return line

    def assert_nothing_stays(self, machine):
        """No mount, no loop device, no process."""
        def stays():
            left = [line for pid in os.listdir("/proc") if pid.isdigit()
                    for line in self.mounts_of(pid) if str(machine.state) in line]
            loops = json.loads(run(["losetup", "--json", "--list"]).stdout or '{"loopdevices":[]}')
            left += [loop for loop in loops["loopdevices"]
                     if loop["back-file"].startswith(str(machine.disk))]
            return left
        wait_for("mounts and loop devices to go", lambda: not stays(), seconds=20)
        for file in machine.tmp.glob("*.pid"):
            self.assertFalse(os.path.exists(f"/proc/{file.read_text().strip()}"), file.name)

    @staticmethod
    def mounts_of(pid):
        try:
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
                return file.readlines()
        except OSError:
            return []

    def wait_for_file(self, machine, name):
        wait_for(name, lambda: (machine.tmp / name).exists(), logs=[machine.log])


# A process of the script's writes the id that the host knows it by.
HOST_PID = 'sh -c \'read pid rest </proc/self/stat; echo $pid >"$1"; exec sleep 600\' sh'


class Contract(PostinstTest):
    def test_what_it_is_given(self):
        machine = self.machine()
        text = """
            printf '%s\\n' "$0" "$@" >$T/words
            { pwd; umask; readlink /proc/self/fd/0; } >$T/state
            env >$T/env; ls -la /proc/self/fd >$T/fds; cat "$(dirname "$0")/marker" >$T/marker
            head -c 4096 "$1" | tail -c +1025 | sha256sum >$T/device; grep postinst /proc/self/mounts >$T/mounts
            stat -c %s "${2#KERNEL=}" >$T/kernel
            echo out; echo err >&2; touch "$(dirname "$0")/written" && touch $T/written"""
        text += "\nexit 0"
        path = self.make(machine, text, kernel=KERNEL,
                         more=[book.Procedure(book.PCR_POLICY, b"a zip file")])
        environment = {**machine.environment(), **PROXIES, "SECRET": "1"}
        machine.engine = self.lab.start(machine.engine_command(), machine.log, env=environment)
        machine.comes_up()
        self.install(machine, path)
        self.assert_done(machine)
        read = {file.name: file.read_text().splitlines() for file in machine.tmp.iterdir()}
        words = read["words"]
        self.assertEqual(words[0], f"{machine.state}/postinst/postinst")
        self.assertRegex(words[1], "^/dev/loop[0-9]+$")
        self.assertEqual(words[2:], [f"KERNEL={machine.boot}/vmlinuz-b"])
        self.assertEqual(read["kernel"], [str(len(KERNEL))])
        self.assertEqual(read["marker"], ["the new system"])
        self.assertEqual(read["state"], ["/", "0022", "/dev/null"])
        names = {line.split("=")[0] for line in read["env"]}
        self.assertEqual(names - {"PWD", "SHLVL", "_"}, {"PATH", *PROXIES})
        self.assertRegex(read["mounts"][0], " ext4 ro,nosuid,nodev,")
        self.assertNotIn("written", read)
        self.assertNotIn(str(machine.state), "".join(read["fds"]))
        log = machine.log.read_text()
        for line in "postinst: out", "postinst: err":
            self.assertIn(line, log)

    def test_every_kind_of_file_system(self):
        for kind, size in {"ext2": 4, "squashfs": 0, "erofs": 0, "btrfs": 20}.items():
            with self.subTest(kind=kind):
                machine = self.machine(slot_mib=24)
                self.install(machine, self.make(machine, "touch $T/ran", kind, size))
                self.assertTrue((machine.tmp / "ran").exists())
                self.assert_done(machine)

    def test_its_own_btrfs_that_is_mounted_already(self):
        """The same image again: a btrfs before Linux 6.7 mounts none of an identity that is mounted,
        and then the running system's program is taken, which is not there on a machine for tests."""
        machine = self.machine(slot_mib=24)
        path = self.make(machine, "touch $T/ran", "btrfs", 20)
        twin = machine.folder / "twin.img"
        shutil.copy(machine.image, twin)
        mounted = machine.folder / "mounted"
        mounted.mkdir()
        run(["mount", "-o", "loop,ro", twin, mounted])
        self.addCleanup(run, ["umount", mounted])
        done = self.install(machine, path, check=False)
        if (machine.tmp / "ran").exists():
            self.assert_done(machine)
        else:
            self.assertIn("no program /postinst", self.assert_failed(machine, done, POSTINST))

    def test_exit_statuses(self):
        for text, code, words in (("exit 1", POSTINST, "exit status 1"),
                                  ("exit 3", FIRMWARE, "exit status 3"),
                                  ("echo disk is full >&2; exit 43", POSTINST, "43: disk is full"),
                                  ("kill -SEGV $$", POSTINST, "signal 11")):
            with self.subTest(text):
                machine = self.machine()
                done = self.install(machine, self.make(machine, text), check=False)
                self.assertIn(words, self.assert_failed(machine, done, code))

    def test_no_program(self):
        machine = self.machine()
        done = self.install(machine, self.make(machine, None), check=False)
        self.assertIn("--postinst no", self.assert_failed(machine, done, POSTINST))

    def test_a_program_that_may_not_be_run(self):
        machine = self.machine()
        done = self.install(machine, self.make(machine, "exit 0", mode=0o644), check=False)
        self.assertIn("Permission denied", self.assert_failed(machine, done, POSTINST))

    def test_no_file_system(self):
        machine = self.machine()
        done = self.install(machine, self.payload, check=False)
        self.assertIn("nothing known", self.assert_failed(machine, done, POSTINST))

    def test_off(self):
        machine = self.machine()
        machine.runs_postinst = False
        self.install(machine, self.make(machine, "touch $T/ran; exit 1"))
        self.assert_done(machine)
        self.assertFalse((machine.tmp / "ran").exists())

    def test_the_builds_default(self):
        done = run([program("update-engine"), "--help"])
        self.assertRegex(done.stdout, rf"before the flip \(default:\s+"
                                      rf"{'yes' if RUNS_POSTINST else 'no'}\)")

    def test_not_before_all_is_verified(self):
        """A signature of another key, and an image that is not the one that was signed."""
        machine = self.machine()
        key, _ = self.lab.make_key("other")
        path = self.make(machine, "touch $T/ran")
        payload = book.Payload(machine.image.read_bytes(), sha256=bytes(32))
        for bad in (payload.write(path, self.key),
                    book.Payload(machine.image.read_bytes()).write(path, key)):
            done = self.install(machine, bad, check=False)
            self.assert_refused(machine, done)
        self.assertFalse((machine.tmp / "ran").exists())

    def test_output_without_end(self):
        machine = self.machine()
        text = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\033[31mb\\n'; printf last"
        self.install(machine, self.make(machine, text))
        lines = [line for line in machine.log.read_text(errors="replace").splitlines()
                 if "postinst: " in line]
        self.assertLess(max(map(len, lines)), 1200)
        self.assertTrue(any("a?[31mb" in line for line in lines))
        self.assertTrue(lines[-1].endswith("postinst: last"))


class Ends(PostinstTest):
    def test_its_time_is_limited(self):
        machine = self.machine()
        path = self.make(machine, f"echo waiting; {HOST_PID} $T/a.pid & {HOST_PID} $T/b.pid")
        started = time.monotonic()
        done = self.install(machine, path, check=False, more=["--postinst-limit", "1"])
        self.assertLess(time.monotonic() - started, 15)
        self.assertIn("after 1 s", self.assert_failed(machine, done, POSTINST))

    def test_what_it_leaves_running_is_ended(self):
        machine = self.machine()
        path = self.make(machine, f"setsid {HOST_PID} $T/a.pid & "
                                  "while [ ! -s $T/a.pid ]; do sleep .05; done; echo done")
        self.install(machine, path)
        self.assertTrue((machine.tmp / "a.pid").exists())
        self.assert_done(machine)

    def begin(self, machine, text, **more):
        """Installs a payload whose script waits after it has done this."""
        path = self.make(machine, f"[ -e $T/again ] && exit 0\n{text}\n"
                                  f"touch $T/here; {HOST_PID} $T/a.pid", **more)
        machine.configure(SERVER="disabled", FIRST_CHECK=0)
        machine.start_engine()
        machine.call("com.coreos.update1.Flipside.Install", f"string:{path}")
        self.wait_for_file(machine, "here")
        wait_for("its child", lambda: (machine.tmp / "a.pid").exists()
                 and (machine.tmp / "a.pid").read_text().endswith("\n"))

    def test_cancelled(self):
        machine = self.machine()
        self.begin(machine, self.flip(machine))
        self.assertEqual(machine.phase(), "verifying")  # and the loop answers
        self.assertTrue(machine.slots()["USR-B"].is_bootable)
        machine.flipside("cancel")
        self.assertEqual(machine.slots()["USR-B"], (0, 0, False))
        self.assert_nothing_stays(machine)
        self.assertEqual(machine.phase(), "idle")

    def test_the_daemon_stops_meanwhile(self):
        machine = self.machine()
        self.begin(machine, self.flip(machine), kernel=KERNEL)
        self.assertEqual(machine.stop_engine(), 0)
        self.assertEqual(machine.slots()["USR-B"], (0, 0, False))
        self.assert_nothing_stays(machine)
        self.go_on(machine)

    def test_the_daemon_is_killed_meanwhile(self):
        machine = self.machine()
        self.begin(machine, self.flip(machine), kernel=KERNEL)
        machine.kill_engine()
        self.assert_nothing_stays(machine)
        self.assertTrue(machine.slots()["USR-B"].is_bootable)
        self.go_on(machine)

    def go_on(self, machine):
        """The next start ends it, without another download, and reports one success."""
        (machine.tmp / "again").touch()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_done(machine)
        self.assertEqual((machine.boot / "vmlinuz-b").read_bytes(), KERNEL)
        lines = (machine.state / "history.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line)["result"] for line in lines], ["done"])

    def test_killed_and_the_source_is_gone(self):
        """Then there is nothing to go on with, and the slot must not boot."""
        machine = self.machine()
        self.begin(machine, self.flip(machine))
        machine.kill_engine()
        (machine.folder / "new.payload").unlink()
        machine.start_engine()
        wait_for("the bits to be taken back",
                 lambda: machine.slots()["USR-B"] == (0, 0, False), logs=[machine.log])
        wait_for("the install to fail", lambda: machine.number("LastErrorCode") != 0)
        self.assertEqual(machine.phase(), "idle")

    def test_power_goes_after_its_flip(self):
        """The machine comes up in the new slot, and the daemon knows what that is."""
        machine = self.machine()
        self.begin(machine, self.flip(machine))
        machine.kill_engine()
        machine.versions["USR-B"] = "2.0.0"
        self.assertEqual(machine.reboot(), "USR-B")
        machine.slotctl("mark-good", "USR-B")
        machine.start_engine()
        self.assertEqual(machine.phase(), "idle")
        self.assertIn("has booted from USR-B", machine.log.read_text())
        self.assertTrue(machine.slots()["USR-A"].is_bootable)


class Flips(PostinstTest):
    def test_it_flips(self):
        machine = self.machine()
        self.install(machine, self.make(machine, self.flip(machine)))
        self.assert_done(machine)

    def test_it_flips_with_another_tool(self):
        """As cgpt does: priority above the other's, one try; by sgdisk, which repairs as it goes."""
        machine = self.machine()
        text = f"sgdisk -A 3:set:49 -A 3:set:52 {machine.disk}"
        self.install(machine, self.make(machine, text))
        self.assert_done(machine)

    def test_it_flips_and_fails(self):
        machine = self.machine()
        path = self.make(machine, f"{self.flip(machine)}; exit 1")
        done = self.install(machine, path, check=False)
        self.assert_failed(machine, done, POSTINST)
        self.assertIn("taken back", machine.log.read_text())
        self.assertEqual(machine.slotctl("next").stdout.split()[0], "USR-A")
        self.assertEqual(machine.phase(), "idle")

    def test_after_a_failure_it_is_only_run_again(self):
        machine, server = self.machine(), self.server()
        path = self.make(machine, "[ -e $T/again ]", kernel=KERNEL)
        server.files[path.name] = path
        url = server.files_url + path.name
        done = self.install(machine, url, check=False)
        self.assert_failed(machine, done, POSTINST)
        n_before = len(server.sent)
        (machine.tmp / "again").touch()
        self.install(machine, url)
        self.assert_done(machine)
        self.assertLess(sum(n for _, _, n in server.sent[n_before:]), path.stat().st_size / 2)

    def test_it_flips_and_the_state_cannot_be_written(self):
        machine = self.machine()
        blocker = f"rm -f {machine.state}/state.json; mkdir -p {machine.state}/state.json/x"
        done = self.install(machine, self.make(machine, f"{self.flip(machine)}; {blocker}"),
                            check=False)
        self.assert_failed(machine, done, GENERIC)


# What flatcar-postinst and ue-rs do: whether the answer is of this update, the package whose name
# ends so, from the first address, by its SHA-256.
FETCH = """
import hashlib, os, sys, urllib.request
from xml.etree import ElementTree
prefs, name, target = sys.argv[1:]
answer = ElementTree.parse(prefs + "/full-response")
if os.stat(prefs + "/full-response").st_mtime < os.stat(prefs + "/previous-version").st_mtime:
    sys.exit("an old answer")
base = answer.find("app/updatecheck/urls/url").get("codebase")
package = next(p for p in answer.iterfind("app/updatecheck/manifest/packages/package")
               if p.get("name").endswith(name) and p.get("required") in ("true", "false"))
print("from", base)
content = urllib.request.urlopen(base + package.get("name"), timeout=10).read()
assert len(content) == int(package.get("size"))
assert hashlib.sha256(content).hexdigest() == package.get("hash_sha256")
open(target, "wb").write(content)
for other in (base + "none.gz", base[:-3] + "x/" + package.get("name"), base + "../x",
              base + package.get("name") + "x"):
    try:
        urllib.request.urlopen(other, timeout=10)
        sys.exit("served: " + other)
    except urllib.error.HTTPError as error:
        assert error.code == 404, error
"""


class Extensions(PostinstTest):
    """Files that lie on the machine reach the program as they do from an Omaha server."""

    def machine(self, **more):
        machine = super().machine(**more)
        machine.prefs = machine.root / "var/lib/update_engine/prefs"
        (machine.tmp / "fetch.py").write_text(FETCH)
        machine.files = {}
        for name in ("oem-azure.gz", "flatcar-zfs.gz"):
            path = machine.folder / name
            path.write_bytes(os.urandom(1500000))
            machine.files[name] = path
        return machine

    def payload_for(self, machine, text=""):
        fetch = "".join(f"python3 $T/fetch.py {machine.prefs} {name} $T/{name} || exit 1\n"
                        for name in machine.files)
        return self.make(machine, f"{text}\n{fetch}")

    def options(self, machine):
        return [word for path in machine.files.values() for word in ("--extension", path)]

    def assert_fetched(self, machine):
        for name, path in machine.files.items():
            self.assertEqual((machine.tmp / name).read_bytes(), path.read_bytes())
        self.assertFalse((machine.prefs / "full-response").exists())

    def test_they_are_served_to_it(self):
        machine = self.machine()
        path = self.payload_for(machine)
        machine.start_engine()
        machine.flipside("install", path, *self.options(machine))
        self.assert_done(machine)
        self.assert_fetched(machine)
        url = next(line for line in machine.log.read_text().splitlines() if "from http" in line)
        with self.assertRaises(OSError):
            urllib.request.urlopen(url.split("from ")[1] + "oem-azure.gz", timeout=5)

    def test_they_are_kept_for_the_next_start(self):
        machine = self.machine()
        machine.configure(SERVER="disabled", FIRST_CHECK=0)
        wait = f"[ -e $T/again ] || {{ touch $T/here; {HOST_PID} $T/a.pid; }}"
        path = self.payload_for(machine, wait)
        machine.start_engine()
        machine.call("com.coreos.update1.Flipside.InstallWithExtensions", f"string:{path}",
                     "string:", "uint64:0", "string:" + "\n".join(map(str, machine.files.values())))
        self.wait_for_file(machine, "here")
        machine.kill_engine()
        (machine.tmp / "again").touch()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_done(machine)
        self.assert_fetched(machine)

    def test_one_who_only_connects_holds_nothing_up(self):
        machine = self.machine()
        text = f"""exec 5<>/dev/tcp/127.0.0.1/$(sed -n 's|.*127.0.0.1:\([0-9]*\)/.*|\1|p' \
                   {machine.prefs}/full-response)\nexit 0"""
        path = self.payload_for(machine, text)
        machine.start_engine()
        started = time.monotonic()
        machine.flipside("install", path, *self.options(machine))
        self.assertLess(time.monotonic() - started, 8)
        self.assert_done(machine)

    def test_what_cannot_be_one(self):
        machine = self.machine()
        path = self.payload_for(machine)
        machine.start_engine()
        odd = machine.folder / "a b.gz"
        odd.write_bytes(b"x")
        folder = machine.folder / "folder.gz"
        folder.mkdir()
        twin = machine.folder / "twin"
        twin.mkdir()
        shutil.copy(machine.files["oem-azure.gz"], twin)
        for words, *files in (("no extension's name", odd), ("not a regular file", folder),
                              ("two extensions of the name", machine.files["oem-azure.gz"],
                               twin / "oem-azure.gz")):
            with self.subTest(words):
                options = [word for file in files for word in ("--extension", file)]
                done = machine.flipside("install", path, *options, check=False)
                self.assertIn(words, self.assert_failed(machine, done, POSTINST))
        done = machine.flipside("install", path, "--extension", "/nowhere.gz", check=False)
        self.assertEqual((done.returncode, "/nowhere.gz" in done.stderr), (1, True))

    def test_only_where_postinst_is_run(self):
        machine = self.machine()
        machine.runs_postinst = False
        path = self.payload_for(machine)
        machine.start_engine()
        done = machine.flipside("install", path, *self.options(machine), check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("--postinst yes", done.stderr)
        self.assertFalse(machine.slots()["USR-B"].is_bootable)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("partx"), "needs root and partx")
class Partitions(PostinstTest):
    def test_on_a_disk_with_nodes(self):
        """The partition is claimed while it is written; then it must be free to be mounted."""
        machine = self.machine()
        loop = run(["losetup", "-f", "--show", machine.disk]).stdout.strip()
        self.addCleanup(run, ["losetup", "-d", loop])
        run(["partx", "-a", loop])
        self.addCleanup(run, ["partx", "-d", loop])
        path = self.make(machine, 'echo "$1" >$T/device; [ -b "$1" ]')
        command = [loop if word == machine.disk else word for word in machine.engine_command()]
        machine.start_engine(command=command)
        self.install(machine, path)
        self.assertEqual((machine.tmp / "device").read_text().strip(), f"{loop}p3")
        run(["sync", machine.disk])
        self.assert_installed(machine, machine.image)
        machine.stop_engine()


if __name__ == "__main__":
    main()
