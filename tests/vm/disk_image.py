# SPDX-License-Identifier: Apache-2.0
"""The disk of a virtual machine, made and looked at with sgdisk, mkfs and mtools."""
import contextlib
import os

from lab import MIB, run

SLOT_TYPE = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
ESP_MIB, SLOT_MIB, ROOT_MIB = 40, 96, 48
PARTITIONS = {"EFI-SYSTEM": 1, "USR-A": 2, "USR-B": 3, "ROOT": 4}


def make_disk(path, root_image, slot_image):
    """Firmware's partition with the chooser, the image in the first slot, which is good, nothing in
    the second, and a root."""
    with open(path, "wb") as file:
        file.truncate((ESP_MIB + 2 * SLOT_MIB + ROOT_MIB + 4) * MIB)
    run(["sgdisk", "--clear",
         f"--new=1:0:+{ESP_MIB}M", "--typecode=1:EF00", "--change-name=1:EFI-SYSTEM",
         f"--new=2:0:+{SLOT_MIB}M", f"--typecode=2:{SLOT_TYPE}", "--change-name=2:USR-A",
         f"--new=3:0:+{SLOT_MIB}M", f"--typecode=3:{SLOT_TYPE}", "--change-name=3:USR-B",
         f"--new=4:0:+{ROOT_MIB}M", "--typecode=4:8300", "--change-name=4:ROOT",
         "--attributes=2:set:48", "--attributes=2:set:56", path])
    firmware = path.with_name(path.name + ".esp")
    with open(firmware, "wb") as file:
        file.truncate(ESP_MIB * MIB)
    run(["/sbin/mkfs.vfat", "-F", "32", "-n", "EFI-SYSTEM", firmware])
    run(["mmd", "-i", firmware, "::/EFI", "::/EFI/BOOT", "::/EFI/flipside"])
    write_part(path, "EFI-SYSTEM", firmware)
    firmware.unlink()
    write_part(path, "USR-A", slot_image)
    write_part(path, "ROOT", root_image)


def part_start(disk, label):
    """In bytes."""
    text = run(["sgdisk", "-i", PARTITIONS[label], disk]).stdout
    return int(text.split("First sector:")[1].split()[0]) * 512


def write_part(disk, label, image):
    run(["dd", f"if={image}", f"of={disk}", "bs=1M", f"seek={part_start(disk, label)}",
         "oflag=seek_bytes", "conv=notrunc", "status=none"])


def read_part(disk, label, image):
    n_mib = {"EFI-SYSTEM": ESP_MIB, "ROOT": ROOT_MIB}.get(label, SLOT_MIB)
    run(["dd", f"if={disk}", f"of={image}", "bs=1M", f"skip={part_start(disk, label)}",
         f"count={n_mib}", "iflag=skip_bytes", "conv=sparse", "status=none"])


def table_bytes(disk):
    """Both copies of the partition table, as the machine has written them by now."""
    with open(disk, "rb") as file:
        primary = file.read(34 * 512)
        file.seek(-33 * 512, 2)
        return primary + file.read()


def n_bytes_allocated(disk, label):
    """How much of the partition has been written, where disk is a sparse file."""
    at = start = part_start(disk, label)
    n_bytes, end = 0, start + SLOT_MIB * MIB
    with open(disk, "rb") as file, contextlib.suppress(OSError):
        while at < end:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
            at = os.lseek(file.fileno(), data, os.SEEK_HOLE)
            n_bytes += max(0, min(at, end) - data)
    return n_bytes


def change_byte(disk, label, offset):
    """As a disk that rots."""
    with open(disk, "r+b") as file:
        file.seek(part_start(disk, label) + offset)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0xff]))
