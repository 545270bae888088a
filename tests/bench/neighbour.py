# SPDX-License-Identifier: Apache-2.0
"""What somebody else on the host feels of an install: fio reads and writes single blocks of its own
file on the same file system, at a steady rate, and says how long they took."""
import json
import re
import time
from pathlib import Path

from lab import run, wait_for

RATE_IOPS, FILE_MIB, FIRST_WRITES = 400, 64, 16


class Neighbour:
    """fio for as long as the block lasts."""

    def __init__(self, lab):
        self.lab, self.file, self.output = lab, lab.folder / "neighbour", lab.folder / "fio.json"
        self.job = ["fio", "--name=neighbour", f"--filename={self.file}", f"--size={FILE_MIB}M",
                    "--rw=randrw", "--rwmixread=70", "--bs=4k", "--direct=1", "--ioengine=psync",
                    f"--rate_iops={RATE_IOPS * 7 // 10},{RATE_IOPS * 3 // 10}", "--thread",
                    "--time_based", "--runtime=3600", "--output-format=json",
                    f"--output={self.output}"]

    def __enter__(self):
        if not self.file.exists():
            run([*self.job, "--create_only=1"])
        self.output.unlink(missing_ok=True)
        self.process = self.lab.start(self.job, self.lab.folder / "fio.log")
        wait_for("fio to write", self._is_at_work, logs=[self.lab.folder / "fio.log"])
        return self

    def _is_at_work(self):
        text = Path(f"/proc/{self.process.pid}/io").read_text()
        return int(re.search(r"\nwrite_bytes: (\d+)", text)[1]) >= FIRST_WRITES * 4096

    def __exit__(self, *_):
        self.lab.end(self.process)

    def milliseconds(self):
        """The 99th percentiles of its reads and writes."""
        text = self.output.read_text()
        job = json.loads(text[text.index("{"):])["jobs"][0]
        return {f"{kind}_p99_ms": job[kind]["clat_ns"]["percentile"]["99.000000"] / 1e6
                for kind in ("read", "write")}


def alone(lab, seconds):
    """Without an install."""
    with Neighbour(lab) as neighbour:
        end = time.monotonic() + seconds
        wait_for("the time to pass", lambda: time.monotonic() >= end, seconds + 60)
    return neighbour.milliseconds()
