# SPDX-License-Identifier: Apache-2.0
"""One host in a folder: root folder, disk image with two slots, bus, daemon and tools."""
import hashlib
import json
import os
import re
import shutil
import signal
import uuid

from lab import MIB, OS_NAME, is_listening, program, run, tail, wait_for

SLOT_TYPE = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
BUS_NAME = "com.coreos.update1"
BUS_PATH = "/com/coreos/update1"
FLIPSIDE_INTERFACE = "com.coreos.update1.Flipside"
MANAGER_INTERFACE = "com.coreos.update1.Manager"

ESP_MIB, ROOT_MIB = 8, 8
PARTITIONS = {"EFI-SYSTEM": 1, "USR-A": 2, "USR-B": 3, "ROOT": 4}
SLOTS = ("USR-A", "USR-B")
SECTOR = 512

BUS_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class Attributes:
    """What the bits of a slot say, as sgdisk reads them."""

    def __init__(self, flags):
        self.priority, self.tries = flags >> 48 & 15, flags >> 52 & 15
        self.successful = bool(flags >> 56 & 1)

    def __eq__(self, other):
        return (self.priority, self.tries, self.successful) == other

    def __repr__(self):
        return f"({self.priority}, {self.tries}, {self.successful})"

    @property
    def is_bootable(self):
        return self.priority > 0 and (self.tries > 0 or self.successful)


def make_disk(templates, path, slot_mib, images=()):
    """A GPT disk image as DESIGN.md has it: EFI system, two slots, root. The first slot is good.
    sgdisk waits a second after each change, so the table is made once and kept in templates."""
    template = templates / f"{slot_mib}.template"
    if not template.exists():
        with open(template, "wb") as file:
            file.truncate((ESP_MIB + 2 * slot_mib + ROOT_MIB + 4) * MIB)
        run(["sgdisk", "--clear",
             f"--new=1:0:+{ESP_MIB}M", "--typecode=1:EF00", "--change-name=1:EFI-SYSTEM",
             f"--new=2:0:+{slot_mib}M", f"--typecode=2:{SLOT_TYPE}", "--change-name=2:USR-A",
             f"--new=3:0:+{slot_mib}M", f"--typecode=3:{SLOT_TYPE}", "--change-name=3:USR-B",
             f"--new=4:0:+{ROOT_MIB}M", "--typecode=4:8300", "--change-name=4:ROOT",
             "--attributes=2:set:48", "--attributes=2:set:56", template])
    run(["cp", "--sparse=always", template, path])
    for number, image in zip((2, 3), images):
        write_at(path, partition(path, number)["start"], image)
    return path


def write_at(disk, offset_bytes, image):
    with open(disk, "r+b") as target, open(image, "rb") as source:
        target.seek(offset_bytes)
        shutil.copyfileobj(source, target, MIB)


def partition(disk, number):
    """One entry of the table, read by sgdisk."""
    text = run(["sgdisk", "-i", number, disk]).stdout
    first = int(re.search(r"First sector: (\d+)", text)[1])
    last = int(re.search(r"Last sector: (\d+)", text)[1])
    return {"start": first * 512, "size": (last - first + 1) * 512,
            "name": re.search(r"Partition name: '(.*)'", text)[1],
            "flags": int(re.search(r"Attribute flags: ([0-9A-F]+)", text)[1], 16)}


def slots_of(disk):
    return {label: Attributes(partition(disk, PARTITIONS[label])["flags"]) for label in SLOTS}


def table_problems(disk):
    """What sgdisk -v has to say against the table; "" when it accepts both copies. (Of a damaged
    copy it only warns, and repairs it in memory: "No problems found" alone says little.)"""
    done = run(["sgdisk", "-v", disk], check=False)
    is_clean = "No problems found" in done.stdout and "Caution" not in done.stdout
    return "" if is_clean and not done.stderr.strip() else done.stdout + done.stderr


def table_bytes(disk):
    """The protective MBR and both copies of the table."""
    with open(disk, "rb") as file:
        primary = file.read(34 * SECTOR)
        file.seek(-33 * SECTOR, os.SEEK_END)
        return primary + file.read()


def overwrite(disk, offset, content):
    """A negative offset counts from the end."""
    with open(disk, "r+b") as file:
        file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
        file.write(content)


def damage_primary(disk):
    overwrite(disk, SECTOR + 40, b"damaged!")


def damage_backup(disk):
    overwrite(disk, -SECTOR + 40, b"damaged!")


def wipe_table(disk):
    overwrite(disk, 0, bytes(34 * SECTOR))
    overwrite(disk, -34 * SECTOR, bytes(34 * SECTOR))


class Machine:
    """One host: root folder, disk, bus, daemon, tools."""

    def __init__(self, lab, name="machine", slot_mib=40, image=None, version="1.0.0",
                 product="demo"):
        self.lab, self.name, self.product = lab, name, product
        self.folder = lab.folder / name
        self.root = self.folder / "root"
        self.disk = self.folder / "disk.img"
        self.keys = self.root / "usr/share/update_engine/keys"
        self.state = self.root / "var/lib/update-engine"
        self.log = self.folder / "update-engine.log"
        self.socket = self.folder / "bus"
        self.engine = None
        self.running = "USR-A"
        self.runs_postinst = False  # whatever the build's default: most images are no file systems
        for path in (self.keys, self.state, self.root / f"etc/{OS_NAME}",
                     self.root / f"usr/share/{OS_NAME}", self.root / "proc/sys/kernel/random"):
            path.mkdir(parents=True)
        self.versions = {"USR-A": version, "USR-B": ""}
        make_disk(lab.folder, self.disk, slot_mib, images=[image] if image else [])
        self.places = {label: partition(self.disk, PARTITIONS[label]) for label in SLOTS}
        (self.root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        self.become(version)
        self._start_bus()

    # Files.

    def become(self, version):
        """What a boot changes below the root folder: the release and the boot id."""
        upper = OS_NAME.upper()
        (self.root / f"usr/share/{OS_NAME}/release").write_text(
            f"{upper}_RELEASE_VERSION={version}\n{upper}_RELEASE_BOARD=amd64-usr\n"
            f"{upper}_RELEASE_PRODUCT={self.product}\n")
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{uuid.uuid4()}\n")

    @property
    def update_conf(self):
        return self.root / f"etc/{OS_NAME}/update.conf"

    def configure(self, **keys):
        """Writes the machine's update.conf; checks come at once and then seldom, unless said."""
        keys = {"POLL_INTERVAL": 86400, "FIRST_CHECK": 86400, "POLL_JITTER": 0, **keys}
        self.update_conf.write_text("".join(f"{k}={v}\n" for k, v in keys.items()))

    def trust(self, *public_keys):
        for key in public_keys:
            shutil.copy(key, self.keys)

    # The disk, by sgdisk and by reading: never through our own code.

    def slots(self):
        return slots_of(self.disk)

    def slot_sha256(self, label, n_bytes=None):
        place = self.places[label]
        digest, left = hashlib.sha256(), n_bytes or place["size"]
        with open(self.disk, "rb") as file:
            file.seek(place["start"])
            while left:
                chunk = file.read(min(left, MIB))
                digest.update(chunk)
                left -= len(chunk)
        return digest.hexdigest()

    def table_problems(self):
        return table_problems(self.disk)

    # The bus and the daemon.

    @property
    def bus(self):
        return f"unix:path={self.socket}"

    def _start_bus(self):
        file = self.folder / "bus.conf"
        file.write_text(BUS_CONFIGURATION.format(path=self.socket))
        self.bus_process = self.lab.start(
            ["dbus-daemon", f"--config-file={file}", "--nofork", "--nopidfile"],
            self.folder / "bus.log")
        wait_for("the bus", lambda: is_listening(self.socket), logs=[self.folder / "bus.log"])

    def environment(self):
        return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus}

    def engine_command(self, running=None):
        return [program("update-engine"), "--root", self.root, "--disk", self.disk,
                "--slot", running or self.running, "--bus", self.bus,
                "--postinst", "yes" if self.runs_postinst else "no"]

    def start_engine(self, wait=True, command=None, **more):
        assert self.engine is None or self.engine.poll() is not None
        self.engine = self.lab.start(command or self.engine_command(), self.log,
                                     env=self.environment(), **more)
        if wait:
            wait_for("the daemon on the bus", self._is_up, logs=[self.log])
        return self.engine

    def _is_up(self):
        if self.engine.poll() is not None:
            raise AssertionError(f"update-engine ended by itself, status {self.engine.returncode}\n"
                                 + tail(self.log))
        return self._answers()

    def _answers(self):
        return self.call("org.freedesktop.DBus.Properties.Get", "string:" + FLIPSIDE_INTERFACE,
                         "string:Phase").returncode == 0

    def comes_up(self):
        """Waits until the daemon answers, or until it has ended by itself: whether it answers."""
        return wait_for("the daemon to come up or to end",
                        lambda: "ended" if self.engine.poll() is not None else self._answers(),
                        logs=[self.log]) != "ended"

    def stop_engine(self):
        status = self.lab.end(self.engine)
        self.engine = None
        return status

    def kill_engine(self):
        self.lab.end(self.engine, signal.SIGKILL)
        self.engine = None

    def reboot(self, into=None):
        """Power off, and the choice at boot: the slot that slotctl names, or another."""
        if self.engine is not None:
            self.stop_engine()
        self.running = into or self.slotctl("next").stdout.split()[0]
        self.become(self.versions[self.running])
        return self.running

    # The tools.

    def flipside(self, *args, check=True, **more):
        return run([program("flipside"), "--bus", self.bus, "--root", self.root, *args],
                   check=check, env=self.environment(), **more)

    def slotctl(self, verb, *args, check=True):
        return run([program("slotctl"), "--disk", self.disk, verb, *args], check=check)

    def status(self):
        return json.loads(self.flipside("status", "--json").stdout)

    def call(self, member, *args):
        """A method call by dbus-send; member with its interface."""
        return run(["dbus-send", f"--bus={self.bus}", "--print-reply=literal",
                    f"--dest={BUS_NAME}", BUS_PATH, member, *args], check=False)

    def property(self, name):
        done = self.call("org.freedesktop.DBus.Properties.Get", "string:" + FLIPSIDE_INTERFACE,
                         "string:" + name)
        if done.returncode:
            raise AssertionError(f"property {name}: {done.stderr}{tail(self.log)}")
        return done.stdout.strip().removeprefix("variant").strip()

    def number(self, name):
        return int(self.property(name).split()[-1])

    def phase(self):
        return self.property("Phase")

    def progress(self):
        """Of an install: 0 to 1 while it downloads, 1.15 when the slot is proven, 2 at its end."""
        total = self.number("BytesTotal")
        done = self.number("BytesDone") / total if total else 0
        return {"downloading": done, "verifying": 1 + done * 0.15, "committing": 1.15,
                "need-reboot": 2}.get(self.phase(), 0)

    def wait_for_phase(self, *phases, seconds=None):
        return wait_for(f"phase {' or '.join(phases)}", lambda: self.phase() in phases, seconds,
                        logs=[self.log])
