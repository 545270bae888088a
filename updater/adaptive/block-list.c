/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/adaptive/block-list.h"

#include <assert.h>

void block_list_fill(BlockList *list, const Operation *operation)
{
    assert(operation->n_dst_bytes <= MANIFEST_OPERATION_MAX_BYTES);
    list->n_blocks = 0;
    for (size_t i = 0; i < operation->n_dst_extents; i++)
        for (uint64_t k = 0; k < operation->dst_extents[i].n_blocks; k++)
            list->blocks[list->n_blocks++] = operation->dst_extents[i].start_block + k;
}
