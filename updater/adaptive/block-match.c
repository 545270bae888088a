/* SPDX-License-Identifier: Apache-2.0 */

/* The index's entries stand in a hash table of chains. Of entries that are the same, the first one
 * stands for all (its twins point to it and are in no chain), so that a block which fills half an
 * image costs no more than another. The index is signed, but what it holds was chosen by somebody:
 * a random factor keeps the chains short whatever it was. */

#include "updater/adaptive/block-match.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bits.h"
#include "common/random.h"
#include "verity/block-index.h"
#include "verity/hash-tree.h"

#define BLOCKS_MAX ((uint64_t)1 << 31)
#define NOTHING UINT32_MAX
#define BUCKETS_MIN_SHIFT 4

struct BlockMatch {
    const PartitionUpdate *partition;
    uint32_t n_blocks;
    uint32_t *buckets; /* the first entry of a chain, or NOTHING; NULL: all is found */
    unsigned shift;    /* 2^shift buckets */
    uint64_t factor;
    uint32_t *links;  /* an entry's next in its chain; a twin's first */
    uint32_t *source; /* of an entry that is no twin, or NOTHING; when all is found, of every one */
    uint8_t *is_twin; /* bits; with the buckets */
    uint8_t *is_in_place;
    Sha256 zero; /* digest of zeros */
};

static const uint8_t *entry(const BlockMatch *match, uint64_t i)
{
    return match->partition->block_index + i * BLOCK_INDEX_ENTRY_BYTES;
}

static uint32_t *bucket_of(const BlockMatch *match, const uint8_t *key)
{
    uint64_t number;
    static_assert(sizeof(number) == BLOCK_INDEX_ENTRY_BYTES, "a key is a number");
    memcpy(&number, key, sizeof(number));
    number *= match->factor;
    number ^= number >> 32;
    number *= match->factor;
    return &match->buckets[number >> (64 - match->shift)];
}

static uint32_t find(const BlockMatch *match, const uint8_t *key)
{
    uint32_t i = *bucket_of(match, key);
    while (i != NOTHING && memcmp(entry(match, i), key, BLOCK_INDEX_ENTRY_BYTES) != 0)
        i = match->links[i];
    return i;
}

static void add_entry(BlockMatch *match, uint32_t i)
{
    uint32_t first = find(match, entry(match, i));
    if (first != NOTHING) {
        bits_put(match->is_twin, i, true);
        match->links[i] = first;
        return;
    }
    uint32_t *bucket = bucket_of(match, entry(match, i));
    match->links[i] = *bucket;
    *bucket = i;
}

static int allocate(BlockMatch *match)
{
    match->shift = BUCKETS_MIN_SHIFT;
    while (((uint64_t)1 << match->shift) < match->n_blocks)
        match->shift++;
    size_t n_buckets = (size_t)1 << match->shift;
    match->buckets = malloc(n_buckets * sizeof(*match->buckets));
    match->links = malloc((size_t)match->n_blocks * sizeof(*match->links));
    match->source = malloc((size_t)match->n_blocks * sizeof(*match->source));
    match->is_twin = bits_new(match->n_blocks);
    match->is_in_place = bits_new(match->n_blocks);
    if (!match->buckets || !match->links || !match->source || !match->is_twin ||
            !match->is_in_place)
        return -ENOMEM;
    memset(match->buckets, 0xff, n_buckets * sizeof(*match->buckets));
    memset(match->source, 0xff, (size_t)match->n_blocks * sizeof(*match->source));
    return 0;
}

int block_match_new(const PartitionUpdate *partition, BlockMatch **ret_match)
{
    static const uint8_t zeros[VERITY_BLOCK_BYTES];
    if (partition->verity.n_data_blocks >= BLOCKS_MAX)
        return -EFBIG;
    _cleanup_(block_match_freep) BlockMatch *match = calloc(1, sizeof(*match));
    if (!match)
        return -ENOMEM;
    match->partition = partition;
    match->n_blocks = (uint32_t)partition->verity.n_data_blocks;
    match->factor = random_uint64() | 1;
    int r = allocate(match);
    if (r >= 0)
        r = verity_hash_blocks(&partition->verity, zeros, 1, &match->zero);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < match->n_blocks; i++)
        add_entry(match, i);
    *ret_match = TAKE_PTR(match);
    return 0;
}

static void free_chains(BlockMatch *match)
{
    free(TAKE_PTR(match->buckets));
    free(TAKE_PTR(match->links));
    free(TAKE_PTR(match->is_twin));
}

void block_match_finish(BlockMatch *match)
{
    for (uint32_t i = 0; match->buckets && i < match->n_blocks; i++)
        if (bits_get(match->is_twin, i))
            match->source[i] = match->source[match->links[i]];
    free_chains(match);
}

void block_match_free(BlockMatch *match)
{
    if (!match)
        return;
    free_chains(match);
    free(match->source);
    free(match->is_in_place);
    free(match);
}

int block_match_add_source(
        uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata)
{
    BlockMatch *match = userdata;
    for (size_t i = 0; i < n_digests && first_block + i < BLOCKS_MAX; i++) {
        uint32_t found = find(match, digests[i].bytes);
        if (found != NOTHING && match->source[found] == NOTHING)
            match->source[found] = (uint32_t)(first_block + i);
    }
    return 0;
}

int block_match_add_target(
        uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata)
{
    BlockMatch *match = userdata;
    for (size_t i = 0; i < n_digests && first_block + i < match->n_blocks; i++)
        if (block_match_is(match, first_block + i, &digests[i]))
            bits_put(match->is_in_place, first_block + i, true);
    return 0;
}

BlockKind block_match_get(const BlockMatch *match, uint64_t block, uint64_t *ret_source)
{
    if (bits_get(match->is_in_place, block))
        return BLOCK_IN_PLACE;
    if (block_match_is(match, block, &match->zero))
        return BLOCK_ZERO;
    bool is_twin = match->is_twin && bits_get(match->is_twin, block);
    uint32_t first = is_twin ? match->links[block] : (uint32_t)block;
    *ret_source = match->source[first];
    return match->source[first] == NOTHING ? BLOCK_LACKING : BLOCK_COPY;
}

bool block_match_is(const BlockMatch *match, uint64_t block, const Sha256 *digest)
{
    return block_index_matches(match->partition->block_index, block, digest);
}
