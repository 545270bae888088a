# SPDX-License-Identifier: Apache-2.0
"""A second reader of UEFI programs (PE32+): machine and sections."""
import struct


def sections(data):
    """Name -> content, without the padding that the file's alignment adds."""
    at = struct.unpack_from("<I", data, 0x3C)[0]
    assert data[:2] == b"MZ" and data[at:at + 4] == b"PE\0\0", "no PE file"
    n_sections, n_optional = struct.unpack_from("<2xH12xH", data, at + 4)
    found = {}
    for i in range(n_sections):
        name, size, _, n_raw, offset = struct.unpack_from("<8s4I", data,
                                                          at + 24 + n_optional + 40 * i)
        found[name.rstrip(b"\0").decode()] = data[offset:offset + min(size, n_raw)]
    return found


def addresses(data):
    """(first, behind the last) of each section in memory, in the file's order."""
    at = struct.unpack_from("<I", data, 0x3C)[0]
    n_sections, n_optional = struct.unpack_from("<2xH12xH", data, at + 4)
    fields = [struct.unpack_from("<8x2I", data, at + 24 + n_optional + 40 * i)
              for i in range(n_sections)]
    return [(address, address + size) for size, address in fields]


def of_machine(data, machine):
    """The same program, said to be of another machine."""
    at = struct.unpack_from("<I", data, 0x3C)[0]
    return data[:at + 4] + struct.pack("<H", machine) + data[at + 6:]
