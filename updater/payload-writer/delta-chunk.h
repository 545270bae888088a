/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A chunk of a new image, taken apart into what is zeros, what the old image has, and the rest,
 * which a patch may make of what lies around it in the old image. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "updater/payload-writer/block-map.h"
#include "updater/payload/manifest.h"

#define DELTA_CHUNK_BLOCKS 256   /* at most */
#define DELTA_WINDOW_BLOCKS 1024 /* of the old that a patch may be made from, at most */
#define DELTA_AROUND_MAX 4096

typedef struct {
    Extent extents[DELTA_CHUNK_BLOCKS];
    size_t n_extents;
    uint64_t n_blocks;
} DeltaExtents;

/* The desk of one thread, used again for each chunk. */
typedef struct {
    const BlockMap *map;
    DeltaExtents zeros;
    DeltaExtents copies;       /* where copies go */
    DeltaExtents copy_sources; /* where they come from, in the same order */
    Sha256 copy_hash;
    DeltaExtents rest;
    DeltaExtents window; /* what the patch is made from */
    Sha256 window_hash;
    Extent around[DELTA_AROUND_MAX]; /* what the window is put together from */
    size_t n_around;
    uint8_t *old; /* inside: room for the window */
} DeltaChunk;

/* map is borrowed for the object's life. Errors: -ENOMEM. */
int delta_chunk_new(const BlockMap *map, DeltaChunk **ret_chunk);
void delta_chunk_free(DeltaChunk *chunk);
DEFINE_CLEANUP(DeltaChunk *, delta_chunk_free);

/* Takes n_blocks of data, which lie from start_block on, apart: fills zeros, copies and rest, and
 * moves the rest's blocks to the front of data. Copies were compared byte for byte.
 * Errors: errno of read. */
int delta_chunk_divide(DeltaChunk *chunk, uint64_t start_block, size_t n_blocks, uint8_t *data);

/* Makes the patch of the rest, which is not empty and lies at data; fills window and its hash.
 * Errors: -ENOSPC when it does not fit into the room, or there is nothing around; -ENOMEM, errno of
 * read. */
int delta_chunk_patch(DeltaChunk *chunk, const uint8_t *data, uint8_t *ret_patch,
        size_t n_room_bytes, size_t *ret_n_bytes);
