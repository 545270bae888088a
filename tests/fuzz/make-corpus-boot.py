#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the corpora of the boot chooser's fuzzers, corpus/{slot-trailer,chooser,device-path}, by
code that shares nothing with ours. A file is named for what it is or the rule that it breaks."""
import struct
import sys
import uuid
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CORPUS = TESTS / "fuzz/corpus"
sys.path += [str(TESTS / "integration"), str(TESTS / "vm")]
from gpt_image import ENTRY, attributes, make_header  # noqa: E402
from slot_image import BLOCK, MAGIC, TRAILER, hash_tree, padded, slot_image, trailer  # noqa: E402

SLOT_TYPE = uuid.UUID("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6")
OTHER_TYPE = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def write(folder, name, content):
    path = CORPUS / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# slot-trailer: mode, size of the slot, block (fuzz-slot-trailer.c).

AS_IT_IS, SEALED = 0, 1
FS = b"\x5a" * 2 * BLOCK
TREE, ROOT = hash_tree(FS, b"salt")
SLOT_BYTES = 8 * BLOCK


def put_trailer(name, block=None, slot_bytes=SLOT_BYTES, mode=SEALED, at=None, put=b"", **parts):
    """A trailer of these parts, in which the bytes at some place are others."""
    block = bytearray(trailer(parts.pop("fs_bytes", len(FS)), parts.pop("product", "demo"),
                              parts.pop("version", "2.0"), **parts) if block is None else block)
    if at is not None:
        block[at:at + len(put)] = put
    write("slot-trailer", name, struct.pack("<BQ", mode, slot_bytes) + block)


def make_trailers():
    with_tree = {"tree": TREE, "root": ROOT, "salt": b"salt"}
    kernel = b"a kernel" * 700
    put_trailer("good", **with_tree, uki=kernel)
    put_trailer("good-with-its-own-checksum", mode=AS_IT_IS, **with_tree, uki=kernel)
    put_trailer("good-file-system-alone")
    put_trailer("good-kernel-without-tree", uki=kernel)
    put_trailer("good-tree-without-kernel", **with_tree)
    put_trailer("good-salt-of-32", tree=TREE, root=ROOT, salt=b"s" * 32)
    put_trailer("good-longest-texts", product="p" * 127, version="v" * 127)
    put_trailer("good-gap-before-the-kernel", **with_tree, uki=kernel, uki_offset=4 * BLOCK)
    put_trailer("good-slot-of-4-gib", slot_bytes=1 << 32, **with_tree, uki=kernel,
                uki_offset=(1 << 32) - 3 * BLOCK)
    put_trailer("good-as-large-as-can-be", slot_bytes=2 ** 64 - BLOCK, fs_bytes=BLOCK, uki=kernel,
                uki_offset=2 ** 64 - 4 * BLOCK)
    put_trailer("no-magic", at=0, put=b"flipside")
    put_trailer("wrong-checksum", mode=AS_IT_IS, at=3000, put=b"\1", **with_tree)
    put_trailer("format-2", at=16, put=b"\2")
    put_trailer("no-file-system", fs_bytes=0)
    put_trailer("file-system-not-of-blocks", fs_bytes=BLOCK + 1)
    put_trailer("file-system-past-the-end", fs_bytes=SLOT_BYTES)
    put_trailer("salt-of-33", at=20, put=b"\x21", **with_tree)
    put_trailer("salt-longer-than-it-says", at=20, put=b"\3", **with_tree)
    put_trailer("salt-without-tree", salt=b"salt")
    put_trailer("root-without-tree", root=ROOT)
    put_trailer("tree-over-the-file-system", **with_tree, tree_offset=BLOCK)
    put_trailer("tree-of-another-size", tree=TREE + bytes(BLOCK), root=ROOT, salt=b"salt")
    put_trailer("tree-past-the-end", **with_tree, tree_offset=SLOT_BYTES - BLOCK)
    put_trailer("tree-at-the-end-of-numbers", **with_tree, tree_offset=2 ** 64 - BLOCK)
    put_trailer("kernel-over-the-tree", **with_tree, uki=kernel, uki_offset=len(FS))
    put_trailer("kernel-not-on-a-block", uki=kernel, uki_offset=len(FS) + 512)
    put_trailer("kernel-past-the-end", uki=kernel, uki_offset=SLOT_BYTES - 2 * BLOCK)
    put_trailer("kernel-at-the-end-of-numbers", uki=kernel, uki_offset=2 ** 64 - BLOCK)
    put_trailer("kernel-above-1-gib", slot_bytes=1 << 33, at=56, put=struct.pack("<Q", 2 ** 30 + 1),
                uki=kernel)
    put_trailer("kernel-of-no-bytes-with-a-checksum", uki_sha256=b"\1" * 32)
    put_trailer("product-empty", product="")
    put_trailer("product-without-end", product="p" * 128)
    put_trailer("product-with-a-tail", at=160 + 100, put=b"x")
    put_trailer("version-with-a-control", version="2\x1b[0m")
    put_trailer("version-not-ascii", version="2\xe4")
    put_trailer("reserved-not-empty", at=4000, put=b"\1")
    put_trailer("slot-smaller-than-the-trailer", slot_bytes=BLOCK - 1)
    put_trailer("slot-of-a-trailer", slot_bytes=BLOCK)
    put_trailer("empty", block=b"")


# chooser: mode, writes that succeed, eight answers, disk (fuzz-chooser.c).

BIG_SECTORS, SEAL_TABLE, SEAL_SLOTS, READ_ONLY, HUGE = 1, 2, 4, 8, 16
COMES_BACK, RUNS_ON, REFUSED, HINDERED = range(4)
N_ENTRIES = 8
GAP = 1 << 50
GOOD, NEW = attributes(1, 0, True), attributes(2, 3)
PRIMARY, BACKUP = "primary", "backup"


def slot(**wrong):
    return slot_image(b"\x5a" * BLOCK, **{"uki": b"kernel" * 100, "tree": b"", "root": b"",
                                          "salt": b"", **wrong})


class Disk:
    """Two slots, one behind the other, and both copies of the table."""

    def __init__(self, slots=None, labels=("USR-A", "USR-B"), bits=(GOOD, NEW), sector=512, gap=0,
                 types=(SLOT_TYPE, SLOT_TYPE)):
        slots = slots or [slot(), slot()]
        self.sector = sector
        n_table = max(1, N_ENTRIES * ENTRY.size // sector)
        self.first = at = 2 + n_table
        entries = b""
        self.slot_at = []
        for number, content in enumerate(slots):
            n = len(content) // sector
            entries += ENTRY.pack(types[number].bytes_le, bytes([0x41 + number]) * 16, at,
                                  at + n - 1, bits[number], labels[number].encode("utf-16-le"))
            self.slot_at.append(at)
            at += n
        self.entries = entries.ljust(N_ENTRIES * ENTRY.size, b"\0")
        self.last = gap + at + n_table
        self.last_usable = gap + at - 1
        self.places = {PRIMARY: (1, 2), BACKUP: (self.last, self.last - n_table)}
        self.data = bytearray((at + n_table + 1) * sector)
        self.gap = gap
        for content, start in zip(slots, self.slot_at):
            self.data[start * sector:start * sector + len(content)] = content
        for copy in self.places:
            self.put_copy(copy)

    def at(self, lba):
        """The byte of a sector; what is behind the gap lies at the end."""
        return (lba - self.gap if self.gap and lba > self.gap else lba) * self.sector

    def put_copy(self, copy, entries=None, **changed):
        """Writes a copy in which some fields are others."""
        entries = entries or self.entries
        (own, table), other = self.places[copy], self.places[
            BACKUP if copy == PRIMARY else PRIMARY][0]
        header = make_header(entries, **{"own": own, "other": other, "table": table,
                                         "first": self.first, "last": self.last_usable, **changed})
        self.data[self.at(own):self.at(own) + len(header)] = header
        self.data[self.at(table):self.at(table) + len(entries)] = entries
        return self

    def damage(self, *copies):
        for copy in copies:
            self.data[self.at(self.places[copy][0]) + 60] ^= 0x81
        return self

    def change(self, slot_number, offset):
        self.data[self.slot_at[slot_number] * self.sector + offset] ^= 1
        return self


def put_disk(name, disk, mode=0, n_writes=255, answers=(RUNS_ON,)):
    answers = bytes(answers) + bytes([answers[-1]]) * (8 - len(answers))
    mode |= BIG_SECTORS if disk.sector == 4096 else 0
    mode |= HUGE if disk.gap else 0
    write("chooser", name, bytes([mode, n_writes]) + answers + disk.data)


def make_disks():
    put_disk("good", Disk())
    put_disk("good-sealed", Disk(), mode=SEAL_TABLE | SEAL_SLOTS)
    put_disk("good-4096", Disk(sector=4096))
    put_disk("comes-back", Disk(), answers=[COMES_BACK])
    put_disk("cannot-announce", Disk(), answers=[RUNS_ON | 4])
    put_disk("refused", Disk(), answers=[REFUSED, RUNS_ON])
    put_disk("all-refused", Disk(), answers=[REFUSED])
    put_disk("hindered-then-refused", Disk(), answers=[HINDERED, REFUSED])
    put_disk("read-only", Disk(), mode=READ_ONLY)
    put_disk("read-only-and-nothing-good", Disk(bits=(NEW, NEW)), mode=READ_ONLY)
    for n_writes in (0, 1, 3, 4, 7):
        put_disk(f"write-{n_writes + 1}-fails", Disk(), n_writes=n_writes,
                 answers=[REFUSED, RUNS_ON])
    put_disk("primary-damaged", Disk().damage(PRIMARY), answers=[COMES_BACK])
    put_disk("backup-damaged", Disk().damage(BACKUP), answers=[COMES_BACK])
    put_disk("both-damaged", Disk().damage(PRIMARY, BACKUP))
    disk = Disk()
    put_disk("copies-differ", disk.put_copy(BACKUP, disk.entries.replace(b"A\0", b"C\0")))
    put_disk("no-priority", Disk(bits=(attributes(0, 3, True), attributes(0, 1))))
    put_disk("tries-spent", Disk(bits=(GOOD, attributes(2))))
    put_disk("starts-enough", Disk(bits=(GOOD, attributes(2, 0, True, 4))))
    put_disk("starts-full", Disk(bits=(attributes(1, 0, True, 15), attributes(2, 0, True, 15))),
             answers=[COMES_BACK])
    put_disk("good-with-tries", Disk(bits=(GOOD, attributes(2, 3, True))), mode=READ_ONLY)
    put_disk("other-bits", Disk(bits=(GOOD | 5 | 7 << 61, NEW | 2 << 61)), answers=[COMES_BACK])
    put_disk("no-trailer", Disk([slot(), bytes(4 * BLOCK)]))
    put_disk("no-kernel", Disk([slot(), slot(uki=b"")]))
    put_disk("slot-of-two-sectors", Disk([slot(), bytes(1024)]))
    put_disk("trailer-damaged", Disk().change(1, 2 * BLOCK + 3000))
    put_disk("kernel-altered", Disk().change(1, BLOCK + 5))
    put_disk("kernel-past-the-end", Disk([slot(), slot(uki_offset=2 * BLOCK)]), mode=SEAL_SLOTS)
    put_disk("file-system-missing", Disk([slot(), slot()[BLOCK:]]), mode=SEAL_SLOTS)
    for name, label in (("above", ".."), ("with-a-folder", "a\\b"), ("empty", ""),
                        ("with-a-control", "U\x1bR"), ("with-a-blank", "a b"),
                        ("long", "L" * 36), ("half-a-pair", "\ud800")):
        plain = Disk([slot(), bytes(4 * BLOCK)], labels=("USR-A", "?"))
        raw = label.encode("utf-16-le", "surrogatepass").ljust(72, b"\0")
        at = ENTRY.size + 56
        plain.entries = plain.entries[:at] + raw + plain.entries[at + 72:]
        put_disk(f"label-{name}", plain.put_copy(PRIMARY).put_copy(BACKUP))
    put_disk("labels-equal", Disk(labels=("USR-A", "USR-A")))
    put_disk("no-slot", Disk(types=(OTHER_TYPE, OTHER_TYPE)))
    put_disk("one-slot-is-another's", Disk(types=(SLOT_TYPE, OTHER_TYPE)))
    put_disk("huge", Disk(gap=GAP), answers=[COMES_BACK])
    last = Disk(gap=GAP)
    at = ENTRY.size + 40
    last.entries = (last.entries[:at] + struct.pack("<Q", last.last_usable) +
                    last.entries[at + 8:])
    put_disk("huge-slot", last.put_copy(PRIMARY).put_copy(BACKUP), answers=[COMES_BACK])
    for name, changed in (("no-room-for-the-backup", {"last": Disk().last - 1}),
                          ("count-of-4-gib", {"n_entries": 2 ** 32 - 1}),
                          ("count-none", {"n_entries": 0}), ("entry-size-none", {"entry_size": 0}),
                          ("entry-size-of-2-gib", {"entry_size": 2 ** 31}),
                          ("entries-outside", {"table": 2 ** 40}),
                          ("usable-backwards", {"first": 60}),
                          ("other-copy-outside", {"other": 2 ** 40}),
                          ("header-of-512", {"header_size": 512})):
        put_disk(name, Disk().put_copy(PRIMARY, **changed).put_copy(BACKUP, **changed),
                 mode=SEAL_TABLE)


# device-path: length of the first, the first, the second (fuzz-device-path.c).

def node(kind, subtype, data=b"", n_bytes=None):
    return struct.pack("<BBH", kind, subtype, 4 + len(data) if n_bytes is None else n_bytes) + data


END = node(0x7f, 0xff)
DISK = node(2, 1, b"acpi-pci") + node(1, 1, b"\2\x1f")


def partition(signature_type=2):
    return node(4, 1, struct.pack("<IQQ16sBB", 2, 2048, 4096, b"\x42" * 16, 2, signature_type))


def put_paths(name, path, disk=DISK + END):
    write("device-path", name, struct.pack("<H", len(path)) + path + disk)


def make_paths():
    put_paths("partition-on-its-disk", DISK + partition() + END)
    put_paths("partition-on-another-disk", node(2, 1, b"acpi-pc2") + partition() + END)
    put_paths("partition-of-an-mbr", DISK + partition(1) + END)
    put_paths("partition-then-a-file", DISK + partition() + node(4, 4, b"a\0\0\0") + END)
    put_paths("the-same", DISK + END)
    put_paths("end-alone", END, END)
    put_paths("end-of-an-instance", DISK + node(0x7f, 1) + DISK + END)
    put_paths("partition-too-short", DISK + node(4, 1, b"\2\0\0\0") + END)
    put_paths("no-end", DISK, partition())
    put_paths("node-of-no-length", DISK + node(1, 1, n_bytes=0) + END)
    put_paths("node-of-three", DISK + node(1, 1, n_bytes=3) + END)
    put_paths("node-of-65535", node(4, 1, n_bytes=65535) + DISK + END)
    put_paths("node-up-to-the-bound", node(1, 1, bytes(4088)) + END)
    put_paths("node-past-the-bound", node(1, 1, bytes(4089)) + END)
    put_paths("nodes-without-end", node(1, 1) * 1024, node(1, 1) * 1024)
    put_paths("empty", b"", b"")


def main():
    assert MAGIC and TRAILER.size + 32 == BLOCK and padded(b"") == b""
    make_trailers()
    make_disks()
    make_paths()


main()
