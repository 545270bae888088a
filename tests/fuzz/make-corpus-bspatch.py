#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes corpus/bspatch: patches as they are, and in parts that the fuzzer compresses. A file is named
for what it is or for the rule that it breaks; fuzz-bspatch.c says how it is laid out."""

import bz2
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "bspatch"
LARGEST = (1 << 63) - 1


def number(n):
    return struct.pack("<Q", n if n >= 0 else -n | 1 << 63)


def control(*steps):
    return b"".join(number(n) for step in steps for n in step)


def patch(steps, difference, surplus, n_new, tail=b""):
    streams = [bz2.compress(part, 1) for part in (control(*steps), difference, surplus)]
    return (b"BSDIFF40" + number(len(streams[0])) + number(len(streams[1])) + number(n_new) +
            b"".join(streams) + tail)


def whole(name, data, n_old=1000):
    (FOLDER / name).write_bytes(struct.pack("<BH", 1, n_old) + data)


def parts(name, steps, difference, surplus, n_new, n_old=1000):
    data = control(*steps)
    head = struct.pack("<BHHHH", 0, n_old, len(data), len(difference), n_new)
    (FOLDER / name).write_bytes(head + data + difference + surplus)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    good = patch([(100, 10, 500), (50, 0, -600)], bytes(150), b"0123456789", 160)
    whole("good", good)
    whole("good-empty", patch([], b"", b"", 0))
    whole("cut", good[:60])
    whole("header-alone", good[:32])
    whole("header-cut", good[:31])
    whole("another-format", b"BSDF2" + good[5:])
    whole("control-negative", good[:8] + number(-1) + good[16:])
    whole("control-past-the-end", good[:8] + number(LARGEST) + good[16:])
    whole("difference-past-the-end", good[:16] + number(LARGEST) + good[24:])
    whole("new-of-2-to-the-63", good[:24] + number(LARGEST) + good[32:])
    whole("followed-by-something", good + b"x")
    whole("difference-longer-than-the-new", patch([(10, 0, 0)], bytes(1 << 20), b"", 10))
    whole("control-of-empty-steps", patch([(0, 0, 0)] * 100000, b"", b"", 10))

    parts("parts-good", [(100, 10, 500), (50, 0, -600)], bytes(150), b"0123456789", 160)
    parts("parts-first-step-empty", [(0, 0, 900), (100, 0, 0)], bytes(100), b"", 100)
    parts("parts-all-surplus", [(0, 300, 0)], b"", bytes(range(100)) * 3, 300)
    parts("parts-all-of-the-old", [(1000, 0, 0)], bytes(1000), b"", 1000)
    parts("parts-larger-than-a-piece", [(40000, 0, -40000), (20000, 0, 0)], bytes(60000), b"", 60000,
          n_old=40000)
    parts("parts-nothing-old", [(0, 5, 0)], b"", b"01234", 5, n_old=0)
    parts("parts-step-negative", [(-1, 0, 0)], b"", b"", 10)
    parts("parts-surplus-negative", [(0, -1, 0)], b"", b"", 10)
    parts("parts-step-too-long", [(11, 0, 0)], bytes(11), b"", 10)
    parts("parts-step-overflows", [(LARGEST, LARGEST, LARGEST)], bytes(11), b"", 10)
    parts("parts-read-past-the-old", [(0, 0, 999), (2, 0, 0)], bytes(2), b"", 2)
    parts("parts-move-past-the-old", [(1, 0, 1000), (0, 1, 0)], bytes(1), b"x", 2)
    parts("parts-move-before-the-old", [(1, 0, -2), (0, 1, 0)], bytes(1), b"x", 2)
    parts("parts-move-by-all", [(0, 0, LARGEST), (0, 0, LARGEST), (1, 0, 0)], bytes(1), b"", 1)
    parts("parts-too-few-steps", [(1, 0, 0)], bytes(1), b"", 2)
    parts("parts-too-many-steps", [(1, 0, 0), (0, 0, 0)], bytes(1), b"", 1)
    parts("parts-difference-too-short", [(2, 0, 0)], bytes(1), b"", 2)
    parts("parts-surplus-too-long", [(1, 0, 0)], bytes(1), b"x", 1)


if __name__ == "__main__":
    main()
