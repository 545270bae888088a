/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define BLOCK ((uint64_t)4096)
#define SLOT_OFFSET BLOCK
#define N_BLOCKS 300 /* their tree has 3 + 1 */
#define TREE_AT ((N_BLOCKS + 2) * BLOCK)
#define UKI_AT (TREE_AT + 5 * BLOCK)
#define N_UKI_BYTES (2 * BLOCK + 123)

static int fd;
static SlotTrailer trailer;

static void setup(void)
{
    char path[256];
    uint8_t block[BLOCK], uki[3 * BLOCK];
    snprintf(path, sizeof(path), "%s/slot", unit_temp_dir());
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        memset(block, (int)i, sizeof(block));
        ck_assert_int_eq(fd_pwrite_full(fd, block, BLOCK, SLOT_OFFSET + i * BLOCK), 0);
    }
    memset(uki, 'u', sizeof(uki));
    ck_assert_int_eq(fd_pwrite_full(fd, uki, sizeof(uki), SLOT_OFFSET + UKI_AT), 0);
    trailer = (SlotTrailer){
            .fs_bytes = N_BLOCKS * BLOCK,
            .tree_offset = TREE_AT,
            .tree_bytes = 4 * BLOCK,
            .uki_offset = UKI_AT,
            .uki_bytes = N_UKI_BYTES,
            .uki_sha256 = sha256_of(uki, N_UKI_BYTES),
            .salt = "salt",
            .n_salt_bytes = 4,
            .product = "acme",
            .version = "2.0",
    };
    VerityParameters parameters = slot_verify_parameters(&trailer);
    VerityRegion data = {fd, SLOT_OFFSET}, tree = {fd, SLOT_OFFSET + TREE_AT};
    ck_assert_int_eq(verity_tree_build(&parameters, data, tree, NULL, &trailer.root_hash, NULL), 0);
}

static void teardown(void)
{
    close(fd);
}

static void spoil(uint64_t at)
{
    ck_assert_int_eq(pwrite(fd, "spoilt", 6, (off_t)(SLOT_OFFSET + at)), 6);
}

static int verify_tree(ErrorText *error)
{
    return slot_verify_tree(fd, SLOT_OFFSET, &trailer, NULL, error);
}

static int verify_uki(ErrorText *error)
{
    return slot_verify_uki(fd, SLOT_OFFSET, &trailer, NULL, error);
}

START_TEST(whole_slot)
{
    ErrorText error = {0};
    ck_assert_msg(verify_tree(&error) == 0 && verify_uki(&error) == 0, "%s", error.line);
    spoil(UKI_AT + N_UKI_BYTES); /* what pads it does not count */
    ck_assert_msg(verify_uki(&error) == 0, "%s", error.line);
}
END_TEST

START_TEST(parameters_of_a_trailer)
{
    VerityParameters parameters = slot_verify_parameters(&trailer);
    ck_assert_uint_eq(parameters.n_data_blocks, N_BLOCKS);
    ck_assert_uint_eq(parameters.n_salt_bytes, 4);
    ck_assert_mem_eq(parameters.salt, "salt", 5);
}
END_TEST

START_TEST(first_wrong_block_is_named)
{
    ErrorText error = {0};
    spoil(17 * BLOCK + 5);
    spoil(200 * BLOCK);
    ck_assert_int_eq(verify_tree(&error), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(error.line, "block 17 "));
    ck_assert_int_eq(verify_uki(&error), 0);
}
END_TEST

START_TEST(wrong_tree_is_named)
{
    ErrorText error = {0};
    spoil(TREE_AT);
    ck_assert_int_eq(verify_tree(&error), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(error.line, "hash tree"));
}
END_TEST

START_TEST(wrong_kernel_is_named)
{
    ErrorText error = {0};
    spoil(UKI_AT + N_UKI_BYTES - 6);
    ck_assert_int_eq(verify_uki(&error), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(error.line, "kernel"));
    ck_assert_int_eq(verify_tree(&error), 0);
}
END_TEST

START_TEST(what_is_not_there_cannot_be_wrong)
{
    trailer.tree_bytes = trailer.uki_bytes = 0;
    spoil(0);
    ErrorText error = {0};
    ck_assert_int_eq(verify_tree(&error), 0);
    ck_assert_int_eq(verify_uki(&error), 0);
}
END_TEST

START_TEST(slot_that_ends_early)
{
    ErrorText error = {0};
    ck_assert_int_eq(ftruncate(fd, 200 * (off_t)BLOCK), 0);
    ck_assert_int_eq(verify_tree(&error), -EIO);
    ck_assert_int_eq(verify_uki(&error), -EIO);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot be read"));
}
END_TEST

START_TEST(cancelled)
{
    atomic_bool is_cancelled = true;
    VerityRun run = {.is_cancelled = &is_cancelled};
    ck_assert_int_eq(slot_verify_tree(fd, SLOT_OFFSET, &trailer, &run, NULL), -ECANCELED);
    ck_assert_int_eq(slot_verify_uki(fd, SLOT_OFFSET, &trailer, &is_cancelled, NULL), -ECANCELED);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-verify");
    TCase *tcase = unit_case(suite, "slot-verify");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, whole_slot);
    tcase_add_test(tcase, parameters_of_a_trailer);
    tcase_add_test(tcase, first_wrong_block_is_named);
    tcase_add_test(tcase, wrong_tree_is_named);
    tcase_add_test(tcase, wrong_kernel_is_named);
    tcase_add_test(tcase, what_is_not_there_cannot_be_wrong);
    tcase_add_test(tcase, slot_that_ends_early);
    tcase_add_test(tcase, cancelled);
    return suite;
}
