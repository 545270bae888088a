# SPDX-License-Identifier: Apache-2.0
"""The disk of a virtual machine, made and looked at from outside: its table by code of the tests'
own (gpt_image), its firmware's partition by mtools, its root file system by mke2fs and debugfs."""
import contextlib
import os
import uuid

from gpt_image import attributes, read_table, table_places, write_table
from lab import MIB, run

SLOT_TYPE = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ROOT_TYPE = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SIZES = {"EFI-SYSTEM": 40 * MIB, "USR-A": 96 * MIB, "USR-B": 96 * MIB, "ROOT": 48 * MIB}


def make_disk(path, chooser, root_image, slot_image, sector=512):
    """Firmware's partition with the chooser, the image in the first slot, which is good, nothing in
    the second, and a root."""
    kinds = {"EFI-SYSTEM": ESP_TYPE, "ROOT": ROOT_TYPE}
    bits = {"USR-A": attributes(1, 0, True)}
    write_table(path, [(label, kinds.get(label, SLOT_TYPE), str(uuid.uuid4()), n_bytes,
                        bits.get(label, 0)) for label, n_bytes in SIZES.items()], sector)
    firmware = path.with_name(path.name + ".esp")
    with open(firmware, "wb") as file:
        file.truncate(SIZES["EFI-SYSTEM"])
    run(["/sbin/mkfs.vfat", "-F", "32" if sector == 512 else "16", "-S", sector, "-s", "1", "-n",
         "EFI-SYSTEM", firmware])
    run(["mmd", "-i", firmware, "::/EFI", "::/EFI/BOOT", "::/EFI/flipside"])
    run(["mcopy", "-i", firmware, chooser, "::/EFI/BOOT/BOOTX64.EFI"])
    for label, image in (("EFI-SYSTEM", firmware), ("USR-A", slot_image), ("ROOT", root_image)):
        write_part(path, label, image, sector, how="notrunc,sparse")
    firmware.unlink()


def part_start(disk, label, sector=512):
    """In bytes."""
    return read_table(disk, sector)[label].start


def write_part(disk, label, image, sector=512, how="notrunc"):
    run(["dd", f"if={image}", f"of={disk}", "bs=1M", f"seek={part_start(disk, label, sector)}",
         "oflag=seek_bytes", f"conv={how}", "status=none"])


def read_part(disk, label, image, sector=512):
    run(["dd", f"if={disk}", f"of={image}", "bs=1M", f"skip={part_start(disk, label, sector)}",
         f"count={SIZES[label] // MIB}", "iflag=skip_bytes", "conv=sparse", "status=none"])


def table_bytes(disk, sector=512):
    """Both copies of the partition table, as the machine has written them by now."""
    with open(disk, "rb") as file:
        found = b""
        for start, n_bytes in table_places(os.path.getsize(disk), sector):
            file.seek(start)
            found += file.read(n_bytes)
        return found


def n_bytes_allocated(disk, label, sector=512):
    """How much of the partition has been written, where disk is a sparse file."""
    at = start = part_start(disk, label, sector)
    n_bytes, end = 0, start + SIZES[label]
    with open(disk, "rb") as file, contextlib.suppress(OSError):
        while at < end:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
            at = os.lseek(file.fileno(), data, os.SEEK_HOLE)
            n_bytes += max(0, min(at, end) - data)
    return n_bytes


def change_byte(disk, label, offset, sector=512):
    """As a disk that rots."""
    with open(disk, "r+b") as file:
        file.seek(part_start(disk, label, sector) + offset)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0xff]))
