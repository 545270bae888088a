/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The payload on its way into the slot: what goes on beside each other, in one hand. Network or
 * file, the pipeline of operations, and the checkpoints. In the loop's thread; nothing blocks. */

#include <stdbool.h>
#include <stdint.h>

#include "updater/install/download.h"
#include "updater/install/install-work.h"
#include "updater/install/worker-pool.h"
#include "updater/update-error.h"

typedef struct Transfer Transfer;

typedef enum { TRANSFER_GOES_ON, TRANSFER_COMPLETE, TRANSFER_FAILED } TransferState;

/* work was prepared; download (NULL for a local file) has its metadata or has not started. Both are
 * borrowed. on_change asks for a transfer_step(); not from inside a call. Errors: -ENOMEM. */
int transfer_new(WorkerPool *pool, InstallWork *work, Download *download,
        void (*on_change)(void *userdata), void *userdata, Transfer **ret_transfer);

/* The pool must have ended before, or the transfer not be busy. */
void transfer_free(Transfer *transfer);
DEFINE_CLEANUP(Transfer *, transfer_free);

/* Moves everything on. With TRANSFER_FAILED, *ret_code and *ret_error (borrowed) say why. */
TransferState transfer_step(Transfer *transfer, UpdateError *ret_code, const char **ret_error);

/* Time for a checkpoint, perhaps. */
void transfer_tick(Transfer *transfer, uint64_t now_usec);

/* Threads work for it. */
bool transfer_is_busy(const Transfer *transfer);

/* Of the payload, with its metadata. */
uint64_t transfer_n_bytes_done(const Transfer *transfer);

/* Out of the local file, without its metadata. */
uint64_t transfer_n_bytes_read(const Transfer *transfer);

/* The errno (negative) of the last checkpoint that could not be saved; 0: none. */
int transfer_checkpoint_failure(const Transfer *transfer);
