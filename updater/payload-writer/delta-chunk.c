/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/delta-chunk.h"

#include <errno.h>
#include <string.h>

#include "updater/payload-writer/bsdiff.h"

/* On both sides of where a changed run is guessed to lie: an insertion moves what is behind it. */
#define MARGIN_BLOCKS 32

/* On both sides of what was found: content between two places that were. */
#define ANCHOR_MARGIN_BLOCKS 8

int delta_chunk_new(const BlockMap *map, DeltaChunk **ret_chunk)
{
    _cleanup_(delta_chunk_freep) DeltaChunk *chunk = calloc(1, sizeof(*chunk));
    if (!chunk)
        return -ENOMEM;
    chunk->map = map;
    chunk->old = malloc(DELTA_WINDOW_BLOCKS * MANIFEST_BLOCK_BYTES);
    if (!chunk->old)
        return -ENOMEM;
    *ret_chunk = TAKE_PTR(chunk);
    return 0;
}

void delta_chunk_free(DeltaChunk *chunk)
{
    if (!chunk)
        return;
    free(chunk->old);
    free(chunk);
}

static void clear(DeltaExtents *extents)
{
    extents->n_extents = 0;
    extents->n_blocks = 0;
}

/* One block behind those before. At most DELTA_CHUNK_BLOCKS are ever added. */
static void add_block(DeltaExtents *extents, uint64_t block)
{
    Extent *last = extents->n_extents > 0 ? &extents->extents[extents->n_extents - 1] : NULL;
    if (last && last->start_block + last->n_blocks == block)
        last->n_blocks++;
    else
        extents->extents[extents->n_extents++] = (Extent){block, 1};
    extents->n_blocks++;
}

/* Whether the old image's block is this one, byte for byte. 1, 0, or errno of read. */
static int is_same(const DeltaChunk *chunk, uint32_t old_block, const uint8_t *data)
{
    uint8_t block[MANIFEST_BLOCK_BYTES];
    int r = old_image_read(block_map_old(chunk->map), old_block, 1, block);
    return r < 0 ? r : memcmp(block, data, sizeof(block)) == 0;
}

int delta_chunk_divide(DeltaChunk *chunk, uint64_t start_block, size_t n_blocks, uint8_t *data)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    int r = sha256_stream_new(&stream);
    if (r < 0)
        return r;
    clear(&chunk->zeros);
    clear(&chunk->copies);
    clear(&chunk->copy_sources);
    clear(&chunk->rest);
    for (size_t i = 0; i < n_blocks; i++) {
        uint8_t *block = data + i * MANIFEST_BLOCK_BYTES;
        uint32_t from = block_map_get(chunk->map, start_block + i);
        r = from < BLOCK_MAP_ZERO ? is_same(chunk, from, block) : 0;
        if (r < 0)
            return r;
        if (r > 0) {
            add_block(&chunk->copies, start_block + i);
            add_block(&chunk->copy_sources, from);
            sha256_stream_add(stream, block, MANIFEST_BLOCK_BYTES);
        } else if (from == BLOCK_MAP_ZERO) {
            add_block(&chunk->zeros, start_block + i);
        } else {
            memmove(data + chunk->rest.n_blocks * MANIFEST_BLOCK_BYTES, block,
                    MANIFEST_BLOCK_BYTES);
            add_block(&chunk->rest, start_block + i);
        }
    }
    sha256_stream_finish(stream, &chunk->copy_hash);
    return 0;
}

/* --- the patch ------------------------------------------------------------------------------ */

static int compare_extents(const void *a, const void *b)
{
    const Extent *x = a, *y = b;
    return (x->start_block > y->start_block) - (x->start_block < y->start_block);
}

/* What lies around a guess, inside the old image; perhaps nothing. */
static Extent surroundings(
        const DeltaChunk *chunk, int64_t guess, uint64_t n_blocks, int64_t n_margin_blocks)
{
    int64_t n_old = (int64_t)old_image_n_blocks(block_map_old(chunk->map));
    int64_t begin = MAX(guess - n_margin_blocks, (int64_t)0);
    int64_t end = MIN(guess + (int64_t)n_blocks + n_margin_blocks, n_old);
    return begin < end ? (Extent){(uint64_t)begin, (uint64_t)(end - begin)} : (Extent){0, 0};
}

/* Sorted, without overlaps, and cut where it gets too long. */
static void set_window(DeltaExtents *window, Extent *extents, size_t n_extents)
{
    qsort(extents, n_extents, sizeof(*extents), compare_extents);
    clear(window);
    uint64_t end = 0; /* of the blocks so far */
    for (size_t i = 0; i < n_extents && window->n_blocks < DELTA_WINDOW_BLOCKS; i++) {
        uint64_t begin = MAX(extents[i].start_block, end);
        uint64_t last = extents[i].start_block + extents[i].n_blocks;
        last = MIN(last, begin + DELTA_WINDOW_BLOCKS - window->n_blocks);
        if (begin >= last)
            continue;
        if (window->n_extents > 0 && begin == end)
            window->extents[window->n_extents - 1].n_blocks += last - begin;
        else if (window->n_extents < DELTA_CHUNK_BLOCKS)
            window->extents[window->n_extents++] = (Extent){begin, last - begin};
        else
            return;
        window->n_blocks += last - begin;
        end = last;
    }
}

/* The places in the old image where the content of one run was found. */
typedef struct {
    DeltaChunk *chunk;
    size_t n_found;
} Search;

static void add_around(DeltaChunk *chunk, Extent around)
{
    if (around.n_blocks > 0 && chunk->n_around < DELTA_AROUND_MAX)
        chunk->around[chunk->n_around++] = around;
}

static void on_anchor(size_t at_bytes, uint64_t old_at_bytes, void *userdata)
{
    (void)at_bytes;
    Search *search = userdata;
    search->n_found++;
    add_around(search->chunk,
            surroundings(search->chunk, (int64_t)(old_at_bytes / MANIFEST_BLOCK_BYTES), 1,
                    ANCHOR_MARGIN_BLOCKS));
}

/* Where nothing of a run is found, the blocks before and behind it that were found say where it may
 * have been, if it was not moved at all. */
static void guess_around(DeltaChunk *chunk, const Extent *run)
{
    int64_t first[2], last[2], n = (int64_t)run->n_blocks;
    block_map_guess(chunk->map, run->start_block, first);
    block_map_guess(chunk->map, run->start_block + run->n_blocks - 1, last);
    const int64_t guesses[] = {first[0], last[1] - n + 1, (int64_t)run->start_block};
    for (size_t i = 0; i < ELEMENTS(guesses); i++)
        add_around(chunk, surroundings(chunk, guesses[i], run->n_blocks, MARGIN_BLOCKS));
}

static void find_window(DeltaChunk *chunk, const uint8_t *data)
{
    const AnchorIndex *anchors = old_image_anchors(block_map_old(chunk->map));
    chunk->n_around = 0;
    for (size_t i = 0; i < chunk->rest.n_extents; i++) {
        const Extent *run = &chunk->rest.extents[i];
        size_t n_bytes = (size_t)run->n_blocks * MANIFEST_BLOCK_BYTES;
        Search search = {.chunk = chunk};
        anchor_index_look_up(anchors, data, n_bytes, on_anchor, &search);
        if (search.n_found == 0)
            guess_around(chunk, run);
        data += n_bytes;
    }
    set_window(&chunk->window, chunk->around, chunk->n_around);
}

static int read_window(DeltaChunk *chunk)
{
    size_t at = 0;
    for (size_t i = 0; i < chunk->window.n_extents; i++) {
        const Extent *extent = &chunk->window.extents[i];
        int r = old_image_read(
                block_map_old(chunk->map), extent->start_block, extent->n_blocks, chunk->old + at);
        if (r < 0)
            return r;
        at += (size_t)extent->n_blocks * MANIFEST_BLOCK_BYTES;
    }
    chunk->window_hash = sha256_of(chunk->old, at);
    return 0;
}

int delta_chunk_patch(DeltaChunk *chunk, const uint8_t *data, uint8_t *ret_patch,
        size_t n_room_bytes, size_t *ret_n_bytes)
{
    find_window(chunk, data);
    if (chunk->window.n_blocks == 0)
        return -ENOSPC;
    int r = read_window(chunk);
    if (r < 0)
        return r;
    _cleanup_(bsdiff_old_freep) BsdiffOld *old = NULL;
    r = bsdiff_old_new(chunk->old, (size_t)chunk->window.n_blocks * MANIFEST_BLOCK_BYTES, &old);
    if (r < 0)
        return r;
    return bsdiff_make(old, data, (size_t)chunk->rest.n_blocks * MANIFEST_BLOCK_BYTES, ret_patch,
            n_room_bytes, ret_n_bytes);
}
