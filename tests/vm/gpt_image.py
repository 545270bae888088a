# SPDX-License-Identifier: Apache-2.0
"""Partition tables of any sector size, by code that shares nothing with ours (UEFI specification
2.10, section 5.3); sgdisk makes none in a file of 4096-byte sectors."""
import struct
import uuid
import zlib

HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
N_ENTRIES = 128


def attributes(priority=0, tries=0, successful=False, starts=0):
    return priority << 48 | tries << 52 | int(successful) << 56 | starts << 57


def write_table(path, parts, sector=512):
    """parts: (label, type, PARTUUID, n_bytes, attributes). Returns label -> first byte."""
    n_table = N_ENTRIES * ENTRY.size // sector
    starts, entries, at = {}, b"", 1 << 20
    for label, kind, unique, n_bytes, bits in parts:
        starts[label] = at
        entries += ENTRY.pack(uuid.UUID(kind).bytes_le, uuid.UUID(unique).bytes_le, at // sector,
                              (at + n_bytes) // sector - 1, bits, label.encode("utf-16-le"))
        at += n_bytes
    disk_guid = uuid.uuid4().bytes
    entries = entries.ljust(N_ENTRIES * ENTRY.size, b"\0")
    last = at // sector + n_table + 1
    with open(path, "wb") as disk:
        disk.truncate((last + 1) * sector)
        disk.seek(446)
        disk.write(struct.pack("<8B2I", 0, 0, 2, 0, 0xee, 255, 255, 255, 1, last))
        disk.seek(510)
        disk.write(b"\x55\xaa")
        for own, other, table in ((1, last, 2), (last, 1, last - n_table)):
            header = bytearray(HEADER.pack(
                b"EFI PART", 0x10000, HEADER.size, 0, 0, own, other, 2 + n_table,
                last - n_table - 1, disk_guid, table, N_ENTRIES, ENTRY.size,
                zlib.crc32(entries)))
            struct.pack_into("<I", header, 16, zlib.crc32(bytes(header)))
            disk.seek(own * sector)
            disk.write(header)
            disk.seek(table * sector)
            disk.write(entries)
    return starts


def read_attributes(path, sector=512):
    """Label -> its attributes, of the primary copy."""
    found = {}
    with open(path, "rb") as disk:
        disk.seek(2 * sector)
        for _ in range(N_ENTRIES):
            kind, _, _, _, bits, name = ENTRY.unpack(disk.read(ENTRY.size))
            if any(kind):
                found[name.decode("utf-16-le").rstrip("\0")] = bits
    return found
