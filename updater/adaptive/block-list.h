/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The blocks that an operation writes, in the order of its data. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "updater/payload/manifest.h"

#define BLOCK_LIST_MAX (MANIFEST_OPERATION_MAX_BYTES / MANIFEST_BLOCK_BYTES)

typedef struct {
    size_t n_blocks;
    uint64_t blocks[BLOCK_LIST_MAX];
} BlockList;

/* operation is one of format 2, whose size is bounded. */
void block_list_fill(BlockList *list, const Operation *operation);
