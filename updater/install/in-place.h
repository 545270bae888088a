/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A delta of format 1: its operations read and write one and the same partition,
 * which begins as a copy of what runs, and so they are done one after the other. Nothing is copied
 * that is written over: what an operation reads is taken from what runs until an earlier one has
 * written it. Not to be taken up again after an interruption. Blocks; one thread at a time. */

#include <stdatomic.h>

#include "updater/install/install-source.h"
#include "updater/payload/operation.h"

typedef struct InPlace InPlace;

/* base is what runs; sink writes the partition, and written reads what sink wrote. scratch_fd: a
 * folder for operations that write over what they read. All is borrowed for the object's life, the
 * two structs are copied. Errors: -ENOMEM. */
int in_place_new(const PartitionUpdate *partition, InstallSource *base, const OperationSink *sink,
        const OperationSource *written, int scratch_fd, InPlace **ret_in_place);
void in_place_free(InPlace *in_place);
DEFINE_CLEANUP(InPlace *, in_place_free);

/* First: what no operation writes. Returns UPDATE_OK, UPDATE_ERROR_SOURCE, UPDATE_ERROR_WRITE,
 * UPDATE_ERROR_CANCELLED, UPDATE_ERROR_GENERIC (memory). */
UpdateError in_place_copy_rest(
        InPlace *in_place, const atomic_bool *is_cancelled, ErrorText *error);

/* Then each operation, in order: as operation_apply(). */
UpdateError in_place_apply(
        InPlace *in_place, const Operation *operation, const uint8_t *blob, ErrorText *error);
