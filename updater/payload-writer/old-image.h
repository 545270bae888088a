/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The image that a delta begins with, indexed by what its blocks hold. */

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/payload-writer/anchor-index.h"

typedef struct OldImage OldImage;

#define OLD_IMAGE_NONE UINT32_MAX

/* Opens and reads all of an image (regular file or block device). One that does not end on a block
 * counts as if zeros followed. Memory is some 56 bytes a block. Blocks.
 * Errors: -EINVAL (no image, empty), -EFBIG beyond 2^32 - 2 blocks, -EBADMSG (its trailer is
 * damaged), -ENOMEM, errno. */
int old_image_new(const char *path, OldImage **ret_old, ErrorText *error);
void old_image_free(OldImage *old);
DEFINE_CLEANUP(OldImage *, old_image_free);

uint64_t old_image_n_blocks(const OldImage *old);
const Sha256 *old_image_hash(const OldImage *old); /* of all blocks; inside old */

/* What the trailer says; "" when the image has none. Inside old. */
const char *old_image_product(const OldImage *old);
const char *old_image_version(const OldImage *old);

/* A block of the old image whose hash begins as this hash of a block (with the same 8 bytes):
 * `wanted` where that one does, else the first; OLD_IMAGE_NONE. Whether the rest is equal is for
 * the caller to see. Several threads at once may. */
uint32_t old_image_find(const OldImage *old, const Sha256 *hash, uint64_t wanted);

/* Inside old. */
const AnchorIndex *old_image_anchors(const OldImage *old);

/* Reads blocks that the image has. Several threads at once may. Errors: errno of read. */
int old_image_read(const OldImage *old, uint64_t start_block, uint64_t n_blocks, uint8_t *ret_data);

/* Whether the file is still the one that was read. */
bool old_image_is_unchanged(const OldImage *old);
