/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-io.h"
#include "partitions/slot-trailer.h"
#include "tests/unit/unit.h"

#define BLOCK ((uint64_t)VERITY_BLOCK_BYTES)
#define FS_BLOCKS ((uint64_t)300)
#define SLOT_BLOCKS ((uint64_t)400)
#define OFFSET_BLOCKS ((uint64_t)7) /* of the slot in its file */

/* A slot with a file system, tree and trailer, in a file. The slot to come has the same salt. */
static int slot_fd;
static VerityParameters verity;
static Sha256 expected[FS_BLOCKS];
static uint64_t n_taken;
static int answer;

static void write_trailer(size_t n_salt_bytes)
{
    uint8_t block[BLOCK];
    SlotTrailer trailer = {
            .fs_bytes = FS_BLOCKS * BLOCK,
            .tree_offset = FS_BLOCKS * BLOCK,
            .tree_bytes = 4 * BLOCK, /* 3 blocks of leaves, and one */
            .n_salt_bytes = n_salt_bytes,
            .product = "demo",
            .version = "1",
    };
    memcpy(trailer.salt, verity.salt, n_salt_bytes);
    slot_trailer_make(&trailer, block);
    ck_assert_int_eq(
            fd_pwrite_full(slot_fd, block, BLOCK, (OFFSET_BLOCKS + SLOT_BLOCKS - 1) * BLOCK), 0);
}

static void set_up(void)
{
    char path[] = "/tmp/flipside-slot-leaves-XXXXXX";
    slot_fd = mkostemp(path, O_CLOEXEC);
    ck_assert_int_ge(slot_fd, 0);
    unlink(path);
    verity = (VerityParameters){.n_data_blocks = 99, .n_salt_bytes = 4, .salt = "salt"};
    VerityParameters own = verity;
    own.n_data_blocks = FS_BLOCKS;
    for (uint64_t i = 0; i < FS_BLOCKS; i++) {
        uint8_t block[BLOCK] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
        ck_assert_int_eq(fd_pwrite_full(slot_fd, block, BLOCK, (OFFSET_BLOCKS + i) * BLOCK), 0);
        ck_assert_int_eq(verity_hash_blocks(&own, block, 1, &expected[i]), 0);
    }
    Sha256 root;
    ErrorText error;
    const VerityRegion data = {.fd = slot_fd, .offset_bytes = OFFSET_BLOCKS * BLOCK};
    const VerityRegion tree = {.fd = slot_fd, .offset_bytes = (OFFSET_BLOCKS + FS_BLOCKS) * BLOCK};
    ck_assert_int_eq(verity_tree_build(&own, data, tree, NULL, &root, &error), 0);
    ck_assert_int_eq(ftruncate(slot_fd, (OFFSET_BLOCKS + SLOT_BLOCKS) * BLOCK), 0);
    write_trailer(4);
    n_taken = 0;
    answer = 0;
}

static void tear_down(void)
{
    close(slot_fd);
}

static SlotLeaves leaves(void)
{
    return (SlotLeaves){
            .region = {.fd = slot_fd, .offset_bytes = OFFSET_BLOCKS * BLOCK},
            .n_bytes = SLOT_BLOCKS * BLOCK,
            .verity = &verity,
            .n_threads = 1,
    };
}

static int take(uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata)
{
    (void)userdata;
    ck_assert_uint_eq(first_block, n_taken);
    for (size_t i = 0; i < n_digests && first_block + i < FS_BLOCKS; i++)
        ck_assert(sha256_equal(&digests[i], &expected[first_block + i]));
    n_taken += n_digests;
    return answer;
}

START_TEST(test_the_tree_is_read_and_not_the_data)
{
    uint8_t byte = 0x77;
    ck_assert_int_eq(fd_pwrite_full(slot_fd, &byte, 1, (OFFSET_BLOCKS + 5) * BLOCK), 0);
    const SlotLeaves wanted = leaves();
    ErrorText error = {};
    ck_assert_int_eq(slot_leaves_read(&wanted, take, NULL), 1);
    ck_assert_uint_eq(n_taken, FS_BLOCKS);
    n_taken = 0;
    ck_assert_int_eq(slot_leaves_take(&wanted, take, NULL, &error), 0);
    ck_assert_uint_eq(n_taken, FS_BLOCKS);
}
END_TEST

/* Only the file system's blocks are hashed. */
START_TEST(test_another_salt)
{
    write_trailer(3);
    const SlotLeaves wanted = leaves();
    ErrorText error = {};
    ck_assert_int_eq(slot_leaves_read(&wanted, take, NULL), 0);
    ck_assert_uint_eq(n_taken, 0);
    ck_assert_int_eq(slot_leaves_take(&wanted, take, NULL, &error), 0);
    ck_assert_uint_eq(n_taken, FS_BLOCKS);
}
END_TEST

START_TEST(test_no_trailer)
{
    SlotLeaves wanted = leaves();
    wanted.n_bytes -= BLOCK + 1;
    ErrorText error = {};
    ck_assert_int_eq(slot_leaves_read(&wanted, take, NULL), 0);
    ck_assert_int_eq(slot_leaves_take(&wanted, take, NULL, &error), 0);
    ck_assert_uint_eq(n_taken, SLOT_BLOCKS - 2);
    wanted.n_bytes = n_taken = 0;
    ck_assert_int_eq(slot_leaves_take(&wanted, take, NULL, &error), 0);
    ck_assert_uint_eq(n_taken, 0);
}
END_TEST

START_TEST(test_what_fails)
{
    ErrorText error = {};
    SlotLeaves wanted = leaves();
    atomic_bool is_cancelled = true;
    wanted.is_cancelled = &is_cancelled;
    ck_assert_int_eq(slot_leaves_read(&wanted, take, NULL), -ECANCELED);
    wanted.is_cancelled = NULL;
    answer = -EOVERFLOW;
    ck_assert_int_eq(slot_leaves_take(&wanted, take, NULL, &error), -EOVERFLOW);
    wanted.n_bytes *= 2; /* past the file's end */
    ck_assert_int_lt(slot_leaves_take(&wanted, take, NULL, &error), 0);
    wanted.region.fd = -1;
    ck_assert_int_eq(slot_leaves_read(&wanted, take, NULL), -EBADF);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-leaves");
    TCase *tcase = unit_case(suite, "slot-leaves");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_the_tree_is_read_and_not_the_data);
    tcase_add_test(tcase, test_another_salt);
    tcase_add_test(tcase, test_no_trailer);
    tcase_add_test(tcase, test_what_fails);
    return suite;
}
