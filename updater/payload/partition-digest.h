/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Everything that a manifest says of a partition's content, computed from the content: when a
 * payload is made, and when one is held against what it yields. */

#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"
#include "verity/hash-tree.h"

typedef struct {
    Sha256 hash;      /* of all of the partition */
    Sha256 root_hash; /* with verity */
    Sha256 rest_hash; /* with verity: of what follows the data */
    uint64_t n_tree_blocks;
    uint8_t *block_index; /* with verity: 8 bytes a block; inside */
} PartitionDigest;

typedef struct {
    uint64_t n_data_bytes;          /* of the partition, or of what the tree covers */
    const VerityParameters *verity; /* borrowed; NULL: no tree */
    /* Borrowed. The tree is there, and is held against this root instead of being written. */
    const Sha256 *root_hash;
    /* What the partition has behind its data is read from data_fd, up to here; the tree is part of
     * it. 0: the tree is all that follows, and may be in a file of its own. */
    uint64_t n_blocks;
    unsigned n_threads; /* as VerityRun's */
    /* Called by one thread at a time with the bytes read since the last call; may be NULL. */
    void (*on_progress)(uint64_t n_bytes, void *userdata);
    void *userdata;
} PartitionDigestOptions;

/* Reads the data from the start of data_fd once, writes the tree to `tree` (with verity) or checks
 * it. Blocks. Errors: -EINVAL, -ENOMEM, -EBADMSG (the tree that is there is wrong; the first wrong
 * block in error), errno of read and write. */
int partition_digest_compute(const PartitionDigestOptions *options, int data_fd, VerityRegion tree,
        PartitionDigest *ret_digest, ErrorText *error);

/* Releases what is inside. */
void partition_digest_done(PartitionDigest *digest);
