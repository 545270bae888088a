/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/in-place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/bits.h"
#include "common/bytes.h"
#include "common/fd-io.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_BYTES)
#define PIECE_BLOCKS ((uint64_t)64)

struct InPlace {
    const PartitionUpdate *partition;
    InstallSource *base;
    OperationSink sink;
    OperationSource written;
    int scratch_fd;
    uint64_t n_blocks;   /* that the bits are of: more are never written */
    uint8_t *is_written; /* by an operation before this one */
    uint8_t *is_target;  /* of what is being looked at; else all clear */
    uint8_t *piece;      /* PIECE_BLOCKS */
};

/* Sets or clears the bits of all blocks that an operation writes. */
static void put_bits(const InPlace *in_place, uint8_t *bits, const Operation *operation, bool value)
{
    for (size_t i = 0; i < operation->n_dst_extents; i++) {
        const Extent *extent = &operation->dst_extents[i];
        for (uint64_t k = 0; k < extent->n_blocks; k++) {
            uint64_t block;
            if (!u64_add(extent->start_block, k, &block) || block >= in_place->n_blocks)
                break; /* a hole, or what the slot has no room for */
            bits_put(bits, block, value);
        }
    }
}

int in_place_new(const PartitionUpdate *partition, InstallSource *base, const OperationSink *sink,
        const OperationSource *written, int scratch_fd, InPlace **ret_in_place)
{
    _cleanup_(in_place_freep) InPlace *in_place = malloc(sizeof(*in_place));
    if (!in_place)
        return -ENOMEM;
    *in_place = (InPlace){
            .partition = partition,
            .base = base,
            .sink = *sink,
            .written = *written,
            .scratch_fd = scratch_fd,
            .n_blocks =
                    u64_div_round_up(MAX(partition->size_bytes, partition->source_bytes), BLOCK),
    };
    in_place->is_written = bits_new(in_place->n_blocks);
    in_place->is_target = bits_new(in_place->n_blocks);
    in_place->piece = aligned_alloc(BLOCK, PIECE_BLOCKS * BLOCK);
    if (!in_place->is_written || !in_place->is_target || !in_place->piece)
        return -ENOMEM;
    *ret_in_place = TAKE_PTR(in_place);
    return 0;
}

void in_place_free(InPlace *in_place)
{
    if (!in_place)
        return;
    free(in_place->is_written);
    free(in_place->is_target);
    free(in_place->piece);
    free(in_place);
}

static UpdateError refuse_read(int r, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_SOURCE,
            "what the delta begins with cannot be read: %s: install a full payload", strerror(-r));
}

/* Copies blocks [from, to), at most PIECE_BLOCKS. */
static UpdateError copy_run(InPlace *in_place, uint64_t from, uint64_t to, ErrorText *error)
{
    size_t n_bytes = (size_t)((to - from) * BLOCK);
    int r = install_source_read(in_place->base, from * BLOCK, in_place->piece, n_bytes);
    if (r < 0)
        return refuse_read(r, error);
    install_source_drop(in_place->base, from * BLOCK, n_bytes);
    r = in_place->sink.write(from * BLOCK, in_place->piece, n_bytes, in_place->sink.userdata);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_WRITE,
                "the slot cannot be written at byte %" PRIu64 ": %s", from * BLOCK, strerror(-r));
    return UPDATE_OK;
}

UpdateError in_place_copy_rest(InPlace *in_place, const atomic_bool *is_cancelled, ErrorText *error)
{
    const PartitionUpdate *partition = in_place->partition;
    uint64_t n_blocks =
            u64_div_round_up(MIN(partition->size_bytes, partition->source_bytes), BLOCK);
    uint8_t *is_target = in_place->is_target;
    for (size_t i = 0; i < partition->n_operations; i++)
        put_bits(in_place, is_target, &partition->operations[i], true);
    UpdateError code = UPDATE_OK;
    for (uint64_t from = 0, to; code == UPDATE_OK && from < n_blocks; from = to) {
        to = from + 1;
        if (atomic_load(is_cancelled))
            return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
        if (bits_get(is_target, from))
            continue;
        while (to < n_blocks && to - from < PIECE_BLOCKS && !bits_get(is_target, to))
            to++;
        code = copy_run(in_place, from, to, error);
    }
    memset(is_target, 0, (size_t)(in_place->n_blocks / 8 + 1));
    return code;
}

/* What the partition held before the operation, as long as that has not written it. */
static int read_before(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    const InPlace *in_place = userdata;
    uint64_t from = offset_bytes / BLOCK, end = from + n_bytes / BLOCK;
    int r = 0;
    for (uint64_t to; r == 0 && from < end; from = to) {
        if (from >= in_place->n_blocks)
            return -EINVAL;
        bool is_written = bits_get(in_place->is_written, from);
        to = from + 1;
        while (to < MIN(end, in_place->n_blocks) &&
                bits_get(in_place->is_written, to) == is_written)
            to++;
        size_t n = (size_t)((to - from) * BLOCK);
        r = is_written
                    ? in_place->written.read(from * BLOCK, ret_data, n, in_place->written.userdata)
                    : install_source_read(in_place->base, from * BLOCK, ret_data, n);
        ret_data += n;
    }
    return r;
}

/* Whether the operation writes a block that it reads and that is not read from the base. */
static bool writes_over_source(InPlace *in_place, const Operation *operation)
{
    bool is_found = false;
    put_bits(in_place, in_place->is_target, operation, true);
    for (size_t i = 0; i < operation->n_src_extents && !is_found; i++) {
        const Extent *extent = &operation->src_extents[i];
        for (uint64_t k = 0; k < extent->n_blocks && !is_found; k++) {
            uint64_t block;
            if (!u64_add(extent->start_block, k, &block) || block >= in_place->n_blocks)
                break;
            is_found =
                    bits_get(in_place->is_target, block) && bits_get(in_place->is_written, block);
        }
    }
    put_bits(in_place, in_place->is_target, operation, false);
    return is_found;
}

static int save_extent(InPlace *in_place, const Extent *extent, int fd)
{
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < extent->n_blocks; at += PIECE_BLOCKS) {
        uint64_t n_blocks = MIN(PIECE_BLOCKS, extent->n_blocks - at);
        uint64_t offset_bytes = (extent->start_block + at) * BLOCK;
        size_t n_bytes = (size_t)(n_blocks * BLOCK);
        r = read_before(offset_bytes, in_place->piece, n_bytes, in_place);
        if (r == 0)
            r = fd_pwrite_full(fd, in_place->piece, n_bytes, offset_bytes);
    }
    return r;
}

static int read_scratch(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    const int *fd = userdata;
    return fd_pread_full(*fd, ret_data, n_bytes, offset_bytes);
}

/* Over a copy of what it reads, in a file without a name, at the same places. */
static UpdateError apply_over_copy(
        InPlace *in_place, const Operation *operation, const uint8_t *blob, ErrorText *error)
{
    _cleanup_close_ int fd =
            openat(in_place->scratch_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_say(error, UPDATE_ERROR_WRITE,
                "the state folder has no room for a part of the delta: %s", strerror(errno));
    for (size_t i = 0; i < operation->n_src_extents; i++) {
        const Extent *extent = &operation->src_extents[i];
        int r = extent->start_block != EXTENT_HOLE ? save_extent(in_place, extent, fd) : 0;
        if (r < 0)
            return refuse_read(r, error);
    }
    const OperationSource source = {.read = read_scratch, .userdata = &fd};
    return operation_apply(operation, blob, &source, &in_place->sink, error);
}

UpdateError in_place_apply(
        InPlace *in_place, const Operation *operation, const uint8_t *blob, ErrorText *error)
{
    const OperationSource source = {.read = read_before, .userdata = in_place};
    UpdateError code = writes_over_source(in_place, operation)
                               ? apply_over_copy(in_place, operation, blob, error)
                               : operation_apply(operation, blob, &source, &in_place->sink, error);
    put_bits(in_place, in_place->is_written, operation, true);
    return code;
}
