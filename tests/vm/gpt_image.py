# SPDX-License-Identifier: Apache-2.0
"""Partition tables of any sector size, by code that shares nothing with ours (UEFI specification
2.10, section 5.3); sgdisk makes none in a file of 4096-byte sectors."""
import os
import struct
import uuid
import zlib

HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
N_ENTRIES = 128


def attributes(priority=0, tries=0, successful=False, starts=0):
    return priority << 48 | tries << 52 | int(successful) << 56 | starts << 57


def make_header(entries, **fields):
    """The bytes of a header whose checksums hold. fields: own, other, table, first, last (sectors);
    what does not follow from the entries may be said otherwise: signature, revision, header_size,
    n_entries, entry_size, entries_crc."""
    field = {"signature": b"EFI PART", "revision": 0x10000, "header_size": HEADER.size,
             "n_entries": len(entries) // ENTRY.size, "entry_size": ENTRY.size,
             "entries_crc": zlib.crc32(entries), **fields}
    header = bytearray(HEADER.pack(
        field["signature"], field["revision"], field["header_size"], 0, 0, field["own"],
        field["other"], field["first"], field["last"], b"\x77" * 16, field["table"],
        field["n_entries"], field["entry_size"], field["entries_crc"]))
    sealed = bytes(header).ljust(min(field["header_size"], 4096), b"\0")[:field["header_size"]]
    struct.pack_into("<I", header, 16, zlib.crc32(sealed))
    return bytes(header)


def write_table(path, parts, sector=512, primary=None, backup=None):
    """parts: (label, type, PARTUUID, n_bytes, attributes). primary and backup: what is to be wrong
    in the copy's header. Returns label -> first byte."""
    n_table = N_ENTRIES * ENTRY.size // sector
    starts, entries, at = {}, b"", 1 << 20
    for label, kind, unique, n_bytes, bits in parts:
        starts[label] = at
        entries += ENTRY.pack(uuid.UUID(kind).bytes_le, uuid.UUID(unique).bytes_le, at // sector,
                              (at + n_bytes) // sector - 1, bits, label.encode("utf-16-le"))
        at += n_bytes
    entries = entries.ljust(N_ENTRIES * ENTRY.size, b"\0")
    last = at // sector + n_table + 1
    with open(path, "wb") as disk:
        disk.truncate((last + 1) * sector)
        disk.seek(446)
        disk.write(struct.pack("<8B2I", 0, 0, 2, 0, 0xee, 255, 255, 255, 1, last))
        disk.seek(510)
        disk.write(b"\x55\xaa")
        for own, other, table, wrong in ((1, last, 2, primary), (last, 1, last - n_table, backup)):
            disk.seek(own * sector)
            disk.write(make_header(entries, **{
                "own": own, "other": other, "table": table, "first": 2 + n_table,
                "last": last - n_table - 1, **(wrong or {})}))
            disk.seek(table * sector)
            disk.write(entries)
    return starts


class Part:
    """An entry; start and size in bytes."""

    def __init__(self, raw, sector):
        kind, unique, first, last, self.attributes, name = ENTRY.unpack(raw)
        self.is_used = any(kind)
        self.unique = str(uuid.UUID(bytes_le=unique))
        self.start, self.size = first * sector, (last - first + 1) * sector
        self.label = name.decode("utf-16-le", errors="replace").rstrip("\0")


def table_places(n_disk_bytes, sector=512):
    """(start, size) in bytes of each copy, header and entries."""
    n_bytes = sector + N_ENTRIES * ENTRY.size
    return [(sector, n_bytes), (n_disk_bytes - n_bytes, n_bytes)]


def read_table(path, sector=512, own=1):
    """Label -> Part, of the copy whose header is at this LBA. AssertionError: it is not valid."""
    with open(path, "rb") as disk:
        disk.seek(own * sector)
        raw = bytearray(disk.read(HEADER.size))
        (signature, revision, n_header, checksum, reserved, at, other, first_usable, last_usable,
         _, table, n_entries, n_entry, entries_checksum) = HEADER.unpack(raw)
        assert signature == b"EFI PART" and n_header == HEADER.size, "no header"
        struct.pack_into("<I", raw, 16, 0)
        assert zlib.crc32(bytes(raw)) == checksum and at == own, "the header's checksum or place"
        assert (revision, reserved, n_entries, n_entry) == (0x10000, 0, N_ENTRIES, ENTRY.size)
        disk.seek(table * sector)
        entries = disk.read(n_entries * n_entry)
    assert zlib.crc32(entries) == entries_checksum, "the entries' checksum"
    parts = [Part(entries[i:i + n_entry], sector) for i in range(0, len(entries), n_entry)]
    for part in filter(lambda part: part.is_used, parts):
        assert first_usable * sector <= part.start, "an entry in the table"
        assert part.start + part.size <= (last_usable + 1) * sector, "an entry in the table"
    return {part.label: part for part in parts if part.is_used}


def table_problems(path, sector=512):
    """What is wrong with the table; "" when both copies are valid and say the same."""
    last = os.path.getsize(path) // sector - 1
    try:
        primary, backup = (read_table(path, sector, own) for own in (1, last))
    except AssertionError as error:
        return str(error)
    return "" if {label: vars(part) for label, part in primary.items()} == {
        label: vars(part) for label, part in backup.items()} else "the copies differ"


def read_attributes(path, sector=512):
    """Label -> its attributes, of the primary copy."""
    return {label: part.attributes for label, part in read_table(path, sector).items()}
