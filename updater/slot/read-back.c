/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/read-back.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "verity/leaves.h"

#define CHUNK_BLOCKS ((size_t)READ_BACK_CHUNK_BYTES / VERITY_BLOCK_BYTES)

struct ReadBack {
    InstallTarget *target;
    const PartitionUpdate *partition;
    VerityRegion slot; /* reads past the page cache */
    VerityRegion tree; /* through it */
    bool may_hold_tree;
};

bool read_back_is_possible(const PartitionUpdate *partition)
{
    return partition->has_verity && partition->has_rest_hash && partition->verity.n_data_blocks > 1;
}

UpdateError read_back_new(InstallTarget *target, const PartitionUpdate *partition,
        bool may_hold_tree, ReadBack **ret_read_back, ErrorText *error)
{
    _cleanup_(read_back_freep) ReadBack *read_back = calloc(1, sizeof(*read_back));
    if (!read_back)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    *read_back = (ReadBack){
            .target = target,
            .partition = partition,
            .slot.fd = -1,
            .may_hold_tree = may_hold_tree,
    };
    read_back->tree.fd = install_target_fd(target, &read_back->tree.offset_bytes);
    read_back->tree.offset_bytes += partition->tree_start_block * VERITY_BLOCK_BYTES;
    if (install_target_open_direct(
                target, &read_back->slot.fd, &read_back->slot.offset_bytes, error) < 0)
        return UPDATE_ERROR_VERIFIER_IO;
    *ret_read_back = TAKE_PTR(read_back);
    return UPDATE_OK;
}

void read_back_free(ReadBack *read_back)
{
    if (!read_back)
        return;
    safe_close(read_back->slot.fd);
    free(read_back);
}

/* At most CHUNK_BLOCKS data blocks. */
static UpdateError read_chunk(ReadBack *read_back, uint64_t first_block, size_t n_blocks,
        uint8_t *chunk, ErrorText *error)
{
    const VerityParameters *verity = &read_back->partition->verity;
    Sha256 digests[CHUNK_BLOCKS];
    int r = fd_pread_full(read_back->slot.fd, chunk, n_blocks * VERITY_BLOCK_BYTES,
            read_back->slot.offset_bytes + first_block * VERITY_BLOCK_BYTES);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_VERIFIER_IO,
                "the slot cannot be read back at block %" PRIu64 ": %s", first_block, strerror(-r));
    if (verity_hash_blocks(verity, chunk, n_blocks, digests) < 0)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    r = verity_leaves_write(
            verity, read_back->tree, first_block, digests, n_blocks, read_back->may_hold_tree);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_WRITE, "the slot's verity tree cannot be written: %s",
                strerror(-r));
    return UPDATE_OK;
}

/* Of an extent what is data; what lies behind that has its hash for the whole. */
static UpdateError read_extent(
        ReadBack *read_back, const Extent *extent, uint8_t *chunk, ErrorText *error)
{
    uint64_t n_data_blocks = read_back->partition->verity.n_data_blocks;
    if (extent->start_block >= n_data_blocks)
        return UPDATE_OK;
    uint64_t n_blocks = MIN(extent->n_blocks, n_data_blocks - extent->start_block);
    UpdateError code = UPDATE_OK;
    for (uint64_t i = 0; code == UPDATE_OK && i < n_blocks; i += CHUNK_BLOCKS) {
        size_t n = (size_t)MIN(n_blocks - i, (uint64_t)CHUNK_BLOCKS);
        code = read_chunk(read_back, extent->start_block + i, n, chunk, error);
    }
    return code;
}

UpdateError read_back_operation(
        ReadBack *read_back, const Operation *operation, uint8_t *chunk, ErrorText *error)
{
    UpdateError code = UPDATE_OK;
    for (size_t i = 0; code == UPDATE_OK && i < operation->n_dst_extents; i++)
        code = read_extent(read_back, &operation->dst_extents[i], chunk, error);
    return code;
}
