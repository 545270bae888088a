/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The partitions of a payload of format 1 that are deltas: what each begins with, and its
 * operations in place. All calls block; worker threads only. */

#include "updater/install/in-place.h"
#include "updater/install/install-files.h"
#include "updater/slot/install-target.h"

typedef struct DeltaV1 DeltaV1;

/* Opens what the partitions begin with and holds it against its hash, before anything is written.
 * *ret_delta is NULL for a full payload, or one of another format. manifest is borrowed for the
 * object's life, the rest during the call. Returns UPDATE_OK, UPDATE_ERROR_SOURCE,
 * UPDATE_ERROR_CANCELLED, UPDATE_ERROR_GENERIC (memory). */
UpdateError delta_v1_new(const Manifest *manifest, const RunningSlot *running,
        const InstallFilePlaces *places, const atomic_bool *is_cancelled, DeltaV1 **ret_delta,
        ErrorText *error);
void delta_v1_free(DeltaV1 *delta);
DEFINE_CLEANUP(DeltaV1 *, delta_v1_free);

/* Begins: copies what no operation writes. target and files are prepared; all is borrowed for the
 * object's life. Errors: of in_place_copy_rest(). */
UpdateError delta_v1_prepare(DeltaV1 *delta, InstallTarget *target, InstallFiles *files,
        int scratch_fd, const atomic_bool *is_cancelled, ErrorText *error);

/* Of a partition of the manifest, inside delta; NULL: it is no delta, or goes nowhere. */
InPlace *delta_v1_get(const DeltaV1 *delta, size_t partition);
