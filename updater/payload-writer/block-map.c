/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/block-map.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/payload/manifest.h"

#define PIECE_BLOCKS 256

/* How far a guess looks for blocks that were found. */
#define GUESS_BLOCKS 16384

struct BlockMap {
    const OldImage *old;
    uint64_t n_blocks;
    uint32_t *from;
};

static uint32_t find(const BlockMap *map, uint64_t block, const uint8_t *data)
{
    if (bytes_are_zero(data, MANIFEST_BLOCK_BYTES))
        return BLOCK_MAP_ZERO;
    Sha256 hash = sha256_of(data, MANIFEST_BLOCK_BYTES);
    uint32_t before = block > 0 ? map->from[block - 1] : BLOCK_MAP_NONE;
    bool goes_on = before < BLOCK_MAP_ZERO;
    uint64_t wanted = goes_on ? (uint64_t)before + 1 : block;
    uint32_t found = old_image_find(map->old, &hash, wanted);
    if (found != BLOCK_MAP_NONE && found != wanted && goes_on)
        found = old_image_find(map->old, &hash, block);
    return found;
}

static int fill(BlockMap *map, int fd, uint64_t n_image_bytes,
        void (*on_progress)(uint64_t n_bytes, void *userdata), void *userdata)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BLOCKS * MANIFEST_BLOCK_BYTES);
    if (!piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < map->n_blocks; at += PIECE_BLOCKS) {
        size_t n = (size_t)MIN((uint64_t)PIECE_BLOCKS, map->n_blocks - at);
        uint64_t at_bytes = at * MANIFEST_BLOCK_BYTES;
        size_t n_bytes = (size_t)MIN((uint64_t)n * MANIFEST_BLOCK_BYTES, n_image_bytes - at_bytes);
        memset(piece + n_bytes, 0, n * MANIFEST_BLOCK_BYTES - n_bytes);
        int r = fd_pread_full(fd, piece, n_bytes, at_bytes);
        if (r < 0)
            return r;
        for (size_t i = 0; i < n; i++)
            map->from[at + i] = find(map, at + i, piece + i * MANIFEST_BLOCK_BYTES);
        if (on_progress)
            on_progress(n_bytes, userdata);
    }
    return 0;
}

int block_map_new(const OldImage *old, int image_fd, uint64_t n_image_bytes, uint64_t n_blocks,
        void (*on_progress)(uint64_t n_bytes, void *userdata), void *userdata, BlockMap **ret_map)
{
    _cleanup_(block_map_freep) BlockMap *map = calloc(1, sizeof(*map));
    if (!map)
        return -ENOMEM;
    map->old = old;
    map->n_blocks = n_blocks;
    map->from = calloc(n_blocks + 1, sizeof(*map->from));
    if (!map->from)
        return -ENOMEM;
    int r = fill(map, image_fd, n_image_bytes, on_progress, userdata);
    if (r < 0)
        return r;
    *ret_map = TAKE_PTR(map);
    return 0;
}

void block_map_free(BlockMap *map)
{
    if (!map)
        return;
    free(map->from);
    free(map);
}

const OldImage *block_map_old(const BlockMap *map)
{
    return map->old;
}

uint32_t block_map_get(const BlockMap *map, uint64_t block)
{
    return map->from[block];
}

void block_map_guess(const BlockMap *map, uint64_t block, int64_t ret_guesses[2])
{
    ret_guesses[0] = ret_guesses[1] = (int64_t)block;
    uint64_t n_before = MIN(block, (uint64_t)GUESS_BLOCKS);
    for (uint64_t i = 1; i <= n_before; i++)
        if (map->from[block - i] < BLOCK_MAP_ZERO) {
            ret_guesses[0] = (int64_t)(map->from[block - i] + i);
            break;
        }
    uint64_t n_behind = MIN(map->n_blocks - block, (uint64_t)GUESS_BLOCKS);
    for (uint64_t i = 1; i < n_behind; i++)
        if (map->from[block + i] < BLOCK_MAP_ZERO) {
            ret_guesses[1] = (int64_t)map->from[block + i] - (int64_t)i;
            break;
        }
}
