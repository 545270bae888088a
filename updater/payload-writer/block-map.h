/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where each block of a new image can be had from: the old image, zeros, or nowhere. */

#include <stdint.h>

#include "common/cleanup.h"
#include "updater/payload-writer/old-image.h"

typedef struct BlockMap BlockMap;

#define BLOCK_MAP_NONE OLD_IMAGE_NONE
#define BLOCK_MAP_ZERO (OLD_IMAGE_NONE - 1)

/* Reads all n_blocks of the image, which has n_image_bytes: zeros follow in its last block. Of a
 * block that the old image has several times, the one that follows on the block before is taken,
 * else the one at the same place, else the first. old is borrowed for the map's life. Memory is 4
 * bytes a block. Calls on_progress (may be NULL) with the bytes read since the last call. Blocks.
 * Errors: -ENOMEM, errno of read. */
int block_map_new(const OldImage *old, int image_fd, uint64_t n_image_bytes, uint64_t n_blocks,
        void (*on_progress)(uint64_t n_bytes, void *userdata), void *userdata, BlockMap **ret_map);
void block_map_free(BlockMap *map);
DEFINE_CLEANUP(BlockMap *, block_map_free);

const OldImage *block_map_old(const BlockMap *map);

/* The old block that this one seems to be (its hash begins alike), or BLOCK_MAP_ZERO, or
 * BLOCK_MAP_NONE. */
uint32_t block_map_get(const BlockMap *map, uint64_t block);

/* Where in the old image a block lies that the old image does not have: the nearest blocks before
 * and behind it that it has say so. Two guesses, in blocks; either may be outside the image. */
void block_map_guess(const BlockMap *map, uint64_t block, int64_t ret_guesses[2]);
