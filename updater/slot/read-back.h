/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The reading back of promise 3, which goes along with the writing: each operation is read back
 * from the device when what it wrote has gone there, while others are still fetched. The digests of
 * its blocks become the lowest level of the slot's hash tree, over which slot_proof_build() then
 * has only the levels above to make: that their root is the signed one proves every block that was
 * read. All calls block. */

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/slot/install-target.h"
#include "updater/update-error.h"

#define READ_BACK_CHUNK_BYTES (256 * 1024)

typedef struct ReadBack ReadBack;

/* Whether a partition can be proven so: its tree is to be built, of more than one block, and what
 * follows the data has a hash of its own. */
bool read_back_is_possible(const PartitionUpdate *partition);

/* target is prepared. may_hold_tree: the slot holds a tree of which much may stay, so that what is
 * right already is not written again. Both pointers are borrowed. Returns UPDATE_OK,
 * UPDATE_ERROR_VERIFIER_IO (the slot cannot be read), UPDATE_ERROR_GENERIC (memory). */
UpdateError read_back_new(InstallTarget *target, const PartitionUpdate *partition,
        bool may_hold_tree, ReadBack **ret_read_back, ErrorText *error);
void read_back_free(ReadBack *read_back);
DEFINE_CLEANUP(ReadBack *, read_back_free);

/* Reads back what an operation wrote, after install_target_drop(). chunk: READ_BACK_CHUNK_BYTES of
 * the caller's, page-aligned, to read into. Any thread, several at once.
 * Returns UPDATE_OK, UPDATE_ERROR_VERIFIER_IO, UPDATE_ERROR_WRITE (the tree),
 * UPDATE_ERROR_GENERIC. */
UpdateError read_back_operation(
        ReadBack *read_back, const Operation *operation, uint8_t *chunk, ErrorText *error);
