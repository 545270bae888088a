# SPDX-License-Identifier: Apache-2.0
"""A second writer and reader of payloads of format 1, after the description of CoreOS's: it makes
all that a generator of that format may make, and takes apart what update-payload made."""
import bz2
import hashlib
import struct
from pathlib import Path

from lab import MIB
from payload import BLOCK, data, fields, number, sign

HEADER = struct.Struct(">4sQQ")
REPLACE, REPLACE_BZ, MOVE, BSDIFF = 0, 1, 2, 3
KERNEL, PCR_POLICY = 0, 1
HOLE = (1 << 64) - 1


def blocks_of(n_bytes):
    return -(-n_bytes // BLOCK)


def extents(field, pairs):
    return b"".join(data(field, number(1, start) + number(2, count)) for start, count in pairs)


class Operation:
    """One operation; blob: what is sent."""

    def __init__(self, kind, blob=b"", dst=(), src=(), src_length=None, dst_length=None,
                 sha256=None):
        self.kind, self.blob, self.dst, self.src = kind, blob, dst, src
        self.src_length, self.dst_length = src_length, dst_length
        self.sha256 = sha256 or hashlib.sha256(blob).digest()

    def encoded(self, offset):
        out = number(1, self.kind)
        if self.blob:
            out += number(2, offset) + number(3, len(self.blob))
        out += extents(4, self.src)
        out += number(5, self.src_length) if self.src_length is not None else b""
        out += extents(6, self.dst)
        out += number(7, self.dst_length) if self.dst_length is not None else b""
        return out + (data(8, self.sha256) if self.blob else b"")


def operations_of(content, chunk=MIB):
    """As delta_generator cuts a full image: the last operation's extent is as long as the others'."""
    out = []
    for at in range(0, len(content), chunk):
        piece = content[at:at + chunk]
        packed = bz2.compress(piece)
        kind, blob = (REPLACE_BZ, packed) if len(packed) < len(piece) else (REPLACE, piece)
        out.append(Operation(kind, blob, [(at // BLOCK, chunk // BLOCK)]))
    return out


def info(content, sha256=None):
    return number(1, len(content)) + data(2, sha256 or hashlib.sha256(content).digest())


def bsdiff(old, new):
    """A patch of the format BSDIFF40 that takes old as it stands, and what is longer as it is."""
    n = min(len(old), len(new))
    parts = [bz2.compress(part) for part in (
        struct.pack("<qqq", n, len(new) - n, 0),
        bytes((b - a) & 255 for a, b in zip(old, new)), new[n:])]
    return (struct.pack("<8sqqq", b"BSDIFF40", len(parts[0]), len(parts[1]), len(new))
            + b"".join(parts))


class Procedure:
    def __init__(self, kind, content, operations=None, old=None, sha256=None):
        self.kind, self.content, self.old, self.sha256 = kind, content, old, sha256
        self.operations = operations_of(content) if operations is None else operations


class Payload:
    """A payload of format 1, right unless told otherwise."""

    def __init__(self, image, operations=None, procedures=(), old=None, sha256=None,
                 versions=(2,), has_noop=True):
        self.image, self.procedures, self.old, self.sha256 = image, procedures, old, sha256
        self.operations = operations_of(image) if operations is None else operations
        self.versions = versions  # of the signature entries; None: without one
        self.has_noop = has_noop

    def all_operations(self):
        return [*self.operations, *(o for p in self.procedures for o in p.operations)]

    def manifest(self, n_signature):
        offset, out = 0, b""

        def encoded(operations, field):
            nonlocal offset
            listed = b""
            for operation in operations:
                listed += data(field, operation.encoded(offset))
                offset += len(operation.blob)
            return listed

        out += encoded(self.operations, 1)
        procedures = b""
        for procedure in self.procedures:
            body = number(1, procedure.kind) + encoded(procedure.operations, 2)
            body += data(3, info(procedure.old)) if procedure.old is not None else b""
            procedures += data(10, body + data(4, info(procedure.content, procedure.sha256)))
        if self.has_noop:
            noop = number(1, REPLACE) + number(2, offset) + number(3, n_signature)
            out += data(2, noop + extents(6, [(HOLE, blocks_of(n_signature))]))
        out += number(3, BLOCK) + number(4, offset) + number(5, n_signature)
        out += data(8, info(self.old)) if self.old is not None else b""
        return out + data(9, info(self.image, self.sha256)) + procedures

    def signature_blob(self, signatures):
        return b"".join(
            data(1, (b"" if version is None else number(1, version)) + data(2, signature))
            for version, signature in zip(self.versions, signatures))

    def write(self, path, *keys):
        """Signs with each RSA key, one entry each, and writes the file; returns its path."""
        path = Path(path)
        n_signature = len(self.signature_blob([bytes(256)] * len(keys)))
        manifest = self.manifest(n_signature)
        content = HEADER.pack(b"CrAU", 1, len(manifest)) + manifest
        content += b"".join(operation.blob for operation in self.all_operations())
        signatures = self.signature_blob([sign(key, content, path) for key in keys])
        path.write_bytes(content + signatures)
        return path

    def boundaries(self, path):
        """Where in the file each operation's blob ends."""
        content = Path(path).read_bytes()
        at, ends = HEADER.size + HEADER.unpack_from(content)[2], []
        for operation in self.all_operations():
            at += len(operation.blob)
            ends.append(at)
        return ends


class Reader:
    """The parts of a payload file."""

    def __init__(self, path):
        content = Path(path).read_bytes()
        magic, self.major, n_manifest = HEADER.unpack_from(content)
        assert magic == b"CrAU"
        self.n_metadata = HEADER.size + n_manifest
        self.manifest = list(fields(content[HEADER.size:self.n_metadata]))
        one = dict(self.manifest)
        self.blobs = content[self.n_metadata:self.n_metadata + one[4]]
        self.signed = content[:self.n_metadata + one[4]]
        self.signatures = [dict(fields(entry)) for _, entry in
                           fields(content[len(self.signed):len(self.signed) + one[5]])]
        assert len(content) == len(self.signed) + one[5]
        self.info = dict(fields(one[9]))
        self.noop = [dict(fields(value)) for field, value in self.manifest if field == 2]
        self.procedures = [list(fields(value)) for field, value in self.manifest if field == 10]

    def content(self, operations):
        """What the encoded operations make, by Python's own bzip2."""
        out = b""
        for operation in operations:
            operation = dict(fields(operation))
            blob = self.blobs[operation.get(2, 0):operation.get(2, 0) + operation[3]]
            assert hashlib.sha256(blob).digest() == operation[8]
            start = dict(fields(operation[6]))[1]
            assert len(out) == start * BLOCK
            out += bz2.decompress(blob) if operation[1] == REPLACE_BZ else blob
        return out

    def partition(self):
        return self.content(value for field, value in self.manifest if field == 1)
