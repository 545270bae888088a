# SPDX-License-Identifier: Apache-2.0
"""The ways of bringing version B onto a machine that are held against one another: ours, the bare
tools, and the updaters that Debian has. Each is prepared once per file system, and then measured
again and again; the target is zero before each go, but where a way says otherwise."""
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from lab import MIB, program, run, sha256_file, wait_for
from machine import BUS_CONFIGURATION, Machine, write_at
from meters import Measured, Target, cpu_seconds, differing_bytes, measure_command, peak_mib

ROOM_MIB = 32  # in a slot, for what follows the file system


class Skipped(Exception):
    """Why a way cannot be gone here."""


class Pair:
    """What a release engineer makes of one file system of the pair, for each way."""

    def __init__(self, lab, folder, kind, served):
        self.lab, self.kind, self.served = lab, kind, served
        self.a, self.b = folder / f"a.{kind}", folder / f"b.{kind}"
        self.size_mib = -(-max(self.a.stat().st_size, self.b.stat().st_size) // MIB)

    def file(self, suffix):
        return self.served / f"{self.kind}.{suffix}"

    def zstd(self):
        path = self.file("zst")
        if not path.exists():
            run(["zstd", "-q", "-3", "-T0", self.b, "-o", path], seconds=600)
        return path

    def zeros(self, name):
        """An empty target of the image's size."""
        path = self.lab.folder / name
        path.unlink(missing_ok=True)
        with open(path, "wb") as file:
            file.truncate(self.size_mib * MIB)
        return path


class Way:
    """Whether it goes over the slow link too, and what it is called."""
    over_slow_link = True
    is_ours = False
    changed_bytes = None

    def prepare(self, pair):
        self.pair = pair

    def measure(self, link):
        raise NotImplementedError


# The bare tools.


class BareTools(Way):
    name = "curl, zstd -d, dd conv=fsync"

    def prepare(self, pair):
        super().prepare(pair)
        pair.zstd()

    def measure(self, link):
        path = self.pair.zeros("bare")
        url = link.server.url(self.pair.zstd())
        with Target(path) as target:
            result = measure_command(f"curl -sf {url} | zstd -d -c | dd of={target.place} bs=1M "
                                     "iflag=fullblock conv=fsync,notrunc")
            result.written_bytes = target.written_bytes()
        path.unlink()
        return result


class PatchFrom(Way):
    """Only the size: how small a delta for exactly this pair is."""
    name = "zstd --patch-from, its size alone"

    def prepare(self, pair):
        super().prepare(pair)
        delta = pair.file("patch")
        if not delta.exists():
            run(["zstd", "-q", "-3", f"--patch-from={pair.a}", pair.b, "-o", delta], seconds=900)
        self.n_bytes = delta.stat().st_size

    def measure(self, link):
        return Measured(fetched_bytes=self.n_bytes)


# Ours.


class Release:
    """Our own images and the payload of B, made once per file system."""
    made = {}

    def __init__(self, pair):
        self.private_key, self.public_key = pair.lab.make_key(f"bench-{pair.kind}")
        self.a, self.b = pair.file("a.slot"), pair.file("b.slot")
        self.foreign = pair.file("foreign.slot")
        self.payload = pair.file("payload")
        foreign_fs = pair.lab.folder / "foreign"
        foreign_fs.write_bytes(os.urandom(MIB))
        whole_slot = ["--size", f"{pair.size_mib + ROOM_MIB}M"]  # with its trailer at the end
        for version, fs, slot, size in (("1.0.0", pair.a, self.a, whole_slot),
                                        ("0.9.0", foreign_fs, self.foreign, whole_slot),
                                        ("2.0.0", pair.b, self.b, [])):
            run([program("update-payload"), "image", "--product", "demo", "--version", version,
                 "--fs", fs, *size, "-o", slot], seconds=600)
        self.create = [program("update-payload"), "create", "--product", "demo", "--version",
                       "2.0.0", "--key", self.private_key]
        run([*self.create, "-o", self.payload, f"USR={self.b}"], seconds=900)
        self.b_sha256 = sha256_file(self.b)

    @classmethod
    def of(cls, pair):
        if pair.kind not in cls.made:
            cls.made[pair.kind] = cls(pair)
        return cls.made[pair.kind]


class Ours(Way):
    """By the daemon and `flipside install`. running, other: what the slots hold before, by the
    name of an image of the release; None: zeros."""
    is_ours = True
    number = 0

    def __init__(self, name, running, other=None, over_slow_link=True):
        self.name, self.running, self.other = name, running, other
        self.over_slow_link = over_slow_link
        self.is_proven = False

    def prepare(self, pair):
        super().prepare(pair)
        self.release = Release.of(pair)
        self.payload = self.payload_file()
        self.changed_bytes = differing_bytes(self._image(self.other), self.release.b)

    def payload_file(self):
        return self.release.payload

    def _image(self, name):
        known = {None: None, "a": self.release.a, "bare a": self.pair.a,
                 "foreign": self.release.foreign}
        return known[name]

    def machine(self):
        Ours.number += 1
        machine = Machine(self.pair.lab, f"machine-{Ours.number}",
                          slot_mib=self.pair.size_mib + ROOM_MIB)
        machine.trust(self.release.public_key)
        machine.configure(SERVER="disabled")
        for label, name in (("USR-A", self.running), ("USR-B", self.other)):
            if name:
                write_at(machine.disk, machine.places[label]["start"], self._image(name))
        return machine

    def measure(self, link, around=None):
        """around(machine): a context to install in, once the daemon is up."""
        machine = self.machine()
        disk = machine.disk
        try:
            with Target(disk) as target:
                machine.disk = target.place
                result = self._install(machine, link, around)
                result.written_bytes = target.written_bytes() or result.data_bytes
            machine.disk = disk
            if not self.is_proven:
                n_bytes = self.release.b.stat().st_size
                if machine.slot_sha256("USR-B", n_bytes) != self.release.b_sha256:
                    raise AssertionError(f"{self.name}: the slot does not hold the image")
                self.is_proven = True
            return result
        finally:
            machine.lab.end(machine.bus_process)
            shutil.rmtree(machine.folder)

    def _install(self, machine, link, around):
        engine = machine.start_engine()
        before = cpu_seconds(engine.pid)
        n_written = self._process_written(engine.pid)
        if around:
            with around(machine):
                result = self._go(machine, link)
        else:
            result = self._go(machine, link)
        result.cpu_seconds = cpu_seconds(engine.pid) - before
        result.peak_mib = peak_mib(engine.pid)
        result.data_bytes = self._process_written(engine.pid) - n_written
        machine.stop_engine()
        return result

    def _go(self, machine, link):
        started = time.monotonic()
        machine.flipside("install", link.server.url(self.payload), seconds=900)
        return Measured(wall_seconds=time.monotonic() - started)

    @staticmethod
    def _process_written(pid):
        return int(re.search(r"\nwrite_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text())[1])


class OursPairwise(Ours):
    """A delta that was made for exactly this pair."""

    def payload_file(self):
        usage = run([program("update-payload"), "--help"]).stdout
        creating = usage[usage.index("\ncreate:"):usage.index("\nsign")]
        if "--from" not in creating:
            raise Skipped("update-payload create has no --from")
        path = self.pair.file("delta")
        run([*self.release.create, "--from", f"USR={self.release.a}", "-o", path,
             f"USR={self.release.b}"], seconds=1800)
        return path


class Making(Way):
    """What the release engineer waits for; nothing is installed."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def prepare(self, pair):
        super().prepare(pair)
        self.output = pair.file("made")
        self.full_command = self.command.format(
            create=" ".join(str(word) for word in Release.of(pair).create),
            slot=Release.of(pair).b, image=pair.b, output=self.output)

    def measure(self, link):
        self.output.unlink(missing_ok=True)
        result = measure_command(self.full_command)
        result.written_bytes = self.output.stat().st_size
        return result


def large_frames_bytes(pair):
    """What a payload of B would have if each MiB were a frame, at the level that is ours."""
    counted = run(["bash", "-c", f"split -b 1M --filter='zstd -q -5 -c' {pair.b} | wc -c"],
                  seconds=900)
    return int(counted.stdout)


def all_makings():
    return [Making("zstd -3 -T0", "zstd -q -3 -T0 {image} -o {output}"),
            Making("zstd -5 -T0", "zstd -q -5 -T0 {image} -o {output}"),
            Making("update-payload create", "{create} -o {output} USR={slot}")]


# Others.


def make_certificate(lab):
    """RAUC and SWUpdate take one that says what it is for."""
    key, certificate = lab.folder / "peer.key", lab.folder / "peer.crt"
    if not certificate.exists():
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
             certificate, "-days", "30", "-subj", "/O=bench/CN=bench",
             "-addext", "keyUsage=digitalSignature",
             "-addext", "extendedKeyUsage=emailProtection,codeSigning"])
    return key, certificate


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise Skipped(f"{name} is not installed")


class SwUpdate(Way):
    """Streamed into the device; it does not sync, so `sync` comes after it."""

    def __init__(self, compression):
        self.compression = compression
        self.name = f"SWUpdate, streamed, {compression or 'not compressed'}"
        self.over_slow_link = bool(compression)

    def prepare(self, pair):
        super().prepare(pair)
        need("swupdate", "cpio")
        if os.geteuid() != 0:
            raise Skipped("SWUpdate is run by root only")
        self.key, self.certificate = make_certificate(pair.lab)
        self.target = pair.lab.folder / "swupdate-target"
        self.swu = pair.file(f"{self.compression or 'plain'}.swu")
        self.image = pair.zstd() if self.compression else pair.b
        folder = pair.lab.folder / f"swu-{pair.kind}-{self.compression}"
        folder.mkdir()
        (folder / "image").symlink_to(self.image)
        compressed = f'compressed = "{self.compression}";' if self.compression else ""
        (folder / "sw-description").write_text(
            'software = {\n version = "2.0.0";\n hardware-compatibility = [ "1.0" ];\n images: ( {'
            f' filename = "image"; device = "{self.target}"; type = "raw"; {compressed}\n'
            f' installed-directly = true; sha256 = "{sha256_file(self.image)}"; }} );\n}}\n')
        run(["openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig",
             "-signer", self.certificate, "-inkey", self.key, "-outform", "DER", "-nosmimecap",
             "-binary"], cwd=folder)
        with open(self.swu, "wb") as output:
            subprocess.run(["cpio", "--quiet", "-L", "-o", "-H", "crc"], cwd=folder, check=True,
                           input=b"sw-description\nsw-description.sig\nimage\n", stdout=output)

    def measure(self, link):
        path = self.pair.zeros("swupdate")
        with Target(path) as target:
            self.target.unlink(missing_ok=True)
            self.target.symlink_to(target.place)
            result = measure_command(
                f"swupdate -k {self.certificate} -H bench:1.0 -d '-u {link.server.url(self.swu)}' "
                f">&2 && sync {target.place}",
                {**os.environ, "TMPDIR": str(self.pair.lab.folder)})
            result.written_bytes = target.written_bytes()
        path.unlink()
        return result


RAUC_BACKEND = """#!/bin/sh
case $1 in
get-primary | get-current) echo A ;;
get-state) echo good ;;
esac
"""


class Rauc(Way):
    """By its service. Its own streaming needs NBD and dm-verity in the kernel, so the bundle is
    downloaded before."""

    def __init__(self, is_adaptive):
        self.is_adaptive = is_adaptive
        self.name = "RAUC, downloaded before, " + ("adaptive" if is_adaptive else "zstd")
        self.over_slow_link = not is_adaptive

    def prepare(self, pair):
        super().prepare(pair)
        need("rauc", "mksquashfs", "dbus-daemon")
        if os.geteuid() != 0:
            raise Skipped("RAUC is run by root only")
        self.key, self.certificate = make_certificate(pair.lab)
        self.folder = pair.lab.folder / f"rauc-{pair.kind}-{self.is_adaptive}"
        content = self.folder / "content"
        content.mkdir(parents=True)
        shutil.copyfile(pair.b, content / "usr.img")
        (content / "manifest.raucm").write_text(
            "[update]\ncompatible=bench\nversion=2.0.0\n[bundle]\nformat=plain\n"
            "[image.rootfs]\nfilename=usr.img\n"
            + ("adaptive=block-hash-index\n" if self.is_adaptive else ""))
        self.bundle = pair.file("adaptive.raucb" if self.is_adaptive else "raucb")
        self.bundle.unlink(missing_ok=True)
        run(["rauc", "--keyring", self.certificate, "bundle", "--cert", self.certificate, "--key",
             self.key, "--mksquashfs-args=-comp zstd -Xcompression-level 3", content, self.bundle],
            seconds=900)

    def measure(self, link):
        path = self.pair.zeros("rauc")
        running = self.pair.lab.folder / "rauc-running"
        shutil.copyfile(self.pair.a, running)
        with Target(running) as source, Target(path) as target:
            result = self._serve(link, source.place, target)
            result.written_bytes = target.written_bytes()
        path.unlink()
        running.unlink()
        return result

    def _configure(self, source, target):
        backend = self.folder / "backend"
        backend.write_text(RAUC_BACKEND)
        backend.chmod(0o755)
        (self.folder / "mnt").mkdir(exist_ok=True)
        (self.folder / "status").unlink(missing_ok=True)
        (self.folder / "system.conf").write_text(
            f"[system]\ncompatible=bench\nbootloader=custom\nstatusfile={self.folder}/status\n"
            f"mountprefix={self.folder}/mnt\nbundle-formats=plain verity\n"
            f"[keyring]\npath={self.certificate}\n"
            f"[handlers]\nbootloader-custom-backend={backend}\n"
            f"[slot.rootfs.0]\ndevice={source}\ntype=raw\nbootname=A\n"
            f"[slot.rootfs.1]\ndevice={target}\ntype=raw\nbootname=B\n")
        bus = self.folder / "bus"
        (self.folder / "bus.conf").write_text(BUS_CONFIGURATION.format(path=bus))
        return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}

    def _serve(self, link, source, target):
        lab, environment = self.pair.lab, self._configure(source, target.place)
        bus = lab.start(["dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork",
                         "--nopidfile"], self.folder / "bus.log")
        wait_for("the bus", (self.folder / "bus").exists, logs=[self.folder / "bus.log"])
        log = self.folder / "service.log"
        service = lab.start(["rauc", "--conf", self.folder / "system.conf",
                             "--override-boot-slot=A", "service"], log, env=environment)
        wait_for("RAUC's service", lambda: run(["rauc", "status"], check=False,
                                               env=environment).returncode == 0, logs=[log])
        before = cpu_seconds(service.pid)
        bundle = self.folder / "downloaded.raucb"
        result = measure_command(f"curl -sf {link.server.url(self.bundle)} -o {bundle} && "
                                 f"rauc install {bundle} && rm {bundle}", environment)
        result.cpu_seconds += cpu_seconds(service.pid) - before
        result.peak_mib = max(result.peak_mib, peak_mib(service.pid))
        lab.end(service)
        lab.end(bus)
        (self.folder / "bus").unlink(missing_ok=True)
        return result


def all_ways(has_peers):
    ours = [Ours("ours, whole (nothing in common)", "foreign"),
            Ours("ours, adaptive", "a"),
            Ours("ours, adaptive, A in both slots", "a", "a", over_slow_link=False),
            Ours("ours, adaptive, A without its tree", "bare a", over_slow_link=False),
            OursPairwise("ours, pairwise delta", "a")]
    peers = [SwUpdate("zstd"), SwUpdate(None), Rauc(False), Rauc(True)]
    return [BareTools(), *ours, *(peers if has_peers else []), PatchFrom()]
