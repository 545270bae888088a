# SPDX-License-Identifier: Apache-2.0
"""A host in a container: real systemd, logind and D-Bus daemon, /usr on a slot of a real disk.

The userland is copied from this machine's packages (tests/make-userland), `meson install` puts our
programs in, and systemd-nspawn boots it. The disk is a loop device with its partitions; /usr is
mounted from the slot that slotctl names, as a boot loader would. Only the firmware, the kernel and
dm-verity are missing; tests/vm has those.

Everything runs in namespaces of the test's own, so that ports are its own, mounts end with it, and
no process outlives it.
"""
import contextlib
import json
import os
import shutil
import signal
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import lab as lab_module  # noqa: E402
from lab import BUILD_ROOT, OPERATOR, OS_NAME, SOURCE_ROOT, run, tail, wait_for  # noqa: E402
from machine import SLOTS, make_disk, partition, slots_of, write_at  # noqa: E402
from machine import PARTITIONS, table_bytes, table_problems  # noqa: E402

UNITS = ("update-engine.service", "update-engine-stub.timer", "slot-mark-good.service",
         "slot-deadline.timer", "locksmithd.service", "flipside-usr.service", "flipside-softdog.service")
REBOOTED, POWERED_OFF = 133, 0  # systemd-nspawn's exit status
SLOT_MIB = 96
USER = "alice"

# What the units refuse in a container is what is tested here. An empty assignment takes all
# conditions away.
DROP_INS = {"update-engine.service": "ConditionPathExists=\n"
                                     "ConditionPathExists=!/usr/.noupdate\n",
            "slot-mark-good.service": "ConditionVirtualization=\n"}


class Userland:
    """The files of the system, made once for all containers of a test."""

    def __init__(self, lab, public_key):
        self.lab, self.root = lab, lab.folder / "userland"
        run([SOURCE_ROOT / "tests/make-userland", self.root])
        run(["meson", "install", "-C", BUILD_ROOT, "--no-rebuild", "--quiet", "--destdir",
             self.root])
        keys = self.root / "usr/share/update_engine/keys"
        keys.mkdir(parents=True)
        shutil.copy(public_key, keys)
        (self.root / "usr" / "share" / OS_NAME).mkdir(parents=True, exist_ok=True)
        for unit, conditions in DROP_INS.items():
            folder = self.root / f"etc/systemd/system/{unit}.d"
            folder.mkdir(parents=True)
            (folder / "container.conf").write_text(f"[Unit]\n{conditions}")
        for folder in ("var/log/journal", f"etc/{OS_NAME}"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.add_user(USER, 1000)
        if OPERATOR:
            self.add_user(OPERATOR, 1001)
        run(["systemctl", f"--root={self.root}", "preset", *UNITS])

    def add_user(self, name, number):
        for file, line in {"passwd": f"{name}:x:{number}:{number}::/home/{name}:/bin/bash\n",
                           "group": f"{name}:x:{number}:\n",
                           "shadow": f"{name}:*:19000:0:99999:7:::\n"}.items():
            with open(self.root / "etc" / file, "a") as entries:
                entries.write(line)
        home = self.root / "home" / name
        home.mkdir(parents=True)
        os.chown(home, number, number)

    def why_not(self):
        """Why systemd-nspawn runs nothing here, as it says; "" where it does."""
        done = run(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--read-only",
                    "--private-network", "--pipe", "--directory", self.root, "true"], check=False)
        return "" if done.returncode == 0 else "systemd-nspawn: " + done.stderr.strip()

    def image(self, version):
        """/usr of that version, as a file system."""
        path = self.lab.folder / f"usr-{version}.img"
        if not path.exists():
            upper = OS_NAME.upper()
            (self.root / f"usr/share/{OS_NAME}/release").write_text(
                f"{upper}_RELEASE_VERSION={version}\n{upper}_RELEASE_BOARD=amd64-usr\n"
                f"{upper}_RELEASE_PRODUCT=demo\n")
            run(["mkfs.erofs", "-zlz4", path, self.root / "usr"])
        return path


class Container:
    """One host. boot() starts it from the slot that is next; what ends it is waited for."""

    def __init__(self, lab, userland, name, image, **config):
        self.lab, self.userland, self.name = lab, userland, name
        self.folder = lab.folder / name
        self.root = self.folder / "root"
        self.disk = self.folder / "disk.img"
        self.console = self.folder / "console.log"
        self.process = self.leader = self.slot = None
        self.root.mkdir(parents=True)
        for path in userland.root.iterdir():
            if path.name != "usr":
                run(["cp", "-a", path, self.root])
        (self.root / "usr").mkdir()
        (self.root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        make_disk(lab.folder, self.disk, SLOT_MIB, images=[image])
        self.configure(**config)
        self._attach()

    def configure(self, **keys):
        keys = {"SERVER": "disabled", "REBOOT_STRATEGY": "off", "POLL_INTERVAL": 86400,
                "FIRST_CHECK": 86400, "POLL_JITTER": 0, **keys}
        (self.root / f"etc/{OS_NAME}/update.conf").write_text(
            "".join(f"{key}={value}\n" for key, value in keys.items()))

    def write(self, path, text, mode=0o644):
        """A file of the host, before or while it runs."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _attach(self):
        """The disk as a block device. The kernel here need not know GPT: partx tells it."""
        self.device = run(["losetup", "--find", "--show", "--partscan", self.disk]).stdout.strip()
        self.lab.undo.append(self._detach)
        self.tell_kernel()

    def tell_kernel(self):
        """After the table was made anew, too: sgdisk has the kernel forget what it cannot read."""
        if not Path(f"{self.device}p1").exists():
            run(["partx", "--add", self.device])

    def _detach(self):
        run(["umount", "--lazy", self.root / "usr"], check=False)
        run(["partx", "--delete", self.device], check=False)
        run(["losetup", "--detach", self.device], check=False)

    def device_of(self, label):
        return f"{self.device}p{PARTITIONS[label]}"

    # Power.

    def boot(self, wait=True):
        """The boot loader's part, and systemd's until all jobs are done."""
        assert self.process is None
        self.slot = run([lab_module.program("slotctl"), "--disk", self.device, "next",
                         "--spend"]).stdout.split()[0]
        for label in SLOTS:  # what a reboot forgets
            run(["blockdev", "--flushbufs", self.device_of(label)])
        run(["mount", "-o", "ro", self.device_of(self.slot), self.root / "usr"])
        nodes = [f"--bind={path}" for path in [self.device] + sorted(
            str(path) for path in Path("/dev").glob(f"{Path(self.device).name}p*"))]
        self.process = self.lab.start(
            ["systemd-nspawn", "--boot", "--directory", self.root, "--quiet", "--register=no",
             "--keep-unit", "--network-namespace-path=/proc/self/ns/net", "--resolv-conf=off",
             "--timezone=off", "--link-journal=no", "--capability=CAP_NET_ADMIN", *nodes],
            self.console, env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        self.leader = wait_for("the container's first process", self._find_leader,
                               logs=[self.console])
        if wait:
            self.wait_up()
        return self.slot

    def _find_leader(self):
        """The child of systemd-nspawn that is process 1 in there."""
        if self.process.poll() is not None:
            raise AssertionError("systemd-nspawn ended\n" + tail(self.console))
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError):
                pid = int(folder.name)
                status = dict(line.split(":", 1) for line in
                              (folder / "status").read_text().splitlines())
                if (status["NSpid"].split()[1:] == ["1"] and
                        int(status["PPid"]) == self.process.pid):
                    return pid
        return None

    def wait_up(self):
        """Until systemd has no jobs left; how that went is another question."""
        def is_settled():
            if self.process.poll() is not None:
                raise AssertionError("the host went down\n" + tail(self.console))
            done = self.run("systemctl", "is-system-running", check=False)
            return done.stdout.strip() in ("running", "degraded")
        self.until("systemd", is_settled)

    def wait_down(self):
        """systemd-nspawn's exit status, once the host went down by itself."""
        try:
            status = wait_for("the host to go down",
                              lambda: [self.process.poll()] if self.process.poll() is not None
                              else None, logs=[self.console])[0]
        finally:
            self.cut_power()
        return status

    def cut_power(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(self.leader, signal.SIGKILL)
        self.process.wait(30)
        self.lab.processes.remove(self.process)
        self.process = self.leader = None
        run(["umount", "--lazy", self.root / "usr"])

    # What a person does there.

    def command(self, *args):
        return ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-C", "--root", "--",
                *args]

    def run(self, *args, check=True, user=None, **more):
        """Runs a command as root or as a user, in no session."""
        if user:
            args = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *args)
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C",
                       "TERM": "dumb", "SYSTEMD_PAGER": ""}
        return run(self.command(*args), check=check, env=environment, cwd="/", **more)

    def log_in(self, user=USER):
        """A session at a terminal, by login and PAM; returns its unit. What the user sees goes to
        /var/log/UNIT."""
        unit = f"terminal-{uuid.uuid4().hex[:8]}"
        self.run("systemd-run", f"--unit={unit}", "--collect", "script", "--quiet", "--flush",
                 "--return", "--command", f"login -f {user}", f"/var/log/{unit}")
        self.until(f"{user}'s session", lambda: user in self.run(
            "loginctl", "list-sessions", "--no-legend").stdout)
        return unit

    # What it says.

    def until(self, what, condition, seconds=None):
        try:
            return wait_for(what, condition, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.last_words()}") from None

    def last_words(self):
        return run(["journalctl", f"--directory={self.root}/var/log/journal", "--no-pager", "-n",
                    "60", "-o", "short-monotonic"], check=False).stdout

    def show(self, unit, *names):
        """Properties of a unit."""
        done = self.run("systemctl", "show", *(f"--property={name}" for name in names), unit)
        found = dict(line.split("=", 1) for line in done.stdout.splitlines())
        return [found[name] for name in names]

    def active(self, unit):
        return self.show(unit, "ActiveState")[0]

    def journal(self, *matches):
        """This boot's entries, as dictionaries."""
        done = self.run("journalctl", "--boot", "--output=json", "--no-pager", *matches)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def locksmith(self, name):
        """A property of locksmithd; None where it is not there."""
        done = self.run("busctl", "--json=short", "get-property", "com.coreos.locksmith1",
                        "/com/coreos/locksmith1", "com.coreos.locksmith1.Manager", name,
                        check=False)
        return json.loads(done.stdout)["data"] if done.returncode == 0 else None

    def wait_locksmith(self, state, text=""):
        self.until(f"locksmithd: {state} {text}",
                   lambda: self.locksmith("State") == state and text in self.locksmith("Text"))

    def slots(self):
        return slots_of(self.device)

    def table_problems(self):
        return table_problems(self.device)

    def table_bytes(self):
        return table_bytes(self.device)


# What tests/make-userland copies and `tests/install-packages vm` installs.
PACKAGES = ("systemd-container", "systemd-sysv", "libpam-systemd", "dbus", "login", "iproute2",
            "procps", "hostname")


def knows_erofs():
    """Whether the kernel here can mount /usr."""
    if "erofs" not in Path("/proc/filesystems").read_text() and shutil.which("modprobe"):
        run(["modprobe", "--quiet", "erofs"], check=False)
    return "erofs" in Path("/proc/filesystems").read_text()


def why_not():
    """Why no container can be booted here; "" where one can."""
    if os.geteuid() != 0:
        return "needs root"
    if "asan" in str(BUILD_ROOT):
        return "not under the sanitizers"
    if not shutil.which("dpkg-query"):
        return "the userland is copied from Debian's packages, and this is no Debian"
    for package in PACKAGES:
        status = run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package], check=False).stdout
        if status != "installed":
            return f"{package} is not installed (tests/install-packages vm)"
    for tool in ("systemd-nspawn", "nsenter", "unshare", "losetup", "partx", "mkfs.erofs", "sgdisk"):
        if not shutil.which(tool):
            return f"{tool} is not installed (tests/install-packages vm)"
    if not knows_erofs():
        return "the kernel here has no erofs"
    if run(["losetup", "--find"], check=False).returncode != 0:
        return "there is no loop device"
    if run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False).returncode != 0:
        return "no namespaces can be made here"
    return ""


def main():
    """Runs the calling file's tests in namespaces of their own; says so where that cannot be."""
    if "FLIPSIDE_IN_NAMESPACES" not in os.environ:
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        reason = why_not()
        if reason:
            print(f"1..0 # SKIP {reason}")
            return
        os.environ["FLIPSIDE_IN_NAMESPACES"] = "yes"
        sys.stdout.flush()
        # The shell reaps what comes to process 1: a zombie there would keep containers from ending.
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
                              "--mount-proc", "bash", "-c", '"$@"; exit', "bash",
                              sys.executable, *sys.argv])
    run(["ip", "link", "set", "lo", "up"])
    lab_module.main()
