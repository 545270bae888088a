/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/anchor-index.h"

#include <errno.h>
#include <stdbool.h>

/* A hash that each byte shifts by one bit and adds a random number to ("gear"): what was 64 bytes
 * ago has left it. Where its highest bits are zero is an anchor, with the hash as its name. */
#define ANCHOR_BITS 11
#define BYTES_PER_ANCHOR_MIN 256 /* what has more of them is no content that repeats itself */

typedef struct {
    uint64_t name;
    uint64_t at_bytes;
} Anchor;

struct AnchorIndex {
    uint64_t gear[256];
    Anchor *anchors; /* by name, after the end */
    size_t n_anchors;
    size_t n_allocated;
    size_t n_max;
    uint64_t hash;
    uint64_t n_added_bytes;
};

static bool is_anchor(uint64_t hash)
{
    return hash >> (64 - ANCHOR_BITS) == 0;
}

/* The same numbers everywhere: splitmix64 (Vigna), from 1. */
static void fill_gear(uint64_t gear[256])
{
    uint64_t state = 1;
    for (size_t i = 0; i < 256; i++) {
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        gear[i] = z ^ z >> 31;
    }
}

int anchor_index_new(uint64_t n_bytes, AnchorIndex **ret_index)
{
    AnchorIndex *index = calloc(1, sizeof(*index));
    if (!index)
        return -ENOMEM;
    fill_gear(index->gear);
    index->n_max = (size_t)(n_bytes / BYTES_PER_ANCHOR_MIN);
    *ret_index = index;
    return 0;
}

void anchor_index_free(AnchorIndex *index)
{
    if (!index)
        return;
    free(index->anchors);
    free(index);
}

static int add_anchor(AnchorIndex *index, uint64_t name, uint64_t at_bytes)
{
    if (index->n_anchors == index->n_max)
        return 0;
    if (index->n_anchors == index->n_allocated) {
        size_t n = MAX(2 * index->n_allocated, (size_t)1024);
        Anchor *anchors = reallocarray(index->anchors, n, sizeof(*anchors));
        if (!anchors)
            return -ENOMEM;
        index->anchors = anchors;
        index->n_allocated = n;
    }
    index->anchors[index->n_anchors++] = (Anchor){name, at_bytes};
    return 0;
}

int anchor_index_add(AnchorIndex *index, const uint8_t *data, size_t n_bytes)
{
    uint64_t hash = index->hash;
    for (size_t i = 0; i < n_bytes; i++) {
        uint64_t next = (hash << 1) + index->gear[data[i]];
        bool is_new = next != hash; /* not in a run of one byte */
        hash = next;
        if (is_new && is_anchor(hash)) {
            int r = add_anchor(index, hash, index->n_added_bytes + i);
            if (r < 0)
                return r;
        }
    }
    index->hash = hash;
    index->n_added_bytes += n_bytes;
    return 0;
}

static int compare_anchors(const void *a, const void *b)
{
    const Anchor *x = a, *y = b;
    if (x->name != y->name)
        return x->name < y->name ? -1 : 1;
    return (x->at_bytes > y->at_bytes) - (x->at_bytes < y->at_bytes);
}

void anchor_index_finish(AnchorIndex *index)
{
    Anchor *anchors = index->anchors;
    size_t n_kept = 0;
    if (index->n_anchors > 0)
        qsort(anchors, index->n_anchors, sizeof(*anchors), compare_anchors);
    for (size_t i = 0; i < index->n_anchors;) {
        size_t n = 1;
        while (i + n < index->n_anchors && anchors[i + n].name == anchors[i].name)
            n++;
        if (n == 1)
            anchors[n_kept++] = anchors[i];
        i += n;
    }
    index->n_anchors = n_kept;
}

static uint64_t find(const AnchorIndex *index, uint64_t name)
{
    size_t low = 0, high = index->n_anchors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->anchors[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < index->n_anchors && index->anchors[low].name == name;
    return is_there ? index->anchors[low].at_bytes : ANCHOR_NONE;
}

void anchor_index_look_up(const AnchorIndex *index, const uint8_t *data, size_t n_bytes,
        void (*on_anchor)(size_t at_bytes, uint64_t old_at_bytes, void *userdata), void *userdata)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        hash = (hash << 1) + index->gear[data[i]];
        uint64_t old_at = is_anchor(hash) ? find(index, hash) : ANCHOR_NONE;
        if (old_at != ANCHOR_NONE)
            on_anchor(i, old_at, userdata);
    }
}
