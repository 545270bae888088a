/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/block-index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "verity/block-walk.h"

void block_index_fill(const Sha256 *digests, size_t n_digests, uint8_t *ret_index)
{
    for (size_t i = 0; i < n_digests; i++)
        memcpy(ret_index + i * BLOCK_INDEX_ENTRY_BYTES, digests[i].bytes, BLOCK_INDEX_ENTRY_BYTES);
}

bool block_index_matches(const uint8_t *index, uint64_t i, const Sha256 *digest)
{
    return memcmp(index + i * BLOCK_INDEX_ENTRY_BYTES, digest->bytes, BLOCK_INDEX_ENTRY_BYTES) == 0;
}

static int take_digests(uint64_t first_block, const Sha256 *digests, size_t n_digests,
        void *userdata, ErrorText *error)
{
    uint8_t *index = userdata;
    (void)error;
    block_index_fill(digests, n_digests, index + first_block * BLOCK_INDEX_ENTRY_BYTES);
    return 0;
}

int block_index_build(const VerityParameters *parameters, VerityRegion data, const VerityRun *run,
        uint8_t **ret_index, size_t *ret_n_bytes)
{
    static const VerityRun plain_run = {};
    VerityLayout layout;
    int r = verity_layout_compute(parameters, &layout);
    if (r < 0)
        return r;

    size_t n_bytes = parameters->n_data_blocks * BLOCK_INDEX_ENTRY_BYTES;
    _cleanup_free_ uint8_t *index = malloc(n_bytes);
    if (!index)
        return -ENOMEM;
    BlockWalk walk = {
            .parameters = parameters,
            .what = "the data",
            .region = data,
            .n_blocks = parameters->n_data_blocks,
            .run = run ? run : &plain_run,
            .take = take_digests,
            .userdata = index,
    };
    r = block_walk(&walk, NULL);
    if (r < 0)
        return r;
    *ret_index = TAKE_PTR(index);
    *ret_n_bytes = n_bytes;
    return 0;
}
