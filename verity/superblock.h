/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The superblock that `veritysetup format` puts before a hash tree (cryptsetup's wiki, DMVerity:
 * on-disk format): which algorithm, block sizes, salt and count of data blocks the tree was made
 * with. The tree begins one block after it. It does not hold the root hash. */

#include <stdint.h>

#include "common/error-text.h"
#include "verity/hash-tree.h"

#define VERITY_SUPERBLOCK_BYTES VERITY_BLOCK_BYTES /* the record and zeros up to the tree */
#define VERITY_UUID_BYTES 16

typedef struct {
    VerityParameters parameters;
    uint8_t uuid[VERITY_UUID_BYTES]; /* in the order in which its text has the digits */
} VeritySuperblock;

/* Writes VERITY_SUPERBLOCK_BYTES to ret_block. Errors: -EINVAL for parameters out of range. */
int verity_superblock_encode(const VeritySuperblock *superblock, void *ret_block);

/* Reads VERITY_SUPERBLOCK_BYTES at block (borrowed). Only what our trees are is accepted: version
 * and hash type 1, sha256, blocks of 4096 bytes.
 * Errors: -EBADMSG with what is wrong in error. */
int verity_superblock_parse(const void *block, VeritySuperblock *ret_superblock, ErrorText *error);

/* Writes it at region. Does not sync. Blocks. Errors: -EINVAL, -ENOMEM, errno of write. */
int verity_superblock_write(VerityRegion region, const VeritySuperblock *superblock);

/* Reads it from region. Blocks. Errors: -EBADMSG as above, -ENOMEM, errno of read. */
int verity_superblock_read(VerityRegion region, VeritySuperblock *ret_superblock, ErrorText *error);

/* Where the tree lies behind a superblock at region. */
static inline VerityRegion verity_superblock_tree(VerityRegion region)
{
    return (VerityRegion){region.fd, region.offset_bytes + VERITY_SUPERBLOCK_BYTES};
}
