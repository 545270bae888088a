/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-scan.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "verity/block-index.h"

#define CHUNK_BLOCKS 64

typedef struct {
    const PartitionUpdate *partition;
    VerityRegion slot;
    uint8_t *chunk; /* CHUNK_BLOCKS blocks, page-aligned */
    Sha256 digests[CHUNK_BLOCKS];
} Scan;

/* 1 when n_blocks (at most CHUNK_BLOCKS) are there, 0 when they are not. */
static int scan_chunk(Scan *scan, uint64_t start_block, size_t n_blocks)
{
    const VerityParameters *verity = &scan->partition->verity;
    int r = fd_pread_full(scan->slot.fd, scan->chunk, n_blocks * VERITY_BLOCK_BYTES,
            scan->slot.offset_bytes + start_block * VERITY_BLOCK_BYTES);
    if (r == 0)
        r = verity_hash_blocks(verity, scan->chunk, n_blocks, scan->digests);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_blocks; i++)
        if (!block_index_matches(scan->partition->block_index, start_block + i, &scan->digests[i]))
            return 0;
    return 1;
}

static int scan_extent(Scan *scan, const Extent *extent)
{
    uint64_t n_data_blocks = scan->partition->verity.n_data_blocks;
    if (extent->start_block > n_data_blocks ||
            extent->n_blocks > n_data_blocks - extent->start_block)
        return 0; /* not in the index */
    for (uint64_t i = 0; i < extent->n_blocks; i += CHUNK_BLOCKS) {
        size_t n = (size_t)MIN(extent->n_blocks - i, (uint64_t)CHUNK_BLOCKS);
        int r = scan_chunk(scan, extent->start_block + i, n);
        if (r <= 0)
            return r;
    }
    return 1;
}

static int scan_operation(Scan *scan, const Operation *operation)
{
    for (size_t i = 0; i < operation->n_dst_extents; i++) {
        int r = scan_extent(scan, &operation->dst_extents[i]);
        if (r <= 0)
            return r;
    }
    return 1;
}

int slot_scan(const PartitionUpdate *partition, VerityRegion slot, size_t first, bool *is_done,
        const atomic_bool *is_cancelled)
{
    if (!partition->has_verity || !partition->block_index)
        return 0;
    Scan scan = {.partition = partition, .slot = slot};
    _cleanup_free_ uint8_t *chunk =
            aligned_alloc(VERITY_BLOCK_BYTES, CHUNK_BLOCKS * VERITY_BLOCK_BYTES);
    if (!chunk)
        return -ENOMEM;
    scan.chunk = chunk;

    unsigned n_missed = 0;
    for (size_t i = first; i < partition->n_operations && n_missed < SLOT_SCAN_WINDOW; i++) {
        if (atomic_load(is_cancelled))
            return -ECANCELED;
        int r = scan_operation(&scan, &partition->operations[i]);
        if (r < 0)
            return r;
        is_done[i] = r > 0;
        n_missed = r > 0 ? 0 : n_missed + 1;
    }
    return 0;
}
