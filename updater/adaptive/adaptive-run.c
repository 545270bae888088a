/* SPDX-License-Identifier: Apache-2.0 */

/* Done in groups of some frames: a group is gathered in one buffer, hashed as a whole, and written
 * out in runs of what the target does not hold. */

#include "updater/adaptive/adaptive-run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/fd-io.h"

#define BLOCK ((size_t)MANIFEST_BLOCK_BYTES)
#define GROUP_BLOCKS ((size_t)64)

static_assert(GROUP_BLOCKS * BLOCK % MANIFEST_FRAME_MAX_BYTES == 0,
        "a frame lies in one group: its size divides that of the largest");

typedef struct {
    const AdaptivePlace *place;
    const Operation *operation;
    size_t i_operation;
    const OperationSink *sink;
    ErrorText *error;
    BlockList list;
    const uint8_t *blob; /* what follows of it */
    ZSTD_DCtx *zstd;
    uint8_t *buffer;               /* of a group */
    uint8_t *held;                 /* a block of the target, to compare with */
    BlockKind kinds[GROUP_BLOCKS]; /* as the match has them */
    uint64_t sources[GROUP_BLOCKS];
    bool is_fetched[GROUP_BLOCKS]; /* perhaps one that is here as well: its frame has others */
    Sha256 digests[GROUP_BLOCKS];
    size_t first; /* of the group, in the list */
    size_t n;     /* blocks of the group */
    bool is_lacking;
} Run;

static uint64_t block_at(const Run *run, size_t i)
{
    return run->list.blocks[run->first + i];
}

/* --- gathering ------------------------------------------------------------------------------- */

static UpdateError take_frame(Run *run, size_t at, size_t n_blocks, size_t n_data_bytes)
{
    uint8_t *place = run->buffer + at * BLOCK;
    if (run->operation->type == OPERATION_REPLACE) {
        memcpy(place, run->blob, n_data_bytes);
    } else {
        size_t n = ZSTD_decompressDCtx(run->zstd, place, n_blocks * BLOCK, run->blob, n_data_bytes);
        if (ZSTD_isError(n) || n != n_blocks * BLOCK)
            return error_say(run->error, UPDATE_ERROR_OPERATION_HASH,
                    "a part of the payload's data from %" PRIu64
                    " on cannot be decompressed: it is damaged",
                    run->operation->data_offset_bytes);
    }
    run->blob += n_data_bytes;
    return UPDATE_OK;
}

/* What every block of the group is, and the content of those that were fetched. */
static UpdateError take_frames(Run *run)
{
    const AdaptivePlan *plan = run->place->plan;
    size_t n_per_frame = adaptive_plan_frame_blocks(plan, run->i_operation);
    for (size_t at = 0; at < run->n; at += n_per_frame) {
        size_t n = MIN(n_per_frame, run->n - at), frame = (run->first + at) / n_per_frame;
        bool is_fetched = adaptive_plan_has_frame(plan, run->i_operation, &run->list, frame);
        for (size_t i = at; i < at + n; i++) {
            run->kinds[i] =
                    block_match_get(adaptive_plan_match(plan), block_at(run, i), &run->sources[i]);
            run->is_fetched[i] = is_fetched;
        }
        if (!is_fetched)
            continue;
        UpdateError code = take_frame(
                run, at, n, adaptive_plan_frame_data_bytes(plan, run->i_operation, frame));
        if (code != UPDATE_OK)
            return code;
    }
    return UPDATE_OK;
}

/* Whether block i can be read together with the one before it. */
static bool follows(const Run *run, size_t i)
{
    if (run->kinds[i] != run->kinds[i - 1] || run->is_fetched[i])
        return false;
    return run->kinds[i] == BLOCK_COPY ? run->sources[i] == run->sources[i - 1] + 1
                                       : block_at(run, i) == block_at(run, i - 1) + 1;
}

/* Reads the blocks from `from` on that lie one behind the other. Returns the next one. */
static size_t read_run(Run *run, size_t from)
{
    bool is_copy = run->kinds[from] == BLOCK_COPY;
    const VerityRegion *region = is_copy ? &run->place->source : &run->place->target;
    uint64_t block = is_copy ? run->sources[from] : block_at(run, from);
    size_t to = from + 1;
    while (to < run->n && follows(run, to))
        to++;
    if (fd_pread_full(region->fd, run->buffer + from * BLOCK, (to - from) * BLOCK,
                region->offset_bytes + block * BLOCK) < 0)
        run->is_lacking = true;
    return to;
}

/* A block that was fetched and should be in place already: it is, or it is written. */
static void compare(Run *run, size_t i)
{
    const VerityRegion *target = &run->place->target;
    if (fd_pread_full(target->fd, run->held, BLOCK,
                target->offset_bytes + block_at(run, i) * BLOCK) < 0 ||
            memcmp(run->held, run->buffer + i * BLOCK, BLOCK) != 0)
        run->kinds[i] = BLOCK_LACKING;
}

/* The content of the others. */
static void read_blocks(Run *run)
{
    for (size_t i = 0; i < run->n && !run->is_lacking;) {
        if (run->is_fetched[i] && run->kinds[i] == BLOCK_IN_PLACE)
            compare(run, i);
        else if (!run->is_fetched[i] && run->kinds[i] == BLOCK_ZERO)
            memset(run->buffer + i * BLOCK, 0, BLOCK);
        else if (!run->is_fetched[i]) {
            i = read_run(run, i);
            continue;
        }
        i++;
    }
}

/* --- proving and writing --------------------------------------------------------------------- */

static UpdateError check_blocks(Run *run)
{
    const AdaptivePlan *plan = run->place->plan;
    if (verity_hash_blocks(
                &adaptive_plan_partition(plan)->verity, run->buffer, run->n, run->digests) < 0)
        return error_say(run->error, UPDATE_ERROR_GENERIC, "out of memory");
    for (size_t i = 0; i < run->n; i++) {
        if (block_match_is(adaptive_plan_match(plan), block_at(run, i), &run->digests[i]))
            continue;
        if (run->is_fetched[i])
            return error_say(run->error, UPDATE_ERROR_OPERATION_HASH,
                    "the payload is damaged: block %" PRIu64
                    " of the slot does not have the hash that its index gives",
                    block_at(run, i));
        run->is_lacking = true;
    }
    return UPDATE_OK;
}

static UpdateError write_run(Run *run, size_t from, size_t to)
{
    uint64_t at_bytes = block_at(run, from) * BLOCK;
    int r = run->kinds[from] == BLOCK_ZERO
                    ? run->sink->zero(at_bytes, (to - from) * BLOCK, run->sink->userdata)
                    : run->sink->write(at_bytes, run->buffer + from * BLOCK, (to - from) * BLOCK,
                              run->sink->userdata);
    if (r == 0)
        return UPDATE_OK;
    return error_say(run->error, UPDATE_ERROR_WRITE,
            "the slot cannot be written at byte %" PRIu64 ": %s", at_bytes, strerror(-r));
}

/* Whether block i can be written together with the one before it. */
static bool is_written_with(const Run *run, size_t i)
{
    return block_at(run, i) == block_at(run, i - 1) + 1 && run->kinds[i] != BLOCK_IN_PLACE &&
           (run->kinds[i] == BLOCK_ZERO) == (run->kinds[i - 1] == BLOCK_ZERO);
}

static UpdateError write_blocks(Run *run)
{
    UpdateError code = UPDATE_OK;
    for (size_t from = 0, to; code == UPDATE_OK && from < run->n; from = to) {
        to = from + 1;
        if (run->kinds[from] == BLOCK_IN_PLACE)
            continue;
        while (to < run->n && is_written_with(run, to))
            to++;
        code = write_run(run, from, to);
    }
    return code;
}

static UpdateError run_group(Run *run)
{
    UpdateError code = take_frames(run);
    if (code != UPDATE_OK)
        return code;
    read_blocks(run);
    if (!run->is_lacking)
        code = check_blocks(run);
    return code == UPDATE_OK && !run->is_lacking ? write_blocks(run) : code;
}

static void run_done(Run *run)
{
    ZSTD_freeDCtx(run->zstd);
    free(run->buffer);
    free(run->held);
}

UpdateError adaptive_run(const AdaptivePlace *place, const Operation *operation, size_t i_operation,
        const uint8_t *blob, const OperationSink *sink, bool *ret_is_lacking, ErrorText *error)
{
    _cleanup_(run_done) Run run = {
            .place = place,
            .operation = operation,
            .i_operation = i_operation,
            .sink = sink,
            .error = error,
            .blob = blob,
            .zstd = ZSTD_createDCtx(),
            .buffer = aligned_alloc(BLOCK, GROUP_BLOCKS * BLOCK),
            .held = aligned_alloc(BLOCK, BLOCK),
    };
    if (!run.zstd || !run.buffer || !run.held)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    block_list_fill(&run.list, operation);
    UpdateError code = UPDATE_OK;
    while (code == UPDATE_OK && !run.is_lacking && run.first < run.list.n_blocks) {
        run.n = MIN(GROUP_BLOCKS, run.list.n_blocks - run.first);
        code = run_group(&run);
        run.first += run.n;
    }
    *ret_is_lacking = run.is_lacking;
    return code;
}
