/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-leaves.h"

#include <string.h>

#include "partitions/slot-trailer-read.h"

/* Whether a trailer tells of a tree whose leaves the index can be held against. */
static bool has_same_salt(const SlotTrailer *trailer, const VerityParameters *verity)
{
    return trailer->tree_bytes > 0 && trailer->n_salt_bytes == verity->n_salt_bytes &&
           memcmp(trailer->salt, verity->salt, verity->n_salt_bytes) == 0;
}

/* Of n_bytes of data, with the salt of the new slot. */
static VerityParameters parameters_of(const SlotLeaves *leaves, uint64_t n_bytes)
{
    VerityParameters parameters = *leaves->verity;
    parameters.n_data_blocks = n_bytes / VERITY_BLOCK_BYTES;
    return parameters;
}

/* Also says how many bytes count, should they have to be hashed. */
static int read_tree(const SlotLeaves *leaves, VerityLeavesTaker take, void *userdata,
        uint64_t *ret_n_data_bytes)
{
    TrailerFault fault;
    SlotTrailer trailer;
    int r = slot_trailer_read_at(
            leaves->region.fd, leaves->region.offset_bytes, leaves->n_bytes, &fault, &trailer);
    if (r < 0)
        return r;
    *ret_n_data_bytes = fault == TRAILER_VALID ? trailer.fs_bytes : leaves->n_bytes;
    if (fault != TRAILER_VALID || !has_same_salt(&trailer, leaves->verity))
        return 0;
    VerityParameters parameters = parameters_of(leaves, trailer.fs_bytes);
    VerityRegion tree = {
            .fd = leaves->region.fd,
            .offset_bytes = leaves->region.offset_bytes + trailer.tree_offset,
    };
    r = verity_leaves_read(&parameters, tree, leaves->is_cancelled, take, userdata);
    return r < 0 ? r : 1;
}

int slot_leaves_read(const SlotLeaves *leaves, VerityLeavesTaker take, void *userdata)
{
    uint64_t n_data_bytes;
    return read_tree(leaves, take, userdata, &n_data_bytes);
}

int slot_leaves_take(
        const SlotLeaves *leaves, VerityLeavesTaker take, void *userdata, ErrorText *error)
{
    uint64_t n_data_bytes;
    int r = read_tree(leaves, take, userdata, &n_data_bytes);
    if (r != 0)
        return MIN(r, 0);
    VerityParameters parameters = parameters_of(leaves, n_data_bytes);
    const VerityRun run = {
            .n_threads = leaves->n_threads,
            .is_cancelled = leaves->is_cancelled,
    };
    return verity_leaves_hash(&parameters, leaves->region, &run, take, userdata, error);
}
