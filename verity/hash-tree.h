/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The dm-verity hash tree, format 1 (the kernel's Documentation/admin-guide/device-mapper/
 * verity.rst): sha256, data and hash blocks of 4096 bytes, the salt before the block, 128 digests
 * to a hash block, the rest of a hash block zero, the top level first. Byte for byte what
 * `veritysetup format` makes. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"

#define VERITY_BLOCK_BYTES 4096
#define VERITY_SALT_MAX_BYTES 32
#define VERITY_DIGESTS_PER_BLOCK (VERITY_BLOCK_BYTES / SHA256_BYTES)
#define VERITY_LEVELS_MAX 10 /* 128^9 blocks are more than 2^52 */
#define VERITY_DATA_BLOCKS_MAX (UINT64_C(1) << 52)

/* What a tree is computed from, beside the data. */
typedef struct {
    uint8_t salt[VERITY_SALT_MAX_BYTES];
    size_t n_salt_bytes;
    uint64_t n_data_blocks; /* 1 to VERITY_DATA_BLOCKS_MAX */
} VerityParameters;

/* Where the levels lie. Level 0 holds the data blocks' digests; n_levels is 0 for a single data
 * block, whose digest is the root. */
typedef struct {
    unsigned n_levels;
    uint64_t n_level_blocks[VERITY_LEVELS_MAX];
    uint64_t level_start_block[VERITY_LEVELS_MAX]; /* from the start of the tree */
    uint64_t n_tree_blocks;
} VerityLayout;

/* A region of a file or device; offset in bytes. Reads and writes are multiples of 4096 bytes at
 * multiples of 4096 from the offset, out of page-aligned memory, so that O_DIRECT works. */
typedef struct {
    int fd; /* borrowed */
    uint64_t offset_bytes;
} VerityRegion;

/* For the long calls; all may be NULL or 0. */
typedef struct {
    unsigned n_threads;              /* 0: one per processor, at most 8 */
    const atomic_bool *is_cancelled; /* looked at every MiB: -ECANCELED */
    _Atomic uint64_t *n_bytes_done;  /* advanced while data is read */
    /* Called with the data in order, by one thread at a time; pieces are multiples of a block. */
    void (*on_data)(const void *data, size_t n_bytes, void *userdata);
    void *userdata;
} VerityRun;

/* Errors: -EINVAL for a block count or salt length out of range. */
int verity_layout_compute(const VerityParameters *parameters, VerityLayout *ret_layout);

/* Digests of n_blocks consecutive blocks of 4096 bytes at data (borrowed) into ret_digests.
 * Any thread. Errors: -EINVAL for a salt too long, -ENOMEM. */
int verity_hash_blocks(
        const VerityParameters *parameters, const void *data, size_t n_blocks, Sha256 *ret_digests);

/* Reads the data, writes the tree to tree (a descriptor for reading and writing: each level is
 * made from the one below as it was written), sets *ret_root. run may be NULL. Memory is bounded
 * whatever the size: 1 MiB per thread and 256 KiB. Does not sync. Blocks.
 * Errors: -EINVAL (parameters out of range, data and tree overlapping), -ENOMEM, -ECANCELED, errno
 * of read (-EIO when the data ends early) and write. */
int verity_tree_build(const VerityParameters *parameters, VerityRegion data, VerityRegion tree,
        const VerityRun *run, Sha256 *ret_root, ErrorText *error);

/* The levels above the lowest one, which is written (verity_leaves_write()) but for its end, where
 * zeros go. Needs more than one data block. As verity_tree_build() else; that the lowest level is
 * right is for the root to say. */
int verity_tree_build_above(const VerityParameters *parameters, VerityRegion tree,
        const VerityRun *run, Sha256 *ret_root, ErrorText *error);

/* Reads data and tree and holds both against the root, from the top: the block that error names is
 * itself wrong, not only what vouches for it. run may be NULL; its progress counts the data.
 * Blocks. Errors: -EBADMSG with the first wrong block (data or tree) in error; else as above. */
int verity_tree_verify(const VerityParameters *parameters, VerityRegion data, VerityRegion tree,
        const Sha256 *root, const VerityRun *run, ErrorText *error);
