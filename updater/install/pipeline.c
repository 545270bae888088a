/* SPDX-License-Identifier: Apache-2.0 */

/* A lane is one buffer and the job that applies what is in it. The cursor walks the operations in
 * order and gives each missing one to a free lane (those that a plan makes of what is here alone
 * have a cursor of their own, which runs ahead, and lanes without a buffer); with a network source
 * the lane at the cursor waits until its blob is whole. Lanes are given in the order of the
 * payload, so the digest over the stream can take them one after another while other threads apply
 * them; a lane is free again when both have finished.
 *
 * A lane starts the write-back of what it wrote at once. Some operations later, or when there is
 * nothing else to do, the operation is settled (settling.h). So nobody waits for the disk who has
 * not been given time, and dirty and cached pages are bounded, for no lane is given away while too
 * much is not settled. */

#include "updater/install/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "updater/install/settling.h"

#define NO_OPERATION SIZE_MAX
#define PAGE_BYTES 4096
#define LANES_MAX (PIPELINE_SLOTS_MAX + PIPELINE_LOCAL_LANES)
#define DIGEST_MARKS_MAX (2 * PIPELINE_SLOTS_MAX)

typedef struct {
    Pipeline *pipeline;
    WorkerJob job;
    uint8_t *blob;    /* room for the largest of the payload; NULL: for operations without one */
    size_t operation; /* NO_OPERATION: free */
    size_t n_wanted_bytes;
    size_t n_filled_bytes;
    bool is_loaded; /* the blob is whole */
    bool is_applied;
    bool is_lacking; /* what should be here is not: the operation has its turn again */
    bool is_digested;
    UpdateError code;
    ErrorText error;
} Lane;

/* What the digest had come to behind an operation's blob. */
typedef struct {
    size_t n_operations; /* up to it */
    PayloadDigestState state;
} DigestMark;

struct Pipeline {
    WorkerPool *pool;
    PipelineOptions options;
    Lane lanes[LANES_MAX];
    size_t n_lanes;
    Lane *collecting; /* waits for its blob from the network; NULL */
    size_t cursor;    /* the next operation to be looked at */
    size_t ahead;     /* the same of those that need nothing from the network */
    bool *is_lacking; /* with a plan, of each operation: it has its turn again, when all had one */
    size_t n_done_in_order;
    size_t digest_next; /* the operation whose blob the digest takes next */
    WorkerJob digest_job;
    Lane *digesting;
    Settling *settling;
    DigestMark mark;                    /* the last up to which all is written, too */
    DigestMark marks[DIGEST_MARKS_MAX]; /* behind that; as many as there was room for */
    size_t n_marks;
    uint64_t n_pending_bytes; /* of blobs in lanes */
    uint64_t n_bytes_done;
    uint64_t n_bytes_read;
    UpdateError code;
    ErrorText error;
};

static const Operation *operation_at(const Pipeline *pipeline, size_t i)
{
    return &pipeline->options.operations[i];
}

static size_t n_operations(const Pipeline *pipeline)
{
    return pipeline->options.n_operations;
}

/* How much of an operation's blob comes from the network. */
static uint64_t wanted_bytes(const Pipeline *pipeline, size_t i)
{
    return pipeline->options.plan ? adaptive_plan_n_bytes(pipeline->options.plan, i)
                                  : operation_at(pipeline, i)->n_data_bytes;
}

/* --- in a worker thread ------------------------------------------------------------------ */

static void run_apply(void *userdata)
{
    Lane *lane = userdata;
    const PipelineOptions *options = &lane->pipeline->options;
    const Operation *operation = operation_at(lane->pipeline, lane->operation);
    lane->code = operation_run(&options->place, operation, lane->blob, lane->is_loaded,
            &lane->is_lacking, &lane->error);
}

static void run_digest(void *userdata)
{
    Pipeline *pipeline = userdata;
    const Lane *lane = pipeline->digesting;
    payload_digest_add_blob(pipeline->options.digest, lane->blob,
            (size_t)operation_at(pipeline, lane->operation)->n_data_bytes);
}

/* --- in the loop ------------------------------------------------------------------------- */

static void free_lane_if_done(Pipeline *pipeline, Lane *lane)
{
    if (!lane->is_applied || !lane->is_digested)
        return;
    pipeline->n_pending_bytes -= lane->n_wanted_bytes;
    lane->operation = NO_OPERATION;
}

static void fail(Pipeline *pipeline, UpdateError code, const ErrorText *error)
{
    if (pipeline->code != UPDATE_OK)
        return;
    pipeline->code = code;
    pipeline->error = *error;
}

static Lane *find_lane(Pipeline *pipeline, size_t operation)
{
    for (size_t i = 0; i < pipeline->n_lanes; i++)
        if (pipeline->lanes[i].operation == operation)
            return &pipeline->lanes[i];
    return NULL;
}

/* The digest runs ahead of what is written, and behind it. */
static void move_mark(Pipeline *pipeline)
{
    size_t n_passed = 0;
    while (n_passed < pipeline->n_marks &&
            pipeline->marks[n_passed].n_operations <= pipeline->n_done_in_order)
        n_passed++;
    if (n_passed == 0)
        return;
    pipeline->mark = pipeline->marks[n_passed - 1];
    pipeline->n_marks -= n_passed;
    memmove(pipeline->marks, pipeline->marks + n_passed,
            pipeline->n_marks * sizeof(*pipeline->marks));
}

static void add_mark(Pipeline *pipeline)
{
    if (pipeline->n_marks == DIGEST_MARKS_MAX)
        return;
    DigestMark *mark = &pipeline->marks[pipeline->n_marks++];
    mark->n_operations = pipeline->digest_next;
    payload_digest_save(pipeline->options.digest, &mark->state);
    move_mark(pipeline);
}

static void start_digest(Pipeline *pipeline)
{
    if (!pipeline->options.digest || pipeline->digesting || pipeline->code != UPDATE_OK)
        return;
    while (pipeline->digest_next < n_operations(pipeline) &&
            operation_at(pipeline, pipeline->digest_next)->n_data_bytes == 0)
        pipeline->digest_next++;
    Lane *lane = pipeline->digest_next < n_operations(pipeline)
                         ? find_lane(pipeline, pipeline->digest_next)
                         : NULL;
    if (!lane || !lane->is_loaded)
        return;
    pipeline->digesting = lane;
    worker_pool_submit(pipeline->pool, &pipeline->digest_job);
}

static void on_digested(void *userdata)
{
    Pipeline *pipeline = userdata;
    Lane *lane = pipeline->digesting;
    pipeline->digesting = NULL;
    pipeline->digest_next++;
    add_mark(pipeline);
    lane->is_digested = true;
    free_lane_if_done(pipeline, lane);
    pipeline_pump(pipeline);
    pipeline->options.on_change(pipeline->options.userdata);
}

static void tick_off(Pipeline *pipeline, size_t i)
{
    bool *is_done = pipeline->options.is_done;
    is_done[i] = true;
    pipeline->n_bytes_done += operation_at(pipeline, i)->n_data_bytes;
    while (pipeline->n_done_in_order < n_operations(pipeline) && is_done[pipeline->n_done_in_order])
        pipeline->n_done_in_order++;
    move_mark(pipeline);
}

static void on_applied(void *userdata)
{
    Lane *lane = userdata;
    Pipeline *pipeline = lane->pipeline;
    if (lane->code == UPDATE_OK && lane->is_lacking) {
        adaptive_plan_fetch_whole(pipeline->options.plan, lane->operation);
        pipeline->is_lacking[lane->operation] = true;
        lane->is_applied = true;
        free_lane_if_done(pipeline, lane);
    } else if (lane->code == UPDATE_OK) {
        if (!lane->is_loaded)
            pipeline->n_bytes_read += operation_at(pipeline, lane->operation)->n_data_bytes;
        lane->is_loaded = true;
        lane->is_applied = true;
        tick_off(pipeline, lane->operation);
        settling_add(pipeline->settling, lane->operation);
        free_lane_if_done(pipeline, lane);
    } else {
        fail(pipeline, lane->code, &lane->error);
    }
    pipeline_pump(pipeline);
    pipeline->options.on_change(pipeline->options.userdata);
}

static bool is_applying(const Pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->n_lanes; i++)
        if (pipeline->lanes[i].job.is_busy)
            return true;
    return false;
}

static void on_settled(void *userdata)
{
    Pipeline *pipeline = userdata;
    ErrorText error;
    UpdateError code = settling_failure(pipeline->settling, &error);
    if (code != UPDATE_OK)
        fail(pipeline, code, &error);
    pipeline_pump(pipeline);
    pipeline->options.on_change(pipeline->options.userdata);
}

static void submit(Pipeline *pipeline, Lane *lane)
{
    worker_pool_submit(pipeline->pool, &lane->job);
    start_digest(pipeline);
}

/* Whether an operation is made of what is here alone, so that nobody waits for its blob. */
static bool is_local(const Pipeline *pipeline, size_t i)
{
    return pipeline->options.plan && wanted_bytes(pipeline, i) == 0;
}

static Lane *find_free_lane(Pipeline *pipeline, bool has_blob)
{
    for (size_t i = 0; i < pipeline->n_lanes; i++) {
        Lane *lane = &pipeline->lanes[i];
        if (lane->operation == NO_OPERATION && (lane->blob != NULL) == has_blob)
            return lane;
    }
    return NULL;
}

/* A lane for an operation; NULL when there is no room. */
static Lane *take_lane(Pipeline *pipeline, size_t operation)
{
    if (settling_is_full(pipeline->settling))
        return NULL;
    uint64_t n_wanted_bytes = wanted_bytes(pipeline, operation);
    uint64_t max = pipeline->options.n_pending_max_bytes;
    if (max != 0 && n_wanted_bytes > 0 && pipeline->n_pending_bytes + n_wanted_bytes > max) {
        /* One collects and one is applied, however small the bound. */
        size_t n_taken = 0;
        for (size_t i = 0; i < pipeline->n_lanes; i++)
            n_taken += pipeline->lanes[i].operation != NO_OPERATION &&
                       pipeline->lanes[i].n_wanted_bytes > 0;
        if (n_taken >= 2)
            return NULL;
    }
    Lane *lane = find_free_lane(pipeline, !is_local(pipeline, operation));
    if (!lane)
        return NULL;
    lane->operation = operation;
    lane->n_wanted_bytes = (size_t)n_wanted_bytes;
    lane->n_filled_bytes = 0;
    lane->is_loaded = n_wanted_bytes == 0;
    lane->is_applied = false;
    lane->is_digested = !pipeline->options.digest || n_wanted_bytes == 0;
    pipeline->n_pending_bytes += n_wanted_bytes;
    return lane;
}

static bool needs_network(const Pipeline *pipeline, const Lane *lane)
{
    return pipeline->options.place.file_fd < 0 && lane->n_wanted_bytes > 0;
}

/* When all have had their turn: once more for those that were lacking something, which want their
 * whole blob now, so that this comes to an end. */
static void begin_again(Pipeline *pipeline)
{
    size_t n = n_operations(pipeline);
    if (!pipeline->options.plan || pipeline->cursor < n || pipeline->ahead < n ||
            pipeline->n_done_in_order == n)
        return;
    for (size_t i = 0; i < pipeline->n_lanes; i++)
        if (pipeline->lanes[i].operation != NO_OPERATION)
            return;
    memset(pipeline->is_lacking, 0, n * sizeof(*pipeline->is_lacking));
    pipeline->cursor = 0;
}

/* Whether it is none of the cursor's business. What was found to be lacking something meanwhile is
 * not among the ranges that were asked for. */
static bool is_passed_over(const Pipeline *pipeline, size_t i)
{
    return pipeline->options.is_done[i] || is_local(pipeline, i) ||
           (pipeline->is_lacking && pipeline->is_lacking[i]);
}

static void pump_cursor(Pipeline *pipeline)
{
    while (pipeline->code == UPDATE_OK && !pipeline->collecting &&
            pipeline->cursor < n_operations(pipeline)) {
        if (is_passed_over(pipeline, pipeline->cursor)) {
            pipeline->cursor++;
            continue;
        }
        Lane *lane = take_lane(pipeline, pipeline->cursor);
        if (!lane)
            return;
        pipeline->cursor++;
        if (needs_network(pipeline, lane))
            pipeline->collecting = lane;
        else
            submit(pipeline, lane);
    }
}

static void pump_ahead(Pipeline *pipeline)
{
    while (pipeline->code == UPDATE_OK && pipeline->ahead < n_operations(pipeline)) {
        size_t i = pipeline->ahead;
        if (!pipeline->options.is_done[i] && is_local(pipeline, i)) {
            Lane *lane = take_lane(pipeline, i);
            if (!lane)
                return;
            submit(pipeline, lane);
        }
        pipeline->ahead++;
    }
}

void pipeline_pump(Pipeline *pipeline)
{
    start_digest(pipeline);
    begin_again(pipeline);
    pump_cursor(pipeline);
    pump_ahead(pipeline);
    if (pipeline->code == UPDATE_OK)
        settling_pump(pipeline->settling, !is_applying(pipeline));
}

size_t pipeline_take(Pipeline *pipeline, const uint8_t *data, size_t n_bytes)
{
    size_t n_taken = 0;
    while (n_taken < n_bytes) {
        pipeline_pump(pipeline);
        Lane *lane = pipeline->collecting;
        if (!lane || pipeline->code != UPDATE_OK)
            return n_taken;
        size_t n_missing = lane->n_wanted_bytes - lane->n_filled_bytes;
        size_t n = MIN(n_missing, n_bytes - n_taken);
        memcpy(lane->blob + lane->n_filled_bytes, data + n_taken, n);
        lane->n_filled_bytes += n;
        n_taken += n;
        if (n == n_missing) {
            lane->is_loaded = true;
            pipeline->collecting = NULL;
            submit(pipeline, lane);
        }
    }
    pipeline_pump(pipeline);
    return n_taken;
}

/* Adds a range, to the last one where it follows. False: there is no room. */
static bool add_range(
        FetchRange *ranges, size_t *n_ranges, size_t n_max, uint64_t first_bytes, uint64_t n_bytes)
{
    if (*n_ranges > 0 && ranges[*n_ranges - 1].end_bytes == first_bytes) {
        ranges[*n_ranges - 1].end_bytes += n_bytes;
        return true;
    }
    if (*n_ranges == n_max)
        return false;
    ranges[(*n_ranges)++] =
            (FetchRange){.first_bytes = first_bytes, .end_bytes = first_bytes + n_bytes};
    return true;
}

/* What an operation lacks of its blob from byte at_bytes on of what is wanted of it. */
static bool add_pieces(const Pipeline *pipeline, size_t i, uint64_t at_bytes, FetchRange *ranges,
        size_t *n_ranges, size_t n_max)
{
    uint64_t n_wanted_bytes = wanted_bytes(pipeline, i);
    while (at_bytes < n_wanted_bytes) {
        AdaptivePiece piece = {
                .offset_bytes = operation_at(pipeline, i)->data_offset_bytes + at_bytes,
                .n_bytes = n_wanted_bytes - at_bytes,
        };
        if (pipeline->options.plan)
            piece = adaptive_plan_piece(pipeline->options.plan, i, at_bytes);
        if (!add_range(ranges, n_ranges, n_max, piece.offset_bytes, piece.n_bytes))
            return false;
        at_bytes += piece.n_bytes;
    }
    return true;
}

/* All that an operation lacks, or, where there is no room, nothing: after an interruption its blob
 * is begun anew, and all of it must be among the ranges then. */
static bool add_ranges_of(const Pipeline *pipeline, size_t i, uint64_t at_bytes, FetchRange *ranges,
        size_t *n_ranges, size_t n_max)
{
    size_t n_before = *n_ranges;
    FetchRange last = n_before > 0 ? ranges[n_before - 1] : (FetchRange){};
    if (add_pieces(pipeline, i, at_bytes, ranges, n_ranges, n_max))
        return true;
    if (n_before > 0) {
        *n_ranges = n_before;
        ranges[n_before - 1] = last;
    }
    return false;
}

size_t pipeline_next_ranges(const Pipeline *pipeline, FetchRange *ret_ranges, size_t n_max)
{
    size_t n_ranges = 0;
    const Lane *collecting = pipeline->collecting;
    bool has_room =
            !collecting || add_ranges_of(pipeline, collecting->operation,
                                   collecting->n_filled_bytes, ret_ranges, &n_ranges, n_max);
    for (size_t i = pipeline->cursor; has_room && i < n_operations(pipeline); i++)
        if (!is_passed_over(pipeline, i))
            has_room = add_ranges_of(pipeline, i, 0, ret_ranges, &n_ranges, n_max);
    return n_ranges;
}

uint64_t pipeline_rewind(Pipeline *pipeline)
{
    if (pipeline->collecting)
        pipeline->collecting->n_filled_bytes = 0;
    FetchRange next;
    return pipeline_next_ranges(pipeline, &next, 1) > 0 ? next.first_bytes : UINT64_MAX;
}

bool pipeline_is_complete(const Pipeline *pipeline)
{
    return pipeline->code == UPDATE_OK && settling_is_complete(pipeline->settling) &&
           !pipeline_is_busy(pipeline);
}

bool pipeline_is_busy(const Pipeline *pipeline)
{
    return is_applying(pipeline) || settling_is_busy(pipeline->settling) ||
           pipeline->digest_job.is_busy;
}

UpdateError pipeline_failure(const Pipeline *pipeline, const char **ret_error)
{
    *ret_error = pipeline->error.line;
    return pipeline->code;
}

size_t pipeline_n_done_in_order(const Pipeline *pipeline)
{
    return pipeline->n_done_in_order;
}

size_t pipeline_n_digested_in_order(const Pipeline *pipeline, PayloadDigestState *ret_state)
{
    *ret_state = pipeline->mark.state;
    return pipeline->mark.n_operations;
}

uint64_t pipeline_n_bytes_done(const Pipeline *pipeline)
{
    return pipeline->n_bytes_done;
}

uint64_t pipeline_n_bytes_read(const Pipeline *pipeline)
{
    return pipeline->n_bytes_read;
}

/* --- the object -------------------------------------------------------------------------- */

static size_t largest_blob(const Pipeline *pipeline)
{
    uint64_t n_bytes = PAGE_BYTES;
    for (size_t i = 0; i < n_operations(pipeline); i++)
        n_bytes = MAX(n_bytes, operation_at(pipeline, i)->n_data_bytes);
    return (size_t)n_bytes;
}

static Lane *add_lane(Pipeline *pipeline)
{
    Lane *lane = &pipeline->lanes[pipeline->n_lanes++];
    lane->pipeline = pipeline;
    lane->operation = NO_OPERATION;
    lane->job = (WorkerJob){.run = run_apply, .on_done = on_applied, .userdata = lane};
    return lane;
}

static int add_lanes(Pipeline *pipeline)
{
    size_t n_blob_bytes = (largest_blob(pipeline) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
    size_t n_lanes = MIN(MAX((size_t)PIPELINE_BUFFER_BYTES / n_blob_bytes, (size_t)1),
            (size_t)PIPELINE_SLOTS_MAX);
    if (pipeline->options.place.delta_v1)
        n_lanes = 1; /* in order */
    for (size_t i = 0; i < n_lanes; i++) {
        Lane *lane = add_lane(pipeline);
        lane->blob = aligned_alloc(PAGE_BYTES, n_blob_bytes);
        if (!lane->blob)
            return -ENOMEM;
    }
    for (size_t i = 0; pipeline->options.plan && i < PIPELINE_LOCAL_LANES; i++)
        (void)add_lane(pipeline);
    return 0;
}

/* What an earlier install did counts as done from the start. */
static void count_what_is_done(Pipeline *pipeline)
{
    for (size_t i = 0; i < n_operations(pipeline); i++)
        if (pipeline->options.is_done[i]) {
            tick_off(pipeline, i);
            settling_add_resumed(pipeline->settling, i);
        }
}

/* Where the digest stands is where the first missing operation's blob follows. */
static void start_marks(Pipeline *pipeline)
{
    if (!pipeline->options.digest)
        return;
    pipeline->digest_next = pipeline->mark.n_operations = pipeline->n_done_in_order;
    payload_digest_save(pipeline->options.digest, &pipeline->mark.state);
}

int pipeline_new(WorkerPool *pool, const PipelineOptions *options, Pipeline **ret_pipeline)
{
    _cleanup_(pipeline_freep) Pipeline *pipeline = calloc(1, sizeof(*pipeline));
    if (!pipeline)
        return -ENOMEM;
    pipeline->pool = pool;
    pipeline->options = *options;
    pipeline->code = UPDATE_OK;
    pipeline->digest_job =
            (WorkerJob){.run = run_digest, .on_done = on_digested, .userdata = pipeline};
    int r = add_lanes(pipeline);
    if (r < 0)
        return r;
    r = settling_new(pool, &pipeline->options.place, n_operations(pipeline), on_settled, pipeline,
            &pipeline->settling);
    if (r < 0)
        return r;
    if (options->plan) {
        pipeline->is_lacking = calloc(n_operations(pipeline) + 1, sizeof(*pipeline->is_lacking));
        if (!pipeline->is_lacking)
            return -ENOMEM;
    }
    count_what_is_done(pipeline);
    start_marks(pipeline);
    *ret_pipeline = TAKE_PTR(pipeline);
    return 0;
}

void pipeline_free(Pipeline *pipeline)
{
    if (!pipeline)
        return;
    for (size_t i = 0; i < pipeline->n_lanes; i++)
        free(pipeline->lanes[i].blob);
    free(pipeline->is_lacking);
    settling_free(pipeline->settling);
    free(pipeline);
}
