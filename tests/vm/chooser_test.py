# SPDX-License-Identifier: Apache-2.0
"""A machine for the boot chooser: a disk with the chooser on its ESP and slots whose kernel is a
few kilobytes that say from which slot they were started. One boot takes some seconds, so a disk has
as many slots as there are things to be seen; they are tried in the order of their priority."""
import hashlib
import re
import struct
import unittest
import uuid
from pathlib import Path

from disk_image import SLOT_TYPE
from distribution import find_tool
from gpt_image import attributes, read_attributes, table_problems, write_table
from lab import BUILD_ROOT, MIB, Lab, run
from qemu import FIRMWARE, Qemu
from slot_image import BLOCK, slot_image

BOOT = BUILD_ROOT / "partitions/boot"
PAYLOADS = BUILD_ROOT / "tests/vm"
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ESP_MIB, SLOT_MIB = 33, 2
KERNEL_AT = 5 * BLOCK  # in a slot, behind the file system and its tree
GOOD, NEW = attributes(1, 0, True), attributes(2, 3)

BUSES = {
    "virtio-blk": ["-device", "virtio-blk-pci,drive=disk0,bootindex=1"],
    "virtio-scsi": ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=disk0,bootindex=1"],
    "nvme": ["-device", "nvme,drive=disk0,serial=1,bootindex=1"],
    "ahci": ["-device", "ide-hd,drive=disk0,bus=ide.0,bootindex=1"],
    "4096-byte sectors": ["-device", "virtio-blk-pci,drive=disk0,bootindex=1,"
                          "logical_block_size=4096,physical_block_size=4096"],
}
OVER = re.compile(r"(payload: \S+|has no slot left.*|both have slots.*|no other disk.*)\r?\n"
                  r"|Interactive Shell|No bootable option")


def needs(path):
    return None if Path(path).exists() else f"{path} is not there (tests/install-packages vm boot)"


def kernel(name="payload.efi"):
    return (PAYLOADS / name).read_bytes()


def filled(content):
    """A slot of SLOT_MIB whose trailer is at its end."""
    return content[:-BLOCK] + bytes(SLOT_MIB * MIB - len(content)) + content[-BLOCK:]


def slot(uki=None, **wrong):
    return filled(slot_image(b"\x5a" * 4 * BLOCK, uki=kernel() if uki is None else uki, **wrong))


def changed(content, offset, put=None):
    """With a bit turned at that place (from the end where it is negative), or other bytes there."""
    offset %= len(content)
    put = put or bytes([content[offset] ^ 1])
    return content[:offset] + put + content[offset + len(put):]


def without_trailer():
    return bytes(SLOT_MIB * MIB)


def uuid_of(label):
    return str(uuid.UUID(bytes=label.encode().ljust(16, b"\1")))


def priorities(n, tries=1):
    """The bits of n slots that are tried one after the other."""
    return [attributes(n + 1 - i, tries) for i in range(n)]


class Disk:
    """An image file; slots: label -> (content, bits). Without esp it has slots alone."""

    def __init__(self, path, slots, sector=512, esp=None, **headers):
        self.path, self.sector = path, sector
        parts = [] if esp is None else [
            ("EFI-SYSTEM", ESP_TYPE, uuid_of("EFI-SYSTEM"), ESP_MIB * MIB, 0)]
        parts += [(label, SLOT_TYPE, uuid_of(label), len(content), bits)
                  for label, (content, bits) in slots.items()]
        self.starts = write_table(path, parts or [("none", ESP_TYPE, uuid_of("none"), MIB, 0)],
                                  sector, **headers)
        if esp is not None:
            self.put("EFI-SYSTEM", esp)
        for label, (content, _) in slots.items():
            self.put(label, content)

    def put(self, label, content):
        with open(self.path, "r+b") as disk:
            disk.seek(self.starts[label])
            disk.write(content)

    def bits(self, label):
        """Of a table that is good."""
        assert not table_problems(self.path, self.sector), table_problems(self.path, self.sector)
        return read_attributes(self.path, self.sector)[label]

    def everything_else(self):
        """A digest of all that is no partition table."""
        with open(self.path, "rb") as disk:
            size = disk.seek(0, 2)
            disk.seek(MIB)
            return hashlib.sha256(disk.read(size - 2 * MIB)).hexdigest()


class ChooserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reasons = [needs(path) for path in (FIRMWARE, BOOT / "chooserx64.efi")]
        reasons += [None if find_tool(tool) else f"{tool} is not installed"
                    for tool in ("qemu-system-x86_64", "mkfs.vfat", "mcopy")]
        for reason in filter(None, reasons):
            raise unittest.SkipTest(reason)

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.n_boots = 0

    def esp(self, files=None, sector=512, chooser=BOOT / "chooserx64.efi", is_full=False):
        """The bytes of a file system with the chooser, and files of these names in EFI/flipside."""
        image = self.lab.folder / "esp"
        with open(image, "wb") as file:
            file.truncate(ESP_MIB * MIB)
        run(["/sbin/mkfs.vfat", "-F", "16", "-S", sector, "-s", 1 if sector == 4096 else 4,
             "-n", "EFI-SYSTEM", image])
        run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT", "::/EFI/flipside"])
        run(["mcopy", "-i", image, chooser, "::/EFI/BOOT/BOOTX64.EFI"])
        for name, content in (files or {}).items():
            source = self.lab.folder / "file.efi"
            source.write_bytes(content)
            run(["mcopy", "-i", image, source, f"::/EFI/flipside/{name}.efi"])
        if is_full:
            self.fill(image)
        return image.read_bytes()

    def fill(self, image):
        """Takes the last free cluster of a FAT16."""
        content = bytearray(image.read_bytes())
        sector, _, reserved, n_fats = struct.unpack_from("<HBHB", content, 11)
        n_fat_sectors = struct.unpack_from("<H", content, 22)[0]
        for copy in range(n_fats):
            at = (reserved + copy * n_fat_sectors) * sector
            for entry in range(at, at + n_fat_sectors * sector, 2):
                if content[entry:entry + 2] == b"\0\0":
                    content[entry:entry + 2] = b"\xff\xff"
        image.write_bytes(content)
        self.assertIn(" 0 bytes free", run(["mdir", "-i", image, "::/"]).stdout.replace("  ", " "))

    def make(self, slots, sector=512, esp=None, **headers):
        """The disk to boot from."""
        esp = self.esp(sector=sector) if esp is None else esp
        self.disk = Disk(self.lab.folder / "disk.raw", slots, sector, esp, **headers)

    def boot(self, bus="virtio-blk", until=OVER, options="", more=(), fails_at=None, **machine):
        """Switches on; returns what the chooser and what it started said, when it is over. more:
        further disks. fails_at: the sector whose writing fails. What is no partition table is not
        changed by it."""
        self.n_boots += 1
        before = self.disk.everything_else()
        drive = f"if=none,id=disk0,format=raw,cache=unsafe,file={self.disk.path}{options}"
        if fails_at is not None:
            drive = ("if=none,id=disk0,driver=raw,file.driver=blkdebug,"
                     f"file.image.driver=file,file.image.filename={self.disk.path},"
                     f"file.inject-error.0.event=none,file.inject-error.0.iotype=write,"
                     f"file.inject-error.0.sector={fails_at},file.inject-error.0.errno=5")
        arguments = ["-drive", drive, *BUSES[bus]]
        for number, disk in enumerate(more, 1):
            arguments += ["-drive", f"if=none,id=disk{number},format=raw,cache=unsafe,"
                          f"file={disk.path}", "-device", f"virtio-blk-pci,drive=disk{number}"]
        qemu = Qemu(self.lab, self.lab.folder / f"boot-{self.n_boots}", arguments, memory_mib=256,
                    **machine)
        try:
            qemu.wait("the chooser's end", lambda: until.search(qemu.text()))
        finally:
            text = qemu.text()
            qemu.cut_power()
        lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
        said = [line[line.index(key):] for line in lines for key in ("flipside: ", "payload: ")
                if key in line]
        for line in said:
            print(f"# {line}", flush=True)
        self.assertEqual(self.disk.everything_else(), before)
        self.is_in_firmware = "Interactive Shell" in text
        return said

    def assert_said(self, said, *expected):
        """These lines, one after the other, and others between them."""
        lines = iter(said)
        for words in expected:
            self.assertTrue(any(words in line for line in lines), f"'{words}' in {said}")

    def assert_started(self, said, label):
        self.assertEqual(said[-1], f"payload: {uuid_of(label)}")

    def assert_demoted(self, said, label, reason):
        line = next((line for line in said if f"{label} cannot be loaded: " in line), "")
        self.assertIn(f"cannot be loaded: {reason}", line)
        self.assertIn("; it does not boot until it is prioritized", line)
        self.assertEqual(self.disk.bits(label), 0)
