/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where the data blocks of a new slot are on this machine already: the payload's block index, held
 * against the digests of blocks that lie here, at any position. What the index matches is a strong
 * hint and no proof: who copies a block hashes it. Pure; 12 bytes and some bits a block, and 4 from
 * block_match_finish() on. */

#include <stdint.h>

#include "common/cleanup.h"
#include "common/sha256.h"
#include "updater/payload/manifest.h"

typedef struct BlockMatch BlockMatch;

typedef enum {
    BLOCK_LACKING,
    BLOCK_ZERO,     /* nothing but zeros */
    BLOCK_COPY,     /* another slot holds it */
    BLOCK_IN_PLACE, /* the slot that is written holds it, where it belongs */
} BlockKind;

/* Knows the zeros at once. partition (borrowed for its life) must have a block index.
 * Errors: -ENOMEM, -EFBIG for 2^31 blocks and more. */
int block_match_new(const PartitionUpdate *partition, BlockMatch **ret_match);
void block_match_free(BlockMatch *match);
DEFINE_CLEANUP(BlockMatch *, block_match_free);

/* Digests of the source's next n_digests blocks, of which the first is first_block, made with the
 * partition's salt. Blocks from 2^31 on are passed over. For verity_leaves_read(): returns 0. */
int block_match_add_source(
        uint64_t first_block, const Sha256 *digests, size_t n_digests, void *match);

/* The same of the slot that is written. */
int block_match_add_target(
        uint64_t first_block, const Sha256 *digests, size_t n_digests, void *match);

/* No more digests come: what served to find them is given back. */
void block_match_finish(BlockMatch *match);

/* What is known of a data block; *ret_source is where the source has a BLOCK_COPY. */
BlockKind block_match_get(const BlockMatch *match, uint64_t block, uint64_t *ret_source);

/* Whether a digest is that of data block `block` as far as the index says it. */
bool block_match_is(const BlockMatch *match, uint64_t block, const Sha256 *digest);
