#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was built for the firmware is what a firmware takes: PE32+ of the right machine, an
application, made of itself alone, which can lie anywhere in memory and has no page that is both
written and run.

usage: boot-images.py MACHINE IMAGE [MACHINE IMAGE]...        MACHINE: x64, aa64; prints TAP
"""
import struct
import sys
from pathlib import Path

# PE Format, Microsoft: section numbers and names are its own.
MACHINES = {"x64": 0x8664, "aa64": 0xaa64}
PE32_PLUS, EFI_APPLICATION = 0x20b, 10
RELOCATIONS_STRIPPED, EXECUTABLE_IMAGE = 0x1, 0x2
NX_COMPATIBLE = 0x100
IMPORTS, RELOCATIONS, DELAYED_IMPORTS = 1, 5, 13
RUN, WRITTEN = 0x20000000, 0x80000000
PAGE, SIZE_MAX = 4096, 64 * 1024

COFF = struct.Struct("<HHIIIHH")
OPTIONAL = struct.Struct("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII")
SECTION = struct.Struct("<8sIIIIIIHHI")


class Image:
    def __init__(self, data):
        assert data[:2] == b"MZ", "no DOS header"
        at = struct.unpack_from("<I", data, 60)[0]
        assert data[at:at + 4] == b"PE\0\0", "no PE header"
        self.machine, n_sections, _, _, _, n_optional, self.characteristics = COFF.unpack_from(
            data, at + 4)
        at += 4 + COFF.size
        optional = OPTIONAL.unpack_from(data, at)
        self.magic, self.entry, self.alignment = optional[0], optional[6], optional[9]
        self.subsystem, self.flags, n_directories = optional[21], optional[22], optional[28]
        self.directories = [struct.unpack_from("<II", data, at + OPTIONAL.size + 8 * i)
                            for i in range(n_directories)]
        self.sections = [SECTION.unpack_from(data, at + n_optional + SECTION.size * i)
                         for i in range(n_sections)]

    def directory_bytes(self, index):
        return self.directories[index][1] if index < len(self.directories) else 0

    def section_of(self, address):
        return next((s for s in self.sections if s[2] <= address < s[2] + s[1]), None)


def complaints_of(data, machine):
    try:
        image = Image(data)
    except (AssertionError, struct.error) as reason:
        return [str(reason)]
    entry = image.section_of(image.entry)
    checks = {
        "it is no PE32+": image.magic == PE32_PLUS,
        f"its machine is {image.machine:#x}": image.machine == MACHINES[machine],
        f"its subsystem is {image.subsystem}": image.subsystem == EFI_APPLICATION,
        "it is not marked as executable": image.characteristics & EXECUTABLE_IMAGE,
        "it imports something": not (image.directory_bytes(IMPORTS) or
                                     image.directory_bytes(DELAYED_IMPORTS)),
        "it cannot be moved": (not image.characteristics & RELOCATIONS_STRIPPED and
                               image.directory_bytes(RELOCATIONS)),
        "it is not made for memory that is not run": image.flags & NX_COMPATIBLE,
        f"its sections begin on {image.alignment} bytes": image.alignment % PAGE == 0,
        "a section is both written and run": not any(s[9] & RUN and s[9] & WRITTEN
                                                     for s in image.sections),
        "its entry point is in no section that is run": entry and entry[9] & RUN,
        f"it has {len(data)} bytes, more than {SIZE_MAX}": len(data) <= SIZE_MAX,
        "it names a folder of the machine that built it": b"/home/" not in data and
                                                          str(Path.cwd()).encode() not in data,
    }
    return [complaint for complaint, holds in checks.items() if not holds]


def main():
    pairs = list(zip(sys.argv[1::2], sys.argv[2::2]))
    n_failed = 0
    for number, (machine, path) in enumerate(pairs, 1):
        data = Path(path).read_bytes()
        complaints = complaints_of(data, machine)
        n_failed += bool(complaints)
        name = f"{Path(path).name}: {machine}, {len(data)} bytes"
        print(f"{'not ok' if complaints else 'ok'} {number} - {name}")
        for line in complaints:
            print(f"# {line}")
    print(f"1..{len(pairs)}")
    return 1 if n_failed or not pairs else 0


sys.exit(main())
