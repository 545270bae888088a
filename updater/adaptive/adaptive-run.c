/* SPDX-License-Identifier: Apache-2.0 */

/* Done in groups of some frames: a group is gathered in one buffer, hashed as a whole, and written
 * out in runs of what the target does not hold.
 *
 * Frames that refer to what lies before them find it in the buffer, wherever it came from: what is
 * on this machine is read first, and the end of the group before is kept, which was proven. A block
 * of this machine that is not what it seemed spoils the frames that refer to it. So it is judged
 * before them: it means that the operation is lacking, never that the payload is damaged. */

#include "updater/adaptive/adaptive-run.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "updater/payload/frame-decoder.h"

#define BLOCK ((size_t)MANIFEST_BLOCK_BYTES)
#define GROUP_BLOCKS ((size_t)64)

static_assert(GROUP_BLOCKS * BLOCK % MANIFEST_FRAME_MAX_BYTES == 0,
        "a frame lies in one group: its size divides that of the largest");
static_assert(
        GROUP_BLOCKS * BLOCK >= MANIFEST_FRAME_PREFIX_MAX_BYTES, "what is kept is of one group");

typedef struct {
    const AdaptivePlace *place;
    const Operation *operation;
    size_t i_operation;
    const OperationSink *sink;
    ErrorText *error;
    BlockList list;
    const uint8_t *blob; /* what follows of it */
    FrameDecoder *decoder;
    size_t n_history_bytes; /* that frames may refer to: as many before the buffer, in its memory */
    uint8_t *memory;
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

/* What every block of the group is. */
static void look_up_blocks(Run *run)
{
    const AdaptivePlan *plan = run->place->plan;
    size_t n_per_frame = adaptive_plan_frame_blocks(plan, run->i_operation);
    for (size_t i = 0; i < run->n; i++) {
        run->kinds[i] =
                block_match_get(adaptive_plan_match(plan), block_at(run, i), &run->sources[i]);
        run->is_fetched[i] = i % n_per_frame > 0
                                     ? run->is_fetched[i - 1]
                                     : adaptive_plan_has_frame(plan, run->i_operation, &run->list,
                                               (run->first + i) / n_per_frame);
    }
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

/* The content of those that were not fetched. */
static void read_blocks(Run *run)
{
    for (size_t i = 0; i < run->n && !run->is_lacking;) {
        if (!run->is_fetched[i] && run->kinds[i] != BLOCK_ZERO) {
            i = read_run(run, i);
            continue;
        }
        if (!run->is_fetched[i])
            memset(run->buffer + i * BLOCK, 0, BLOCK);
        i++;
    }
}

static int take_frame(Run *run, size_t at, size_t n_blocks, size_t n_data_bytes)
{
    uint8_t *place = run->buffer + at * BLOCK;
    const uint8_t *data = run->blob;
    run->blob += n_data_bytes;
    if (run->operation->type == OPERATION_REPLACE) {
        memcpy(place, data, n_data_bytes);
        return 0;
    }
    size_t n_prefix_bytes = MIN(run->n_history_bytes, (run->first + at) * BLOCK);
    return frame_decoder_take(
            run->decoder, data, n_data_bytes, n_prefix_bytes, place, n_blocks * BLOCK);
}

/* The content of those that were, in their order: they may refer to one another. Errors: as
 * frame_decoder_take(). */
static int take_frames(Run *run)
{
    const AdaptivePlan *plan = run->place->plan;
    size_t n_per_frame = adaptive_plan_frame_blocks(plan, run->i_operation);
    int r = 0;
    for (size_t at = 0; r == 0 && at < run->n; at += n_per_frame)
        if (run->is_fetched[at])
            r = take_frame(run, at, MIN(n_per_frame, run->n - at),
                    adaptive_plan_frame_data_bytes(
                            plan, run->i_operation, (run->first + at) / n_per_frame));
    return r;
}

/* --- proving and writing --------------------------------------------------------------------- */

/* Whether those blocks that were fetched, or those that were not, are what the index says. *ret_i
 * is the first one that is not. */
static bool are_right(const Run *run, bool is_fetched, size_t *ret_i)
{
    const BlockMatch *match = adaptive_plan_match(run->place->plan);
    for (*ret_i = 0; *ret_i < run->n; (*ret_i)++)
        if (run->is_fetched[*ret_i] == is_fetched &&
                !block_match_is(match, block_at(run, *ret_i), &run->digests[*ret_i]))
            return false;
    return true;
}

static UpdateError refuse_memory(const Run *run)
{
    return error_say(run->error, UPDATE_ERROR_GENERIC, "out of memory");
}

/* taken: how take_frames() ended. */
static UpdateError check_blocks(Run *run, int taken)
{
    const VerityParameters *verity = &adaptive_plan_partition(run->place->plan)->verity;
    size_t i;
    if (taken == -ENOMEM || verity_hash_blocks(verity, run->buffer, run->n, run->digests) < 0)
        return refuse_memory(run);
    run->is_lacking = !are_right(run, false, &i);
    if (run->is_lacking)
        return UPDATE_OK;
    if (taken < 0)
        return error_say(run->error, UPDATE_ERROR_OPERATION_HASH,
                "a part of the payload's data from %" PRIu64
                " on cannot be decompressed: it is damaged",
                run->operation->data_offset_bytes);
    if (!are_right(run, true, &i))
        return error_say(run->error, UPDATE_ERROR_OPERATION_HASH,
                "the payload is damaged: block %" PRIu64
                " of the slot does not have the hash that its index gives",
                block_at(run, i));
    return UPDATE_OK;
}

/* Blocks that were fetched and should be in place already: they are, or they are written. */
static void compare_blocks(Run *run)
{
    const VerityRegion *target = &run->place->target;
    for (size_t i = 0; i < run->n; i++) {
        if (!run->is_fetched[i] || run->kinds[i] != BLOCK_IN_PLACE)
            continue;
        if (fd_pread_full(target->fd, run->held, BLOCK,
                    target->offset_bytes + block_at(run, i) * BLOCK) < 0 ||
                memcmp(run->held, run->buffer + i * BLOCK, BLOCK) != 0)
            run->kinds[i] = BLOCK_LACKING;
    }
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
    look_up_blocks(run);
    read_blocks(run);
    if (run->is_lacking)
        return UPDATE_OK;
    UpdateError code = check_blocks(run, take_frames(run));
    if (code != UPDATE_OK || run->is_lacking)
        return code;
    compare_blocks(run);
    return write_blocks(run);
}

/* The next one is to come; this one was whole. */
static void keep_history(Run *run)
{
    memcpy(run->memory, run->buffer + GROUP_BLOCKS * BLOCK - run->n_history_bytes,
            run->n_history_bytes);
}

static int run_init(Run *run)
{
    run->n_history_bytes = run->operation->frame_prefix_bytes;
    run->memory = aligned_alloc(BLOCK, run->n_history_bytes + GROUP_BLOCKS * BLOCK);
    run->held = aligned_alloc(BLOCK, BLOCK);
    if (!run->memory || !run->held)
        return -ENOMEM;
    run->buffer = run->memory + run->n_history_bytes;
    block_list_fill(&run->list, run->operation);
    return frame_decoder_new(&run->decoder);
}

static void run_done(Run *run)
{
    frame_decoder_free(run->decoder);
    free(run->memory);
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
    };
    if (run_init(&run) < 0)
        return refuse_memory(&run);
    UpdateError code = UPDATE_OK;
    while (code == UPDATE_OK && !run.is_lacking && run.first < run.list.n_blocks) {
        if (run.first > 0)
            keep_history(&run);
        run.n = MIN(GROUP_BLOCKS, run.list.n_blocks - run.first);
        code = run_group(&run);
        run.first += run.n;
    }
    *ret_is_lacking = run.is_lacking;
    return code;
}
