/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The proof before the flip (promise 3): the tree is built from what the device reads back, and
 * all of the slot is held against the signed manifest. install_prove_slot (install.h), the proof
 * before a rollback, is its sibling in slot-proof.c. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "updater/install/install-target.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"

/* Syncs the target, reads its data once past the page cache, builds and writes the verity tree
 * where the partition has one, syncs it, reads it back, and compares root and hash. n_bytes_done
 * advances up to partition->size_bytes. Blocks for as long as reading the slot takes.
 * Returns UPDATE_OK, UPDATE_ERROR_WRITE (sync), UPDATE_ERROR_VERIFIER_IO (read),
 * UPDATE_ERROR_VERITY (the tree cannot be built or its root is not the signed one),
 * UPDATE_ERROR_PARTITION_HASH, UPDATE_ERROR_CANCELLED, UPDATE_ERROR_GENERIC (memory). */
UpdateError slot_proof_build(InstallTarget *target, const PartitionUpdate *partition,
        unsigned n_threads, _Atomic uint64_t *n_bytes_done, const atomic_bool *is_cancelled,
        ErrorText *error);
