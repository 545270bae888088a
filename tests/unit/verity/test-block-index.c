/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/block-index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define N_BLOCKS 300

/* N_BLOCKS blocks that begin with their number, below path. */
static int make_data(uint8_t **ret_data)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/data", unit_temp_dir());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    size_t n_bytes = (size_t)N_BLOCKS * VERITY_BLOCK_BYTES;
    uint8_t *data = calloc(1, n_bytes);
    for (uint32_t i = 0; i < N_BLOCKS; i++)
        memcpy(data + (size_t)i * VERITY_BLOCK_BYTES, &i, sizeof(i));
    ck_assert_int_eq(fd_pwrite_full(fd, data, n_bytes, 0), 0);
    *ret_data = data;
    return fd;
}

START_TEST(index_is_the_start_of_each_digest)
{
    _cleanup_free_ uint8_t *data = NULL;
    _cleanup_close_ int fd = make_data(&data);
    VerityParameters parameters = {.n_data_blocks = N_BLOCKS, .n_salt_bytes = 2, .salt = {1, 2}};
    static Sha256 digests[N_BLOCKS];
    ck_assert_int_eq(verity_hash_blocks(&parameters, data, N_BLOCKS, digests), 0);

    _cleanup_free_ uint8_t *index = NULL;
    size_t n_bytes = 0;
    ck_assert_int_eq(
            block_index_build(&parameters, (VerityRegion){fd, 0}, NULL, &index, &n_bytes), 0);
    ck_assert_uint_eq(n_bytes, N_BLOCKS * BLOCK_INDEX_ENTRY_BYTES);
    static uint8_t filled[N_BLOCKS * BLOCK_INDEX_ENTRY_BYTES];
    block_index_fill(digests, N_BLOCKS, filled);
    ck_assert_mem_eq(index, filled, n_bytes);
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

START_TEST(what_cannot_be_indexed_is_an_error)
{
    _cleanup_free_ uint8_t *data = NULL;
    _cleanup_close_ int fd = make_data(&data);
    uint8_t *index = NULL;
    size_t n_bytes = 7;
    VerityRegion region = {fd, 0};
    VerityParameters parameters = {.n_data_blocks = 0};
    ck_assert_int_eq(block_index_build(&parameters, region, NULL, &index, &n_bytes), -EINVAL);
    parameters.n_data_blocks = N_BLOCKS + 1;
    ck_assert_int_eq(block_index_build(&parameters, region, NULL, &index, &n_bytes), -EIO);
    parameters.n_data_blocks = N_BLOCKS;
    const atomic_bool is_cancelled = true;
    VerityRun run = {.is_cancelled = &is_cancelled};
    ck_assert_int_eq(block_index_build(&parameters, region, &run, &index, &n_bytes), -ECANCELED);
    ck_assert_ptr_null(index);
    ck_assert_uint_eq(n_bytes, 7);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("block-index");
    TCase *tcase = unit_case(suite, "block-index");
    tcase_add_test(tcase, index_is_the_start_of_each_digest);
    tcase_add_test(tcase, what_cannot_be_indexed_is_an_error);
    return suite;
}
