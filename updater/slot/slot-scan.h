/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which operations a killed install had finished beyond its last checkpoint. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "updater/payload/manifest.h"
#include "verity/hash-tree.h"

/* Looks at the operations from `first` on and sets is_done[i] (partition->n_operations of them)
 * where all blocks of operation i in the slot begin as the block index says. Ends where
 * SLOT_SCAN_WINDOW operations in a row were not done: threads finish out of order, but not by more.
 * Without a block index nothing is set. A hint, no proof. Blocks; worker threads.
 * Errors: -ECANCELED, -ENOMEM, errno of read. */
int slot_scan(const PartitionUpdate *partition, VerityRegion slot, size_t first, bool *is_done,
        const atomic_bool *is_cancelled);

#define SLOT_SCAN_WINDOW 16
