/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/block-index.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"
#include "verity/hash-tree.h"

#define N_BLOCKS 300

START_TEST(index_is_the_start_of_each_digest)
{
    _cleanup_free_ uint8_t *data = calloc(N_BLOCKS, VERITY_BLOCK_BYTES);
    ck_assert_ptr_nonnull(data);
    for (uint32_t i = 0; i < N_BLOCKS; i++)
        memcpy(data + (size_t)i * VERITY_BLOCK_BYTES, &i, sizeof(i));
    VerityParameters parameters = {.n_data_blocks = N_BLOCKS, .n_salt_bytes = 2, .salt = {1, 2}};
    static Sha256 digests[N_BLOCKS];
    ck_assert_int_eq(verity_hash_blocks(&parameters, data, N_BLOCKS, digests), 0);

    static uint8_t index[N_BLOCKS * BLOCK_INDEX_ENTRY_BYTES];
    block_index_fill(digests, N_BLOCKS, index);
    for (uint64_t i = 0; i < N_BLOCKS; i++) {
        ck_assert_mem_eq(index + i * 8, digests[i].bytes, 8);
        ck_assert(block_index_matches(index, i, &digests[i]));
        ck_assert(!block_index_matches(index, i, &digests[(i + 1) % N_BLOCKS]));
    }
    digests[7].bytes[8] ^= 1; /* beyond what the index holds */
    ck_assert(block_index_matches(index, 7, &digests[7]));
    digests[7].bytes[7] ^= 1;
    ck_assert(!block_index_matches(index, 7, &digests[7]));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("block-index");
    TCase *tcase = unit_case(suite, "block-index");
    tcase_add_test(tcase, index_is_the_start_of_each_digest);
    return suite;
}
