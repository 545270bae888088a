/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One operation put together out of what was fetched of its blob and what lies on this machine.
 * Every block, from wherever it came, is hashed and held against the index before it is written.
 * Blocks; any thread, several at once. */

#include <stdbool.h>

#include "common/error-text.h"
#include "updater/adaptive/adaptive-plan.h"
#include "updater/payload/operation.h"
#include "updater/update-error.h"
#include "verity/hash-tree.h"

/* All is borrowed. */
typedef struct {
    const AdaptivePlan *plan;
    VerityRegion source; /* the slot that runs; fd -1: none */
    VerityRegion target; /* the slot that is written, for reading */
} AdaptivePlace;

/* operation: its index in the manifest, one for which adaptive_plan_is_pieces(). blob: what was
 * fetched of it, adaptive_plan_n_bytes(). Blocks that the target holds are not written.
 * *ret_is_lacking: what lies on this machine is not what it seemed, or cannot be read; the
 * operation must be fetched whole and applied over what was written until then. Returns UPDATE_OK
 * (also then), UPDATE_ERROR_OPERATION_HASH (what was fetched is not what the index says, or cannot
 * be decompressed), UPDATE_ERROR_WRITE, UPDATE_ERROR_GENERIC (memory). */
UpdateError adaptive_run(const AdaptivePlace *place, const Operation *operation, size_t i_operation,
        const uint8_t *blob, const OperationSink *sink, bool *ret_is_lacking, ErrorText *error);
