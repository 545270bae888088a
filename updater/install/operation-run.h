/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One operation, from its blob to where its partition goes: the slot, a file, or nowhere. Blocks;
 * worker threads, several at once. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "updater/adaptive/adaptive-run.h"
#include "updater/install/delta-v1.h"
#include "updater/install/install-files.h"
#include "updater/install/install-source.h"
#include "updater/payload/operation.h"
#include "updater/slot/install-target.h"
#include "updater/slot/read-back.h"

/* What all operations of an install share; borrowed. */
typedef struct {
    InstallTarget *target; /* prepared */
    const Manifest *manifest;
    InstallFiles *files;           /* prepared */
    const InstallSource *source;   /* of a delta; NULL */
    const DeltaV1 *delta_v1;       /* of a delta of format 1; NULL. Then one operation at a time */
    int file_fd;                   /* the payload; -1: blobs come from elsewhere */
    uint64_t blobs_offset_bytes;   /* of the first blob in the file */
    ReadBack *read_back;           /* of the slot; NULL: not now */
    const AdaptivePlace *adaptive; /* for operations that its plan takes apart; NULL: none */
    const atomic_bool *is_cancelled;
} OperationPlace;

/* Applies an operation and lets its write-back begin. blob has room for n_data_bytes; where it
 * does not hold them yet (is_loaded), they are read from the file first. What goes nowhere is held
 * against its hash only. *ret_is_lacking: as adaptive_run() says it.
 * Returns UPDATE_OK, the codes of operation_apply, UPDATE_ERROR_TRANSFER (the file ends or cannot
 * be read), UPDATE_ERROR_CANCELLED. */
UpdateError operation_run(const OperationPlace *place, const Operation *operation, uint8_t *blob,
        bool is_loaded, bool *ret_is_lacking, ErrorText *error);

/* Waits until what an operation wrote has gone to the device, drops it from the page cache, and
 * reads it back, by way of chunk (as read_back_operation() wants it). Returns UPDATE_OK, the codes
 * of read_back_operation(), UPDATE_ERROR_CANCELLED. */
UpdateError operation_run_settle(
        const OperationPlace *place, const Operation *operation, uint8_t *chunk, ErrorText *error);
