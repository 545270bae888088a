# SPDX-License-Identifier: Apache-2.0
"""What a machine wrote to its disk and when it flushed, as QEMU's blklogwrites notes it (the format
of the kernel's dm-log-writes), and the disks that a power cut could have left: all that was
flushed, and of what was written since any sectors, each of them whole."""
import itertools
import random
import struct

SUPERBLOCK = struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


class Write:
    """At a byte of the disk; its content lies in the log."""

    def __init__(self, at, n_bytes, log_at):
        self.at, self.n_bytes, self.log_at = at, n_bytes, log_at


def windows(log, sector=512):
    """The writes between two flushes, one list after the other; the last was never flushed."""
    found = [[]]
    with open(log, "rb") as file:
        magic, version, n_entries, log_sector = SUPERBLOCK.unpack(file.read(SUPERBLOCK.size))
        assert (magic, version, log_sector) == (MAGIC, 1, sector), "no write log"
        at = sector
        for _ in range(n_entries):
            file.seek(at)
            first, n_sectors, flags, _ = ENTRY.unpack(file.read(ENTRY.size))
            at += sector
            assert not flags & FUA, "QEMU flushes instead"
            if n_sectors and not flags & DISCARD:
                found[-1].append(Write(first * sector, n_sectors * sector, at))
                at += n_sectors * sector
            if flags & FLUSH:
                found.append([])
    return found


class Replay:
    """A copy of the disk that goes through a log, flush by flush."""

    def __init__(self, disk, log, sector=512):
        self.disk, self.log, self.sector = disk, log, sector
        self.windows = windows(log, sector)
        self.random = random.Random(1)

    def content(self, write):
        with open(self.log, "rb") as file:
            file.seek(write.log_at)
            return file.read(write.n_bytes)

    def put(self, at, content):
        with open(self.disk, "r+b") as file:
            file.seek(at)
            file.write(content)

    def get(self, at, n_bytes):
        with open(self.disk, "rb") as file:
            file.seek(at)
            return file.read(n_bytes)

    def flush(self, window):
        for write in window:
            self.put(write.at, self.content(write))

    def changed_sectors(self, window, places):
        """[(at, old, new)] of the sectors in these places (start, size) that the window changes."""
        new = {}
        for write in window:
            content = self.content(write) if any(
                write.at < start + size and start < write.at + write.n_bytes
                for start, size in places) else b""
            for i in range(0, len(content), self.sector):
                new[write.at + i] = content[i:i + self.sector]
        changed = [(at, self.get(at, self.sector), content) for at, content in sorted(new.items())
                   if any(start <= at < start + size for start, size in places)]
        return [change for change in changed if change[1] != change[2]]

    def cuts(self, window, places):
        """Leaves the disk in each state that a cut in this window could: every subset of the sectors
        in these places that change, and of what is written elsewhere nothing, all, or some."""
        sectors = self.changed_sectors(window, places)
        assert len(sectors) <= 8, "more sectors at once than there are subsets to look at"
        others = [write for write in window if not any(
            start <= write.at < start + size for start, size in places)]
        some = [write for write in others if self.random.random() < 0.5]
        for kept in {len(chosen): chosen for chosen in ([], some, others)}.values():
            old = [(write.at, self.get(write.at, write.n_bytes)) for write in kept]
            self.flush(kept)
            for n in range(len(sectors) + 1):
                for subset in itertools.combinations(sectors, n):
                    for at, _, new in subset:
                        self.put(at, new)
                    yield subset
                    for at, before, _ in subset:
                        self.put(at, before)
            for at, before in reversed(old):
                self.put(at, before)


