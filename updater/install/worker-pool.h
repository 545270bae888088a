/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Threads for what must not run in the event loop: disk and CPU work. A job is a field of its
 * owner; it runs in a thread, and then its on_done is called in the loop. The pool's queue takes
 * no memory of its own, so it is bounded by the jobs that its owners have. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct WorkerPool WorkerPool;
typedef struct WorkerJob WorkerJob;

struct WorkerJob {
    void (*run)(void *userdata);     /* in a worker thread */
    void (*on_done)(void *userdata); /* in the loop, after run has returned */
    void *userdata;
    bool is_busy;    /* from worker_pool_submit until just before on_done; the loop's to read */
    WorkerJob *next; /* the pool's */
};

/* Starts n_threads (at least 1) threads; signals stay with the caller's. event is referenced.
 * Errors: -ENOMEM, errno of threads and of eventfd. */
int worker_pool_new(sd_event *event, unsigned n_threads, WorkerPool **ret_pool);

/* Returns when the jobs that run have returned; those that wait are never run, and no on_done is
 * called any more. Not from inside an on_done. */
void worker_pool_free(WorkerPool *pool);
DEFINE_CLEANUP(WorkerPool *, worker_pool_free);

/* Queues job (borrowed until its on_done or the pool's end; not busy). Jobs begin in the order of
 * submission. From the loop's thread only. Does not block. */
void worker_pool_submit(WorkerPool *pool, WorkerJob *job);
