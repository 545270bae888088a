/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The digests of what a slot, or an image of one, holds already, made with the salt of the slot
 * that is to come, so that they can be held against its block index. Both calls block. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "verity/leaves.h"

/* All is borrowed for the call. */
typedef struct {
    VerityRegion region;            /* where it lies */
    uint64_t n_bytes;               /* its size; what follows its last whole block does not count */
    const VerityParameters *verity; /* of the new slot, whose salt counts */
    unsigned n_threads;             /* as VerityRun's */
    const atomic_bool *is_cancelled; /* may be NULL */
} SlotLeaves;

/* Reads the leaves of the tree of which a trailer tells, if that has the same salt: quick, and no
 * proof of what the blocks hold. Returns 1, or 0 when there is no such tree and nothing was taken.
 * Errors: as verity_leaves_read(). */
int slot_leaves_read(const SlotLeaves *leaves, VerityLeavesTaker take, void *userdata);

/* The same, or else hashes the blocks: of the file system where a trailer says how long it is, or
 * of all. Errors: as verity_leaves_read() and verity_leaves_hash(); error may be empty. */
int slot_leaves_take(
        const SlotLeaves *leaves, VerityLeavesTaker take, void *userdata, ErrorText *error);
