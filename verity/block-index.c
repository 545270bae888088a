/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/block-index.h"

#include <string.h>

void block_index_fill(const Sha256 *digests, size_t n_digests, uint8_t *ret_index)
{
    for (size_t i = 0; i < n_digests; i++)
        memcpy(ret_index + i * BLOCK_INDEX_ENTRY_BYTES, digests[i].bytes, BLOCK_INDEX_ENTRY_BYTES);
}

bool block_index_matches(const uint8_t *index, uint64_t i, const Sha256 *digest)
{
    return memcmp(index + i * BLOCK_INDEX_ENTRY_BYTES, digest->bytes, BLOCK_INDEX_ENTRY_BYTES) == 0;
}
