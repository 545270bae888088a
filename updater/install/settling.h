/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The second half of the pipeline: operations that were applied wait here until what they wrote has
 * had time to go to the disk; then that is waited for, dropped from the page cache, and read back.
 * In the loop's thread; nothing here blocks. */

#include <stdbool.h>
#include <stddef.h>

#include "updater/install/operation-run.h"
#include "updater/install/worker-pool.h"
#include "updater/update-error.h"

#define SETTLING_JOBS 2         /* that mostly wait: as many threads more */
#define SETTLING_WAITING_MAX 16 /* operations; they settle from half of it */

typedef struct Settling Settling;

/* pool and place are borrowed; n_operations: of place's manifest, each of which is added once.
 * on_change is called, from the loop, after each job; not from inside a call. Errors: -ENOMEM. */
int settling_new(WorkerPool *pool, const OperationPlace *place, size_t n_operations,
        void (*on_change)(void *userdata), void *userdata, Settling **ret_settling);

/* The pool must have ended before, or no job be busy. */
void settling_free(Settling *settling);
DEFINE_CLEANUP(Settling *, settling_free);

/* An operation that an earlier install has applied: settled when there is nothing better to do.
 * Before the first settling_pump(). */
void settling_add_resumed(Settling *settling, size_t operation);

/* An operation that was applied just now. */
void settling_add(Settling *settling, size_t operation);

/* Starts what can be started. is_idle: nothing is being applied, so nobody need be given time. */
void settling_pump(Settling *settling, bool is_idle);

/* Whether as many wait as may: nothing more should be applied until on_change. */
bool settling_is_full(const Settling *settling);

/* Every operation has settled. */
bool settling_is_complete(const Settling *settling);

/* A job runs or waits. */
bool settling_is_busy(const Settling *settling);

/* UPDATE_OK, or as the first operation that failed, operation_run_settle(); nothing further is
 * started then. */
UpdateError settling_failure(const Settling *settling, ErrorText *ret_error);
