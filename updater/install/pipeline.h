/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The operations of a payload between their source and the target: blobs are collected from the
 * network (or read from a file) into a bounded number of buffers, applied by worker threads,
 * ticked off, and read back. In the loop's thread; nothing here blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "updater/adaptive/adaptive-plan.h"
#include "updater/fetch/fetch.h"
#include "updater/install/operation-run.h"
#include "updater/install/payload-digest.h"
#include "updater/install/worker-pool.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"

#define PIPELINE_SLOTS_MAX 8
#define PIPELINE_BUFFER_BYTES (3 << 20) /* all buffers together */
#define PIPELINE_LOCAL_LANES 4          /* of operations that need no buffer */

typedef struct Pipeline Pipeline;

/* Everything is borrowed for the pipeline's life. */
typedef struct {
    const Operation *operations; /* of the manifest */
    size_t n_operations;
    OperationPlace place;  /* without a file, pipeline_take brings the blobs */
    AdaptivePlan *plan;    /* what of them; NULL: all. Changed where it proves wrong */
    bool *is_done;         /* of each operation; set here as they are applied */
    PayloadDigest *digest; /* gets all blobs in order, from the first that is not done; NULL: not
                              wanted */
    uint64_t
            n_pending_max_bytes; /* of blobs taken and not yet applied; 0: only the buffers bound */
    void (*on_change)(void *userdata); /* after each job, in the loop; not from inside a call */
    void *userdata;
} PipelineOptions;

/* Starts nothing yet. Errors: -ENOMEM. */
int pipeline_new(WorkerPool *pool, const PipelineOptions *options, Pipeline **ret_pipeline);

/* The pool must have ended before, or no job be busy. */
void pipeline_free(Pipeline *pipeline);
DEFINE_CLEANUP(Pipeline *, pipeline_free);

/* Starts all that can be started without further data. */
void pipeline_pump(Pipeline *pipeline);

/* The next ranges that are missing, from the first blob on: at most n_max, ascending and apart from
 * each other; the first one begins with what pipeline_take expects. All of an operation or nothing
 * of it, as long as n_max is not smaller than one takes. Returns how many; 0: none is missing, or
 * none is yet known to be. */
size_t pipeline_next_ranges(const Pipeline *pipeline, FetchRange *ret_ranges, size_t n_max);

/* Takes the next bytes of the ranges, one after the other; fewer than n_bytes when there is no
 * room: on_change will be called when there may be. */
size_t pipeline_take(Pipeline *pipeline, const uint8_t *data, size_t n_bytes);

/* Throws away the begun blob. Returns where it begins, or where the next one does. */
uint64_t pipeline_rewind(Pipeline *pipeline);

/* All operations are done and read back, and the digest has seen all blobs. */
bool pipeline_is_complete(const Pipeline *pipeline);

/* A job runs or waits. */
bool pipeline_is_busy(const Pipeline *pipeline);

/* UPDATE_OK, or why the first failed operation failed; nothing further is started then. */
UpdateError pipeline_failure(const Pipeline *pipeline, const char **ret_error);

/* All operations before this one are written (not synced). */
size_t pipeline_n_done_in_order(const Pipeline *pipeline);

/* The same where the digest is to go on as well: all operations before this one are written and
 * digested, and *ret_state is what the digest had come to there. */
size_t pipeline_n_digested_in_order(const Pipeline *pipeline, PayloadDigestState *ret_state);

/* Bytes of blobs of all done operations. */
uint64_t pipeline_n_bytes_done(const Pipeline *pipeline);

/* Bytes that were read from the file. */
uint64_t pipeline_n_bytes_read(const Pipeline *pipeline);
