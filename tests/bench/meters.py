# SPDX-License-Identifier: Apache-2.0
"""What an install costs: time, processor, memory, and what reaches the device."""
import dataclasses
import json
import os
import statistics
import sys
from pathlib import Path

from lab import MIB, program, run

TICKS = os.sysconf("SC_CLK_TCK")
SECTOR = 512


@dataclasses.dataclass
class Measured:
    """Of one install, or the medians of several; None: not measured."""
    wall_seconds: float = None
    cpu_seconds: float = None
    peak_mib: float = None
    fetched_bytes: int = None
    n_requests: int = None
    written_bytes: int = None
    data_bytes: int = None  # of them what the daemon wrote itself, without what it had cleared


def median(results):
    def of(name):
        values = [getattr(r, name) for r in results if getattr(r, name) is not None]
        return statistics.median(values) if values else None
    return Measured(*[of(field.name) for field in dataclasses.fields(Measured)])


def forget(path):
    """Takes a file out of the page cache."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


class Target:
    """What is installed to: as root a loop device on the file, else the file itself."""

    def __init__(self, path):
        self.path, self.is_loop = path, os.geteuid() == 0

    def __enter__(self):
        forget(self.path)
        self.place = str(self.path)
        if self.is_loop:
            self.place = run(["losetup", "--direct-io=on", "--find", "--show",
                              self.path]).stdout.strip()
        self.before = self._written()
        return self

    def __exit__(self, *_):
        if self.is_loop:
            run(["losetup", "--detach", self.place])

    def _written(self):
        if not self.is_loop:
            return None
        name = Path(self.place).name
        return int(Path(f"/sys/block/{name}/stat").read_text().split()[6]) * SECTOR

    def written_bytes(self):
        """What the device was given to write; None for a file."""
        if not self.is_loop:
            return None
        fd = os.open(self.place, os.O_RDWR)
        os.fsync(fd)
        os.close(fd)
        return self._written() - self.before


def cpu_seconds(pid):
    """Of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def peak_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_command(command, environment=None):
    """A shell pipeline to its end. Processor time is that of all its processes, the peak that of
    the largest one."""
    done = run([program("measure-command"), command], seconds=1800, env=environment)
    answer = json.loads(done.stdout)
    if answer["status"]:
        sys.exit(f"the measured command failed: {command}\n{done.stderr[-2000:]}")
    return Measured(answer["wall"], answer["cpu"], answer["peak_kib"] / 1024)


def differing_bytes(before, after, block_bytes=4096):
    """How much of `after` is not at the same place in `before`; without before, not zero."""
    n_bytes, zeros = 0, bytes(MIB)
    with open(after, "rb") as new, open(before or os.devnull, "rb") as old:
        while new_piece := new.read(MIB):
            old_piece = old.read(len(new_piece)).ljust(len(new_piece), b"\0") if before else zeros
            if old_piece[:len(new_piece)] == new_piece:
                continue
            for at in range(0, len(new_piece), block_bytes):
                if new_piece[at:at + block_bytes] != old_piece[at:at + block_bytes]:
                    n_bytes += block_bytes
    return n_bytes
