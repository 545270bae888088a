#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The boot chooser under a real firmware, on every kind of disk, with kernels that it must refuse.
Instead of a kernel a few kilobytes say from which slot they were started."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from disk_image import SLOT_TYPE  # noqa: E402
from gpt_image import attributes, read_attributes, write_table  # noqa: E402
from lab import BUILD_ROOT, MIB, Lab, main, run  # noqa: E402
from qemu import FIRMWARE, Qemu  # noqa: E402
from slot_image import BLOCK, padded, slot_image  # noqa: E402
from distribution import find_tool  # noqa: E402

BOOT = BUILD_ROOT / "partitions/boot"
PAYLOADS = BUILD_ROOT / "tests/vm"
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
UUIDS = {"USR-A": "aaaaaaaa-1111-4111-8111-111111111111",
         "USR-B": "bbbbbbbb-2222-4222-8222-222222222222"}
ESP_MIB, SLOT_MIB = 33, 2
GOOD = attributes(1, 0, True)
NEW = attributes(2, 3)

BUSES = {
    "virtio-blk": ["-device", "virtio-blk-pci,drive=disk0,bootindex=1"],
    "virtio-scsi": ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=disk0,bootindex=1"],
    "nvme": ["-device", "nvme,drive=disk0,serial=1,bootindex=1"],
    "ahci": ["-device", "ide-hd,drive=disk0,bus=ide.0,bootindex=1"],
    "4096-byte sectors": ["-device", "virtio-blk-pci,drive=disk0,bootindex=1,"
                          "logical_block_size=4096,physical_block_size=4096"],
}


def needs(path):
    return None if Path(path).exists() else f"{path} is not there (tests/install-packages vm boot)"


def filled(content):
    """A slot of SLOT_MIB whose trailer is at its end."""
    return content[:-BLOCK] + bytes(SLOT_MIB * MIB - len(content)) + content[-BLOCK:]


def slot(payload="payload.efi", **wrong):
    kernel = (PAYLOADS / payload).read_bytes()
    return filled(slot_image(b"\x5a" * 4 * BLOCK, uki=kernel, **wrong))


class Chooser(unittest.TestCase):
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
        self.disk = self.lab.folder / "disk.raw"
        self.n_boots = 0

    def make(self, a=b"", b=b"", a_bits=GOOD, b_bits=NEW, sector=512, esp_files=()):
        """A disk with the chooser on its ESP and these two slots."""
        self.sector = sector
        self.starts = write_table(self.disk, [
            ("EFI-SYSTEM", ESP_TYPE, "eeeeeeee-3333-4333-8333-333333333333", ESP_MIB * MIB, 0),
            ("USR-A", SLOT_TYPE, UUIDS["USR-A"], SLOT_MIB * MIB, a_bits),
            ("USR-B", SLOT_TYPE, UUIDS["USR-B"], SLOT_MIB * MIB, b_bits)], sector)
        esp = self.lab.folder / "esp"
        with open(esp, "wb") as file:
            file.truncate(ESP_MIB * MIB)
        run(["/sbin/mkfs.vfat", "-F", "16", "-S", sector, "-s", 1 if sector == 4096 else 4,
             "-n", "EFI-SYSTEM", esp])
        run(["mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/flipside"])
        run(["mcopy", "-i", esp, BOOT / "chooserx64.efi", "::/EFI/BOOT/BOOTX64.EFI"])
        for label in esp_files:
            run(["mcopy", "-i", esp, PAYLOADS / "payload.efi", f"::/EFI/flipside/{label}.efi"])
        self.put("EFI-SYSTEM", esp.read_bytes())
        self.put("USR-A", a or slot())
        self.put("USR-B", b or slot())

    def put(self, label, content):
        with open(self.disk, "r+b") as disk:
            disk.seek(self.starts[label])
            disk.write(content)

    def boot(self, bus="virtio-blk", options=""):
        """Switches on; returns what the chooser and what it started said, when it is over."""
        self.n_boots += 1
        drive = f"if=none,id=disk0,format=raw,cache=unsafe,file={self.disk}{options}"
        machine = Qemu(self.lab, self.lab.folder / f"boot-{self.n_boots}",
                       ["-drive", drive, *BUSES[bus]], memory_mib=256)
        over = ("payload: ", "has no slot left", "Shell>", "No bootable option")
        try:
            machine.wait("the chooser's end", lambda: any(
                words in machine.text() for words in over) and machine.text().endswith("\n"))
        finally:
            text = machine.text()
            machine.cut_power()
        lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
        said = [line[line.index(key):] for line in lines for key in ("flipside: ", "payload: ")
                if key in line]
        for line in said:
            print(f"# {line}", flush=True)
        return "\n".join(said)

    def bits(self, label):
        return read_attributes(self.disk, self.sector)[label]

    def assert_started(self, said, label):
        self.assertIn(f"payload: {UUIDS[label]}", said)

    def test_every_kind_of_disk(self):
        for bus in BUSES:
            with self.subTest(bus=bus):
                self.make(sector=4096 if "4096" in bus else 512)
                said = self.boot(bus)
                self.assert_started(said, "USR-B")
                self.assertIn("USR-B is chosen: priority 2, tries 3, of which one is spent now", said)
                self.assertEqual(self.bits("USR-B"), attributes(2, 2))
                self.assertEqual(self.bits("USR-A"), GOOD)


if __name__ == "__main__":
    main()
