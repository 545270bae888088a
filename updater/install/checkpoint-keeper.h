/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Saves how far an install has come, at most once a second, beside the operations: what is
 * reported done is synced first, and then the checkpoint replaced. In the loop's thread; the
 * saving runs in the pool. */

#include <stdbool.h>
#include <stdint.h>

#include "updater/install/checkpoint.h"
#include "updater/install/install-files.h"
#include "updater/slot/install-target.h"
#include "updater/install/worker-pool.h"

typedef struct CheckpointKeeper CheckpointKeeper;

/* target and files (prepared) and state_fd are borrowed; first says what is saved already. on_saved
 * is called after each saving. Errors: -ENOMEM. */
int checkpoint_keeper_new(WorkerPool *pool, InstallTarget *target, InstallFiles *files,
        int state_fd, const Checkpoint *first, void (*on_saved)(void *userdata), void *userdata,
        CheckpointKeeper **ret_keeper);

/* The pool must have ended before, or the keeper not be busy. */
void checkpoint_keeper_free(CheckpointKeeper *keeper);
DEFINE_CLEANUP(CheckpointKeeper *, checkpoint_keeper_free);

/* Starts saving that all before next_operation is written, if it is time and there is news. digest:
 * over the payload up to there; NULL where none is kept. */
void checkpoint_keeper_note(CheckpointKeeper *keeper, uint64_t next_operation,
        const PayloadDigestState *digest, uint64_t now_usec);

/* Whether a saving is under way. */
bool checkpoint_keeper_is_busy(const CheckpointKeeper *keeper);

/* The errno (negative) of the last saving that failed; 0: none. */
int checkpoint_keeper_failure(const CheckpointKeeper *keeper);

/* The saving itself: blocks. Errors: errno of fdatasync and of the file. */
int checkpoint_keeper_save(
        InstallTarget *target, InstallFiles *files, int state_fd, const Checkpoint *checkpoint);
