/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define BLOCK ((uint64_t)VERITY_BLOCK_BYTES)

typedef struct {
    Sha256 *digests;
    uint64_t n_digests;
    uint64_t end_at; /* the taker refuses there */
} Taken;

static int take(uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata)
{
    Taken *taken = userdata;
    ck_assert_uint_eq(first_block, taken->n_digests);
    if (taken->n_digests >= taken->end_at)
        return -EOVERFLOW;
    memcpy(taken->digests + first_block, digests, n_digests * sizeof(*digests));
    taken->n_digests += n_digests;
    return 0;
}

static int new_file(void)
{
    char path[] = "/tmp/flipside-leaves-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    return fd;
}

static void fill(int fd, uint64_t n_blocks)
{
    static uint8_t block[BLOCK];
    for (uint64_t i = 0; i < n_blocks; i++) {
        memcpy(block, &i, sizeof(i));
        ck_assert_int_eq(fd_pwrite_full(fd, block, BLOCK, i * BLOCK), 0);
    }
}

/* A tree's lowest level and the data's own digests are the same, in order, whole. */
static void check(uint64_t n_blocks)
{
    VerityParameters parameters = {.n_data_blocks = n_blocks, .n_salt_bytes = 3, .salt = {1, 2, 3}};
    VerityRegion data = {.fd = new_file()}, tree = {.fd = new_file(), .offset_bytes = 5 * BLOCK};
    fill(data.fd, n_blocks);
    Sha256 root;
    ErrorText error;
    ck_assert_int_eq(verity_tree_build(&parameters, data, tree, NULL, &root, &error), 0);

    Taken read = {.digests = calloc(n_blocks, sizeof(Sha256)), .end_at = UINT64_MAX};
    Taken hashed = {.digests = calloc(n_blocks, sizeof(Sha256)), .end_at = UINT64_MAX};
    ck_assert_int_eq(verity_leaves_read(&parameters, tree, NULL, take, &read), 0);
    ck_assert_int_eq(verity_leaves_hash(&parameters, data, NULL, take, &hashed, &error), 0);
    ck_assert_uint_eq(read.n_digests, n_blocks);
    ck_assert_uint_eq(hashed.n_digests, n_blocks);
    ck_assert_mem_eq(read.digests, hashed.digests, n_blocks * sizeof(Sha256));
    free(read.digests);
    free(hashed.digests);
    close(data.fd);
    close(tree.fd);
}

START_TEST(test_a_tree_has_the_digests_of_its_data)
{
    static const uint64_t sizes[] = {2, 127, 128, 129, 8191, 8192, 8193, 20000};
    check(sizes[_i]);
}
END_TEST

START_TEST(test_one_block_has_no_tree)
{
    VerityParameters parameters = {.n_data_blocks = 1};
    VerityRegion tree = {.fd = new_file()};
    ck_assert_int_eq(verity_leaves_read(&parameters, tree, NULL, take, NULL), -EINVAL);
    close(tree.fd);
}
END_TEST

START_TEST(test_what_ends_it)
{
    VerityParameters parameters = {.n_data_blocks = 20000};
    VerityRegion tree = {.fd = new_file()};
    Taken taken = {.digests = calloc(20000, sizeof(Sha256)), .end_at = UINT64_MAX};
    /* The file ends first. */
    ck_assert_int_eq(verity_leaves_read(&parameters, tree, NULL, take, &taken), -EIO);
    ck_assert_int_eq(ftruncate(tree.fd, 1 << 20), 0);
    taken = (Taken){.digests = taken.digests, .end_at = 8192};
    ck_assert_int_eq(verity_leaves_read(&parameters, tree, NULL, take, &taken), -EOVERFLOW);
    atomic_bool is_cancelled = true;
    ck_assert_int_eq(
            verity_leaves_read(&parameters, tree, &is_cancelled, take, &taken), -ECANCELED);
    parameters.n_salt_bytes = VERITY_SALT_MAX_BYTES + 1;
    ErrorText error;
    ck_assert_int_eq(verity_leaves_hash(&parameters, tree, NULL, take, &taken, &error), -EINVAL);
    free(taken.digests);
    close(tree.fd);
}
END_TEST

/* In pieces of an odd size, from the end to the start, over what was there before. */
static void write_leaves(
        const VerityParameters *parameters, VerityRegion tree, const Sha256 *digests, uint64_t n)
{
    uint64_t end = parameters->n_data_blocks;
    while (end > 0) {
        uint64_t n_piece = MIN(n, end);
        end -= n_piece;
        ck_assert_int_eq(
                verity_leaves_write(parameters, tree, end, digests + end, (size_t)n_piece, false),
                0);
    }
}

static void fill_with_ones(int fd, uint64_t n_blocks)
{
    static uint8_t block[BLOCK];
    memset(block, 0xff, BLOCK);
    for (uint64_t i = 0; i < n_blocks; i++)
        ck_assert_int_eq(fd_pwrite_full(fd, block, BLOCK, i * BLOCK), 0);
}

static void assert_same(int a, int b, uint64_t at_block, uint64_t n_blocks)
{
    uint8_t block_a[BLOCK], block_b[BLOCK];
    for (uint64_t i = at_block; i < at_block + n_blocks; i++) {
        ck_assert_int_eq(fd_pread_full(a, block_a, BLOCK, i * BLOCK), 0);
        ck_assert_int_eq(fd_pread_full(b, block_b, BLOCK, i * BLOCK), 0);
        ck_assert_mem_eq(block_a, block_b, BLOCK);
    }
}

/* Leaves that come in any order, and the levels above them, are the tree that the data has. */
static void check_pieces(uint64_t n_blocks, uint64_t n_piece)
{
    VerityParameters parameters = {.n_data_blocks = n_blocks, .n_salt_bytes = 3, .salt = {1, 2, 3}};
    VerityRegion data = {.fd = new_file()}, tree = {.fd = new_file(), .offset_bytes = 5 * BLOCK};
    VerityRegion pieces = {.fd = new_file(), .offset_bytes = 5 * BLOCK};
    fill(data.fd, n_blocks);
    Sha256 root, root_of_pieces;
    ErrorText error;
    VerityLayout layout;
    ck_assert_int_eq(verity_layout_compute(&parameters, &layout), 0);
    ck_assert_int_eq(verity_tree_build(&parameters, data, tree, NULL, &root, &error), 0);
    Taken hashed = {.digests = calloc(n_blocks, sizeof(Sha256)), .end_at = UINT64_MAX};
    ck_assert_int_eq(verity_leaves_hash(&parameters, data, NULL, take, &hashed, &error), 0);

    fill_with_ones(pieces.fd, 5 + layout.n_tree_blocks + 1);
    write_leaves(&parameters, pieces, hashed.digests, n_piece);
    ck_assert_int_eq(
            verity_tree_build_above(&parameters, pieces, NULL, &root_of_pieces, &error), 0);
    ck_assert(sha256_equal(&root, &root_of_pieces));
    assert_same(tree.fd, pieces.fd, 5, layout.n_tree_blocks);
    free(hashed.digests);
    close(data.fd);
    close(tree.fd);
    close(pieces.fd);
}

START_TEST(test_leaves_in_pieces)
{
    static const uint64_t sizes[] = {2, 127, 128, 129, 1000, 16384, 16385};
    check_pieces(sizes[_i], 1000);
    check_pieces(sizes[_i], 50);
    if (sizes[_i] < 1000)
        check_pieces(sizes[_i], 1);
}
END_TEST

START_TEST(test_what_is_right_is_not_written_again)
{
    VerityParameters parameters = {.n_data_blocks = 300};
    char path[] = "/tmp/flipside-leaves-XXXXXX";
    VerityRegion tree = {.fd = mkostemp(path, O_CLOEXEC)};
    Sha256 digests[300];
    memset(digests, 7, sizeof(digests));
    write_leaves(&parameters, tree, digests, 300);
    VerityRegion read_only = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    ck_assert_int_eq(verity_leaves_write(&parameters, read_only, 0, digests, 300, true), 0);
    ck_assert_int_eq(verity_leaves_write(&parameters, read_only, 0, digests, 300, false), -EBADF);
    digests[299].bytes[31] = 8;
    ck_assert_int_eq(verity_leaves_write(&parameters, read_only, 0, digests, 256, true), 0);
    ck_assert_int_eq(
            verity_leaves_write(&parameters, read_only, 256, digests + 256, 44, true), -EBADF);
    unlink(path);
    close(tree.fd);
    close(read_only.fd);
}
END_TEST

START_TEST(test_leaves_that_have_no_place)
{
    VerityParameters parameters = {.n_data_blocks = 300};
    VerityRegion tree = {.fd = new_file()};
    Sha256 digests[2] = {0}, root;
    ErrorText error;
    ck_assert_int_eq(verity_leaves_write(&parameters, tree, 299, digests, 2, false), -EINVAL);
    ck_assert_int_eq(verity_leaves_write(&parameters, tree, 301, digests, 0, false), -EINVAL);
    ck_assert_int_eq(
            verity_leaves_write(&parameters, tree, UINT64_MAX, digests, 2, false), -EINVAL);
    parameters.n_data_blocks = 1;
    ck_assert_int_eq(verity_leaves_write(&parameters, tree, 0, digests, 1, false), -EINVAL);
    ck_assert_int_eq(verity_tree_build_above(&parameters, tree, NULL, &root, &error), -EINVAL);
    close(tree.fd);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("leaves");
    TCase *tcase = unit_case(suite, "leaves");
    tcase_add_loop_test(tcase, test_a_tree_has_the_digests_of_its_data, 0, 8);
    tcase_add_test(tcase, test_one_block_has_no_tree);
    tcase_add_test(tcase, test_what_ends_it);
    tcase_add_loop_test(tcase, test_leaves_in_pieces, 0, 7);
    tcase_add_test(tcase, test_what_is_right_is_not_written_again);
    tcase_add_test(tcase, test_leaves_that_have_no_place);
    return suite;
}
