/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For verity/ alone: reads a run of 4096-byte blocks and hashes them on several threads, and hands
 * the digests out in block order. Building a tree, holding data against one and making the block
 * index are this walk with different takers. */

#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"
#include "verity/hash-tree.h"

#define BLOCK_WALK_CHUNK_BLOCKS 256 /* 1 MiB of data; its digests fill two hash blocks */

/* Takes the digests of the next n_digests blocks, of which the first is first_block. The calls are
 * made by one thread at a time, in order; n_digests is BLOCK_WALK_CHUNK_BLOCKS in all but the last.
 * A negative return ends the walk with it. */
typedef int (*BlockWalkTaker)(uint64_t first_block, const Sha256 *digests, size_t n_digests,
        void *userdata, ErrorText *error);

typedef struct {
    const VerityParameters *parameters; /* for the salt; its block count is not looked at */
    const char *what;                   /* is read here, in words, for messages */
    VerityRegion region;
    uint64_t n_blocks;
    const VerityRun *run; /* not NULL */
    BlockWalkTaker take;
    void *userdata;
} BlockWalk;

/* Blocks; everything in walk is borrowed. When several blocks cannot be read (or the taker fails),
 * the first in block order is the one reported.
 * Errors: -EINVAL for a region beyond what a file offset can name, -ENOMEM, -ECANCELED, errno of
 * read (-EIO where the file ends before the region), the taker's. */
int block_walk(const BlockWalk *walk, ErrorText *error);

/* Digests of n_blocks blocks at data into ret_digests, with a stream that is used again for every
 * block: making one costs more than hashing a block. The stream is left to be reset. */
void block_walk_hash(Sha256Stream *stream, const VerityParameters *parameters, const void *data,
        size_t n_blocks, Sha256 *ret_digests);
