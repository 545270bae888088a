/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-scan.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "verity/block-index.h"

#define N_OPERATIONS 40
#define N_BLOCKS (N_OPERATIONS * 2)

/* A slot of 40 operations of two blocks, all of them in place, and its index. */
static uint8_t content[N_BLOCKS * VERITY_BLOCK_BYTES];
static uint8_t block_index[N_BLOCKS * BLOCK_INDEX_ENTRY_BYTES];
static Extent extents[N_OPERATIONS][2];
static Operation operations[N_OPERATIONS];
static PartitionUpdate partition;
static bool is_done[N_OPERATIONS];
static atomic_bool is_cancelled;
static VerityRegion slot;

static void setup(void)
{
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 3 + i / VERITY_BLOCK_BYTES);
    partition = (PartitionUpdate){.operations = operations,
            .n_operations = N_OPERATIONS,
            .has_verity = true,
            .verity = {.n_data_blocks = N_BLOCKS},
            .block_index = block_index};
    Sha256 digests[N_BLOCKS];
    ck_assert_int_eq(verity_hash_blocks(&partition.verity, content, N_BLOCKS, digests), 0);
    block_index_fill(digests, N_BLOCKS, block_index);
    for (size_t i = 0; i < N_OPERATIONS; i++) {
        /* Two extents, from both ends of the slot. */
        extents[i][0] = (Extent){.start_block = i, .n_blocks = 1};
        extents[i][1] = (Extent){.start_block = N_BLOCKS - 1 - i, .n_blocks = 1};
        operations[i] = (Operation){.dst_extents = extents[i], .n_dst_extents = 2};
    }
    memset(is_done, 0, sizeof(is_done));
    is_cancelled = false;
    slot = (VerityRegion){.fd = memfd_create("slot", MFD_CLOEXEC), .offset_bytes = 512};
    ck_assert_int_eq(pwrite(slot.fd, content, sizeof(content), 512), (ssize_t)sizeof(content));
}

static void teardown(void)
{
    close(slot.fd);
}

static void spoil_operation(size_t i)
{
    ck_assert_int_eq(
            pwrite(slot.fd, "spoilt", 6, (off_t)(512 + (N_BLOCKS - 1 - i) * VERITY_BLOCK_BYTES)),
            6);
}

static void scan(size_t first)
{
    ck_assert_int_eq(slot_scan(&partition, slot, first, is_done, &is_cancelled), 0);
}

START_TEST(finds_what_is_there)
{
    spoil_operation(7);
    spoil_operation(9);
    scan(5);
    for (size_t i = 0; i < N_OPERATIONS; i++)
        ck_assert_int_eq(is_done[i], i >= 5 && i != 7 && i != 9);
}
END_TEST

START_TEST(stops_after_a_window_of_others)
{
    for (size_t i = 3; i < 3 + SLOT_SCAN_WINDOW; i++)
        spoil_operation(i);
    scan(0);
    for (size_t i = 0; i < N_OPERATIONS; i++)
        ck_assert_int_eq(is_done[i], i < 3);
}
END_TEST

START_TEST(knows_nothing_without_an_index)
{
    partition.block_index = NULL;
    scan(0);
    ck_assert(!is_done[0]);
    partition.block_index = block_index;
    partition.has_verity = false;
    scan(0);
    ck_assert(!is_done[0]);
}
END_TEST

START_TEST(blocks_outside_the_index_are_not_done)
{
    extents[2][1] = (Extent){.start_block = N_BLOCKS - 1, .n_blocks = 2};
    extents[4][1] = (Extent){.start_block = UINT64_MAX, .n_blocks = 1};
    scan(0);
    ck_assert(is_done[1] && is_done[3] && is_done[5]);
    ck_assert(!is_done[2] && !is_done[4]);
}
END_TEST

START_TEST(failures_are_told)
{
    is_cancelled = true;
    ck_assert_int_eq(slot_scan(&partition, slot, 0, is_done, &is_cancelled), -ECANCELED);
    is_cancelled = false;
    ck_assert_int_eq(ftruncate(slot.fd, 8192), 0);
    ck_assert_int_eq(slot_scan(&partition, slot, 0, is_done, &is_cancelled), -EIO);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-scan");
    TCase *tcase = unit_case(suite, "slot-scan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, finds_what_is_there);
    tcase_add_test(tcase, stops_after_a_window_of_others);
    tcase_add_test(tcase, knows_nothing_without_an_index);
    tcase_add_test(tcase, blocks_outside_the_index_are_not_done);
    tcase_add_test(tcase, failures_are_told);
    return suite;
}
