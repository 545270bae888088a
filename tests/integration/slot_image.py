# SPDX-License-Identifier: Apache-2.0
"""A second writer of slots that describe themselves (partitions/slot-trailer.h): file system, hash
tree, kernel, trailer. It makes wrong ones, too."""
import hashlib
import struct

BLOCK = 4096
TRAILER = struct.Struct("<16sII5Q32s32s32s128s128s3648s")
MAGIC = b"FlipsideSlot\r\n\x1a\n"


def padded(content):
    return content + bytes(-len(content) % BLOCK)


def hash_tree(content, salt=b""):
    """The tree as dm-verity has it, the highest level first, and its root."""
    levels, level = [], content
    while True:
        blocks = [level[at:at + BLOCK] for at in range(0, len(level), BLOCK)]
        digests = [hashlib.sha256(salt + block).digest() for block in blocks]
        if len(digests) == 1:
            return b"".join(reversed(levels)), digests[0]
        level = padded(b"".join(digests))
        levels.append(level)


def trailer(fs_bytes, product, version, tree=b"", root=b"", salt=b"", uki=b"", uki_offset=None,
            tree_offset=None, uki_sha256=None):
    """What ends such a slot; what does not follow from the parts may be said otherwise."""
    tree_offset = tree_offset or (fs_bytes if tree else 0)
    if uki and uki_offset is None:
        uki_offset = fs_bytes + len(tree)
    block = TRAILER.pack(MAGIC, 1, len(salt), fs_bytes, tree_offset, len(tree), uki_offset or 0,
                         len(uki), salt, root,
                         uki_sha256 or (hashlib.sha256(uki).digest() if uki else b""),
                         product.encode(), version.encode(), b"")
    return block + hashlib.sha256(block).digest()


def slot_image(fs, product="demo", version="2.0.0", salt=b"salt", uki=b"a kernel" * 1000, **wrong):
    """The bytes of a slot over the file system's bytes, which end on a block."""
    tree, root = hash_tree(fs, salt)
    return fs + tree + padded(uki) + trailer(len(fs), product, version,
                                             **{"tree": tree, "root": root, "salt": salt,
                                                "uki": uki, **wrong})
