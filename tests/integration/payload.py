# SPDX-License-Identifier: Apache-2.0
"""A second writer and reader of payloads, after AOSP's description of the format: it makes what
update-payload refuses to make, and takes apart what update-payload made so that openssl alone can
judge the signatures."""
import bz2
import hashlib
import struct
from pathlib import Path

from lab import MIB, run

BLOCK = 4096
HEADER = struct.Struct(">4sQQI")
REPLACE, REPLACE_BZ, SOURCE_COPY, SOURCE_BSDIFF, ZERO = 0, 1, 4, 5, 6
REPLACE_XZ, REPLACE_ZSTD, REPLACE_ZSTD_PREFIX = 8, 14, 1000


# Protobuf's encoding, as much of it as there is here.


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The (field, value) pairs of a message, in order."""
    at = 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = read_varint()
        if tag & 7 == 0:
            yield tag >> 3, read_varint()
            continue
        n_bytes = {1: 8, 5: 4}.get(tag & 7) or read_varint()
        yield tag >> 3, message[at:at + n_bytes]
        at += n_bytes


def numbers(packed):
    """The values of a packed field."""
    values, shift = [0], 0
    for byte in packed:
        values[-1] |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(0)
            shift = 0
    return values[:-1]


def patch(steps, difference, surplus, n_new, lengths=None):
    """A patch as bsdiff makes it, of steps (bytes of difference, bytes of surplus, move)."""
    def signed(n):
        return struct.pack("<Q", n if n >= 0 else -n | 1 << 63)

    streams = [bz2.compress(part) for part in (
        b"".join(signed(n) for step in steps for n in step), difference, surplus)]
    lengths = lengths or (len(streams[0]), len(streams[1]), n_new)
    return b"BSDIFF40" + b"".join(signed(n) for n in lengths) + b"".join(streams)


def signature_blob(*signatures):
    return b"".join(data(1, data(2, s) + varint(3 << 3 | 5) + struct.pack("<I", len(s)))
                    for s in signatures)


# Writing.


class Operation:
    """One operation; what does not follow from `target` may be said otherwise."""

    def __init__(self, target, start_block, kind=REPLACE, blob=None, extents=None, sha256=None,
                 sources=(), source_sha256=None):
        self.kind = kind
        self.sources, self.source_sha256 = sources, source_sha256
        if blob is None:
            blob = {REPLACE: lambda b: b, REPLACE_BZ: bz2.compress,
                    ZERO: lambda b: b"", SOURCE_COPY: lambda b: b""}[kind](target)
        self.blob = blob
        self.extents = extents or [(start_block, len(target) // BLOCK)]
        self.sha256 = sha256 or hashlib.sha256(blob).digest()

    def encoded(self, data_offset):
        out = number(1, self.kind)
        if self.blob:
            out += number(2, data_offset) + number(3, len(self.blob)) + data(8, self.sha256)
        for start, count in self.sources:
            out += data(4, number(1, start) + number(2, count))
        for start, count in self.extents:
            out += data(6, number(1, start) + number(2, count))
        if self.source_sha256:
            out += data(9, self.source_sha256)
        return out


def operations_of(image, kind=REPLACE):
    """The ordinary operations of an image: 1 MiB each."""
    return [Operation(image[at:at + MIB], at // BLOCK, kind) for at in range(0, len(image), MIB)]


class Payload:
    """A payload of one partition, right unless told otherwise."""

    def __init__(self, image, operations=None, version="2.0.0", product="demo", min_version="",
                 name="USR", size_bytes=None, sha256=None, source=None, minor_version=None,
                 source_version=""):
        self.operations = operations_of(image) if operations is None else operations
        self.version, self.product, self.min_version = version, product, min_version
        self.name = name
        self.size_bytes = len(image) if size_bytes is None else size_bytes
        self.sha256 = sha256 or hashlib.sha256(image).digest()
        self.source, self.source_version = source, source_version  # what a delta begins with
        self.minor_version = (6 if source else 0) if minor_version is None else minor_version
        self.n_manifest_bytes = None  # what the header claims
        self.major = 2

    def manifest(self, signatures_size):
        partition, offset = data(1, self.name), 0
        if self.source:
            partition += data(6, number(1, len(self.source))
                              + data(2, hashlib.sha256(self.source).digest()))
        partition += data(7, number(1, self.size_bytes) + data(2, self.sha256))
        for operation in self.operations:
            partition += data(8, operation.encoded(offset))
            offset += len(operation.blob)
        out = number(3, BLOCK) + number(4, offset) + number(5, signatures_size)
        out += number(12, self.minor_version) + data(13, partition) + data(1000, self.product)
        out += data(1001, self.version)
        out += data(1003, self.source_version) if self.source_version else b""
        return out + (data(1002, self.min_version) if self.min_version else b"")

    def write(self, path, key):
        """Signs with the RSA key and writes the file; returns its path."""
        path = Path(path)
        n_signature = len(signature_blob(sign(key, b"", path)))
        manifest = self.manifest(n_signature)
        head = HEADER.pack(b"CrAU", self.major, self.n_manifest_bytes or len(manifest), n_signature)
        blobs = b"".join(operation.blob for operation in self.operations)
        metadata = head + manifest
        path.write_bytes(metadata + signature_blob(sign(key, metadata, path)) + blobs
                         + signature_blob(sign(key, metadata + blobs, path)))
        return path


def sign(key, content, beside):
    """A signature by openssl: RSA PKCS#1 v1.5 with SHA-256."""
    signed, signature = f"{beside}.signed", f"{beside}.signature"
    Path(signed).write_bytes(content)
    run(["openssl", "dgst", "-sha256", "-sign", key, "-out", signature, signed])
    result = Path(signature).read_bytes()
    Path(signed).unlink()
    Path(signature).unlink()
    return result


# Reading.


class Layout:
    """Where the parts of a payload lie, as (start, end) byte offsets."""

    def __init__(self, content):
        magic, self.major, n_manifest, n_signature = HEADER.unpack_from(content)
        assert magic == b"CrAU"
        self.header = (0, HEADER.size)
        self.manifest = (HEADER.size, HEADER.size + n_manifest)
        self.metadata_signature = (self.manifest[1], self.manifest[1] + n_signature)
        manifest = dict(fields(content[slice(*self.manifest)]))
        first = self.metadata_signature[1]
        self.blobs = (first, first + manifest[4])
        self.payload_signature = (self.blobs[1], self.blobs[1] + manifest[5])
        self.metadata = (0, self.manifest[1])

    def parts(self):
        return {name: getattr(self, name) for name in
                ("header", "manifest", "metadata_signature", "blobs", "payload_signature")}


def signatures_in(blob):
    """The signatures of a blob, each cut to its unpadded size."""
    for field, entry in fields(blob):
        entry = dict(fields(entry))
        n_bytes = struct.unpack("<I", entry[3])[0] if 3 in entry else len(entry[2])
        yield entry[2][:n_bytes]


def openssl_verifies(public_key, content, signature, folder):
    signed, file = Path(folder) / "signed", Path(folder) / "signature"
    signed.write_bytes(content)
    file.write_bytes(signature)
    return run(["openssl", "dgst", "-sha256", "-verify", public_key, "-signature", file, signed],
               check=False).returncode == 0
