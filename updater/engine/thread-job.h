/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One piece of work that blocks, on a thread of its own, and its end told in the event loop. */

#include <stdatomic.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct ThreadJob ThreadJob;

/* What the thread runs; is_cancelled is to be looked at now and then. Its result goes to on_done.
 * It must not touch what the loop's thread uses meanwhile. */
typedef int (*ThreadJobWork)(const atomic_bool *is_cancelled, void *userdata);

/* Starts the thread. on_done: exactly once, never from inside _new, last; freeing the job inside
 * is allowed. event is referenced; userdata is handed to both and borrowed for the job's life.
 * Errors: -ENOMEM, errno of threads and descriptors. */
int thread_job_new(sd_event *event, ThreadJobWork work,
        void (*on_done)(ThreadJob *job, int result, void *userdata), void *userdata,
        ThreadJob **ret_job);

/* Cancels: returns when the thread has ended; on_done is then not called. */
void thread_job_free(ThreadJob *job);
DEFINE_CLEANUP(ThreadJob *, thread_job_free);
