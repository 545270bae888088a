#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes corpus/frames: operations of frames that refer to what lies before them, as fuzz-frames.c
takes them apart. A file is named for what it is or for what is wrong with it. Needs libzstd."""
import ctypes
import random
from pathlib import Path

BLOCK = 4096
CORPUS = Path(__file__).resolve().parent / "corpus/frames"

zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_createCCtx.restype = ctypes.c_void_p
for name in ("ZSTD_compress2", "ZSTD_CCtx_refPrefix"):
    getattr(zstd, name).restype = ctypes.c_size_t
CONTENT_SIZE_FLAG, CHECKSUM_FLAG = 200, 201


def frame(content, prefix=b"", **flags):
    context = ctypes.c_void_p(zstd.ZSTD_createCCtx())
    for flag, value in flags.items():
        zstd.ZSTD_CCtx_setParameter(context, {"size": CONTENT_SIZE_FLAG,
                                              "checksum": CHECKSUM_FLAG}[flag], value)
    room = ctypes.create_string_buffer(2 * len(content) + 1024)
    zstd.ZSTD_CCtx_refPrefix(context, prefix, ctypes.c_size_t(len(prefix)))
    n = zstd.ZSTD_compress2(context, room, ctypes.c_size_t(len(room)), content,
                            ctypes.c_size_t(len(content)))
    return room.raw[:n]


def chain(content, n_frame, n_prefix, **flags):
    return [frame(content[at:at + n_frame], content[max(0, at - n_prefix):at], **flags)
            for at in range(0, len(content), n_frame)]


def write(name, frames, n_blocks, shift=0, n_prefix_blocks=32, lengths=None, behind=b""):
    lengths = lengths or [len(each) for each in frames]
    (CORPUS / name).write_bytes(
        bytes((shift, n_prefix_blocks, n_blocks - 1, len(lengths)))
        + b"".join(n.to_bytes(2, "little") for n in lengths) + b"".join(frames) + behind)


CORPUS.mkdir(parents=True, exist_ok=True)
# Each block is the one before the last.
few = bytes(random.Random(1).choices(range(16), k=2 * BLOCK)) * 4
good = chain(few, BLOCK, 32 * BLOCK)
write("good", good, 8)
write("good-of-some-buffers", chain((few * 19)[:150 * BLOCK], 16 * BLOCK, 32 * BLOCK), 150, shift=4)
write("good-prefix-of-a-block", chain(few, BLOCK, BLOCK), 8, n_prefix_blocks=1)
write("good-with-checksums", chain(few, BLOCK, 32 * BLOCK, checksum=1), 8)
write("good-without-sizes", chain(few, BLOCK, 32 * BLOCK, size=0), 8)
write("good-prefix-like-a-dictionary",
      chain(b"\x37\xa4\x30\xec" + few[4:], BLOCK, 32 * BLOCK), 8)
write("refers-further-than-is-said", good, 8, n_prefix_blocks=1)
write("a-frame-of-two", [frame(few[:2 * BLOCK])] + good[2:], 8)
write("a-frame-of-half", [good[0], frame(few[:BLOCK // 2], few[:BLOCK])] + good[2:], 8)
write("a-bomb", [frame(bytes(1 << 24))], 1)
write("no-list", [], 8, lengths=[], behind=b"".join(good))
write("list-in-part", good, 8, lengths=[len(each) for each in good[:-1]])
write("list-past-the-end", good, 8, lengths=[len(each) for each in good[:-1]] + [65535])
write("more-behind-it", good, 8, behind=b"x")
