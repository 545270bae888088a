/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/leaves.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/fd-io.h"
#include "verity/block-walk.h"

#define PIECE_BLOCKS 64 /* of the tree */

int verity_leaves_read(const VerityParameters *parameters, VerityRegion tree,
        const atomic_bool *is_cancelled, VerityLeavesTaker take, void *userdata)
{
    VerityLayout layout;
    int r = verity_layout_compute(parameters, &layout);
    if (r < 0)
        return r;
    if (layout.n_levels == 0)
        return -EINVAL; /* a single block has no tree */
    _cleanup_free_ uint8_t *piece =
            aligned_alloc(VERITY_BLOCK_BYTES, PIECE_BLOCKS * VERITY_BLOCK_BYTES);
    if (!piece)
        return -ENOMEM;
    uint64_t at_bytes = tree.offset_bytes + layout.level_start_block[0] * VERITY_BLOCK_BYTES;
    uint64_t n_data_blocks = parameters->n_data_blocks;
    for (uint64_t i = 0; i < n_data_blocks;) {
        if (is_cancelled && atomic_load(is_cancelled))
            return -ECANCELED;
        uint64_t n_digests =
                MIN(n_data_blocks - i, (uint64_t)PIECE_BLOCKS * VERITY_DIGESTS_PER_BLOCK);
        size_t n_bytes =
                (size_t)u64_div_round_up(n_digests, VERITY_DIGESTS_PER_BLOCK) * VERITY_BLOCK_BYTES;
        r = fd_pread_full(tree.fd, piece, n_bytes, at_bytes);
        if (r == 0)
            r = take(i, (const Sha256 *)piece, (size_t)n_digests, userdata);
        if (r < 0)
            return r;
        at_bytes += n_bytes;
        i += n_digests;
    }
    return 0;
}

/* Digests of one hash block, or of a part of it. */
static int write_piece(
        int fd, uint64_t at_bytes, const void *digests, size_t n_bytes, bool only_changes)
{
    uint8_t held[VERITY_BLOCK_BYTES];
    if (only_changes) {
        int r = fd_pread_full(fd, held, n_bytes, at_bytes);
        if (r < 0)
            return r;
        if (memcmp(held, digests, n_bytes) == 0)
            return 0;
    }
    return fd_pwrite_full(fd, digests, n_bytes, at_bytes);
}

int verity_leaves_write(const VerityParameters *parameters, VerityRegion tree, uint64_t first_block,
        const Sha256 *digests, size_t n_digests, bool only_changes)
{
    VerityLayout layout;
    int r = verity_layout_compute(parameters, &layout);
    if (r < 0)
        return r;
    if (layout.n_levels == 0 || first_block > parameters->n_data_blocks ||
            n_digests > parameters->n_data_blocks - first_block)
        return -EINVAL;
    uint64_t level_bytes = tree.offset_bytes + layout.level_start_block[0] * VERITY_BLOCK_BYTES;
    while (r == 0 && n_digests > 0) {
        size_t n_room = VERITY_DIGESTS_PER_BLOCK - first_block % VERITY_DIGESTS_PER_BLOCK;
        size_t n = MIN(n_digests, n_room);
        r = write_piece(tree.fd, level_bytes + first_block * sizeof(Sha256), digests,
                n * sizeof(Sha256), only_changes);
        first_block += n;
        digests += n;
        n_digests -= n;
    }
    return r;
}

typedef struct {
    VerityLeavesTaker take;
    void *userdata;
} Caller;

static int pass_on(uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata,
        ErrorText *error)
{
    (void)error;
    const Caller *caller = userdata;
    return caller->take(first_block, digests, n_digests, caller->userdata);
}

int verity_leaves_hash(const VerityParameters *parameters, VerityRegion data, const VerityRun *run,
        VerityLeavesTaker take, void *userdata, ErrorText *error)
{
    if (parameters->n_salt_bytes > VERITY_SALT_MAX_BYTES)
        return error_say(
                error, -EINVAL, "a salt of %zu bytes is not possible", parameters->n_salt_bytes);
    static const VerityRun no_run;
    Caller caller = {.take = take, .userdata = userdata};
    const BlockWalk walk = {
            .parameters = parameters,
            .what = "the data",
            .region = data,
            .n_blocks = parameters->n_data_blocks,
            .run = run ? run : &no_run,
            .take = pass_on,
            .userdata = &caller,
    };
    return block_walk(&walk, error);
}
