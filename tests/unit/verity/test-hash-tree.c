/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/hash-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "common/hex.h"
#include "tests/unit/unit.h"

#define VERITYSETUP "PATH=$PATH:/usr/sbin:/sbin veritysetup"
#define BLOCK ((uint64_t)VERITY_BLOCK_BYTES)

static void need_veritysetup(void)
{
    ck_assert_msg(system(VERITYSETUP " --version >/dev/null 2>&1") == 0,
            "veritysetup is missing; install cryptsetup-bin");
}

static int __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    ck_assert_int_lt(n, (int)sizeof(command));
    return system(command);
}

static void fill_block(uint64_t i, uint8_t *ret_block)
{
    uint64_t x = i * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t at = 0; at < BLOCK; at += sizeof(x)) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(ret_block + at, &x, sizeof(x));
    }
}

/* A file of n_blocks: all of them different, or when there are many, some and zeros between. */
static int make_data(const char *path, uint64_t n_blocks)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)(n_blocks * BLOCK)), 0);
    uint64_t stride = n_blocks <= 600 ? 1 : 97;
    for (uint64_t i = 0; i < n_blocks; i++) {
        uint8_t block[BLOCK];
        if (i % stride != 0 && i + 1 < n_blocks)
            continue;
        fill_block(i, block);
        ck_assert_int_eq(fd_pwrite_full(fd, block, BLOCK, i * BLOCK), 0);
    }
    return fd;
}

static VerityParameters make_parameters(uint64_t n_blocks, size_t n_salt_bytes)
{
    VerityParameters parameters = {.n_data_blocks = n_blocks, .n_salt_bytes = n_salt_bytes};
    for (size_t i = 0; i < n_salt_bytes; i++)
        parameters.salt[i] = (uint8_t)(0xa0 + i);
    return parameters;
}

/* Data and tree in a folder of their own, built. */
typedef struct {
    VerityParameters parameters;
    VerityLayout layout;
    char data_path[256];
    char tree_path[256];
    int data_fd;
    int tree_fd;
    VerityRegion data;
    VerityRegion tree;
    Sha256 root;
} Built;

static void build_tree(uint64_t n_blocks, size_t n_salt_bytes, const VerityRun *run, Built *ret)
{
    const char *folder = unit_temp_dir();
    Built built = {.parameters = make_parameters(n_blocks, n_salt_bytes)};
    snprintf(built.data_path, sizeof(built.data_path), "%s/data", folder);
    snprintf(built.tree_path, sizeof(built.tree_path), "%s/tree", folder);
    built.data_fd = make_data(built.data_path, n_blocks);
    built.tree_fd = open(built.tree_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    built.data = (VerityRegion){built.data_fd, 0};
    built.tree = (VerityRegion){built.tree_fd, 0};
    ck_assert_int_eq(verity_layout_compute(&built.parameters, &built.layout), 0);
    ErrorText error = {};
    int r = verity_tree_build(&built.parameters, built.data, built.tree, run, &built.root, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    *ret = built;
}

static void built_done(Built *built)
{
    close(built->data_fd);
    close(built->tree_fd);
}

static void salt_to_text(const VerityParameters *parameters, char ret_text[65])
{
    strcpy(ret_text, "-");
    if (parameters->n_salt_bytes > 0)
        hex_encode(parameters->salt, parameters->n_salt_bytes, ret_text);
}

static void assert_same_as_veritysetup(uint64_t n_blocks, size_t n_salt_bytes, bool is_verified)
{
    _cleanup_(built_done) Built built;
    build_tree(n_blocks, n_salt_bytes, NULL, &built);
    struct stat st;
    ck_assert_int_eq(fstat(built.tree_fd, &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, built.layout.n_tree_blocks * BLOCK);

    char salt[65], root[SHA256_HEX_CHARS + 1];
    salt_to_text(&built.parameters, salt);
    sha256_to_hex(&built.root, root);
    ck_assert_msg(shell(VERITYSETUP " format --no-superblock --hash=sha256 --salt=%s"
                                    " --root-hash-file=%s.root %s %s.theirs >/dev/null &&"
                                    " test %s = \"$(cat %s.root)\" && cmp %s %s.theirs",
                          salt, built.tree_path, built.data_path, built.tree_path, root,
                          built.tree_path, built.tree_path, built.tree_path) == 0,
            "%llu blocks, %zu bytes of salt: another root hash or tree",
            (unsigned long long)n_blocks, n_salt_bytes);
    if (is_verified)
        ck_assert_int_eq(
                shell(VERITYSETUP " verify --no-superblock --hash=sha256 --salt=%s"
                                  " --data-blocks=%llu %s %s %s",
                        salt, (unsigned long long)n_blocks, built.data_path, built.tree_path, root),
                0);
}

START_TEST(trees_are_those_of_veritysetup)
{
    static const uint64_t n_blocks[] = {1, 2, 127, 128, 129, 255, 256, 257, 513};
    need_veritysetup();
    for (size_t i = 0; i < ELEMENTS(n_blocks); i++)
        assert_same_as_veritysetup(n_blocks[i], 32, i == 4);
}
END_TEST

/* Of the shape that a tree has, the salt knows nothing. */
START_TEST(any_salt_is_veritysetups)
{
    static const size_t n_salt_bytes[] = {0, 1, 31};
    need_veritysetup();
    for (size_t i = 0; i < ELEMENTS(n_salt_bytes); i++) {
        assert_same_as_veritysetup(1, n_salt_bytes[i], i == 0);
        assert_same_as_veritysetup(129, n_salt_bytes[i], false);
    }
}
END_TEST

START_TEST(large_trees_are_those_of_veritysetup)
{
    static const struct {
        uint64_t n_blocks;
        size_t n_salt_bytes;
    } cases[] = {{128 * 128, 0}, {128 * 128 + 1, 32}};
    need_veritysetup();
    assert_same_as_veritysetup(cases[_i].n_blocks, cases[_i].n_salt_bytes, _i == 1);
}
END_TEST

START_TEST(layout_counts_levels)
{
    static const struct {
        uint64_t n_data_blocks;
        unsigned n_levels;
        uint64_t n_tree_blocks;
    } cases[] = {
            {1, 0, 0},
            {2, 1, 1},
            {128, 1, 1},
            {129, 2, 3},
            {16384, 2, 129},
            {16385, 3, 132},
            {262144, 3, 2065},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        VerityParameters parameters = make_parameters(cases[i].n_data_blocks, 0);
        VerityLayout layout;
        ck_assert_int_eq(verity_layout_compute(&parameters, &layout), 0);
        ck_assert_uint_eq(layout.n_levels, cases[i].n_levels);
        ck_assert_uint_eq(layout.n_tree_blocks, cases[i].n_tree_blocks);
        if (layout.n_levels > 0)
            ck_assert_uint_eq(layout.level_start_block[layout.n_levels - 1], 0);
    }
    VerityParameters largest = make_parameters(VERITY_DATA_BLOCKS_MAX, 0);
    VerityLayout layout;
    ck_assert_int_eq(verity_layout_compute(&largest, &layout), 0);
    ck_assert_uint_le(layout.n_levels, VERITY_LEVELS_MAX);
}
END_TEST

START_TEST(what_is_out_of_range_is_refused)
{
    VerityLayout layout;
    VerityParameters parameters = make_parameters(0, 0);
    ck_assert_int_eq(verity_layout_compute(&parameters, &layout), -EINVAL);
    parameters.n_data_blocks = VERITY_DATA_BLOCKS_MAX + 1;
    ck_assert_int_eq(verity_layout_compute(&parameters, &layout), -EINVAL);
    parameters = make_parameters(1, 0);
    parameters.n_salt_bytes = 33;
    ck_assert_int_eq(verity_layout_compute(&parameters, &layout), -EINVAL);
    uint8_t block[VERITY_BLOCK_BYTES] = {};
    Sha256 digest;
    ck_assert_int_eq(verity_hash_blocks(&parameters, block, 1, &digest), -EINVAL);

    /* Regions that overlap, and one that ends beyond 2^63. */
    ErrorText error = {};
    Sha256 root;
    parameters = make_parameters(200, 0);
    ck_assert_int_eq(verity_tree_build(&parameters, (VerityRegion){0, 0},
                             (VerityRegion){0, 199 * BLOCK}, NULL, &root, &error),
            -EINVAL);
    ck_assert_int_eq(verity_tree_build(&parameters, (VerityRegion){0, 2 * BLOCK},
                             (VerityRegion){0, 0}, NULL, &root, &error),
            -EINVAL);
    parameters = make_parameters(VERITY_DATA_BLOCKS_MAX, 0);
    ck_assert_int_eq(verity_tree_build(&parameters, (VerityRegion){0, 0}, (VerityRegion){1, 0},
                             NULL, &root, &error),
            -EINVAL);
}
END_TEST

START_TEST(blocks_are_hashed_as_in_the_tree)
{
    _cleanup_(built_done) Built built;
    build_tree(5, 32, NULL, &built);
    uint8_t data[5 * BLOCK];
    Sha256 digests[5], in_tree[5];
    ck_assert_int_eq(fd_pread_full(built.data_fd, data, sizeof(data), 0), 0);
    ck_assert_int_eq(verity_hash_blocks(&built.parameters, data, 5, digests), 0);
    ck_assert_int_eq(fd_pread_full(built.tree_fd, in_tree, sizeof(in_tree), 0), 0);
    ck_assert_mem_eq(digests, in_tree, sizeof(digests));
}
END_TEST

/* What on_data has seen, and how often two threads were in it at once. */
typedef struct {
    Sha256Stream *stream;
    atomic_int n_inside;
    bool was_shared;
    size_t n_bytes;
} Seen;

static void see_data(const void *data, size_t n_bytes, void *userdata)
{
    Seen *seen = userdata;
    if (atomic_fetch_add(&seen->n_inside, 1) != 0)
        seen->was_shared = true;
    ck_assert_uint_eq(n_bytes % BLOCK, 0);
    sha256_stream_add(seen->stream, data, n_bytes);
    seen->n_bytes += n_bytes;
    atomic_fetch_sub(&seen->n_inside, 1);
}

START_TEST(data_is_delivered_in_order_whatever_the_threads)
{
    static const unsigned n_threads[] = {0, 1, 2, 8, 100};
    Seen seen = {};
    _Atomic uint64_t n_bytes_done = 0;
    VerityRun run = {.n_threads = n_threads[_i],
            .n_bytes_done = &n_bytes_done,
            .on_data = see_data,
            .userdata = &seen};
    ck_assert_int_eq(sha256_stream_new(&seen.stream), 0);
    uint64_t n_blocks = 9 * 256 + 3;
    _cleanup_(built_done) Built built;
    build_tree(n_blocks, 1, &run, &built);
    ck_assert(!seen.was_shared);
    ck_assert_uint_eq(n_bytes_done, n_blocks * BLOCK);
    ck_assert_uint_eq(seen.n_bytes, n_blocks * BLOCK);

    Sha256 streamed;
    sha256_stream_finish(seen.stream, &streamed);
    sha256_stream_free(seen.stream);
    _cleanup_free_ uint8_t *data = malloc(n_blocks * BLOCK);
    ck_assert_int_eq(fd_pread_full(built.data_fd, data, n_blocks * BLOCK, 0), 0);
    Sha256 whole = sha256_of(data, n_blocks * BLOCK);
    ck_assert(sha256_equal(&streamed, &whole));
    ck_assert_int_eq(
            verity_tree_verify(&built.parameters, built.data, built.tree, &built.root, NULL, NULL),
            0);
}
END_TEST

START_TEST(data_and_tree_share_a_file_as_in_a_slot)
{
    _cleanup_(built_done) Built built;
    build_tree(300, 32, NULL, &built);
    VerityRegion tree = {built.data_fd, 300 * BLOCK};
    Sha256 root;
    ck_assert_int_eq(verity_tree_build(&built.parameters, built.data, tree, NULL, &root, NULL), 0);
    ck_assert(sha256_equal(&root, &built.root));
    ck_assert_int_eq(verity_tree_verify(&built.parameters, built.data, tree, &root, NULL, NULL), 0);
}
END_TEST

START_TEST(direct_io_works)
{
    _cleanup_(built_done) Built built;
    build_tree(300, 32, NULL, &built);
    _cleanup_close_ int fd = open(built.data_path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        ck_assert_int_eq(errno, EINVAL);
        unit_skip("the temporary folder's file system has no O_DIRECT");
    }
    Sha256 root;
    VerityRegion tree = {fd, 300 * BLOCK};
    ck_assert_int_eq(
            verity_tree_build(&built.parameters, (VerityRegion){fd, 0}, tree, NULL, &root, NULL),
            0);
    ck_assert(sha256_equal(&root, &built.root));
}
END_TEST

static void assert_found(const Built *built, int fd, uint64_t offset_bytes, const char *expected)
{
    uint8_t byte;
    ck_assert_int_eq(fd_pread_full(fd, &byte, 1, offset_bytes), 0);
    byte ^= 0x10;
    ck_assert_int_eq(fd_pwrite_full(fd, &byte, 1, offset_bytes), 0);
    ErrorText error = {};
    int r = verity_tree_verify(
            &built->parameters, built->data, built->tree, &built->root, NULL, &error);
    ck_assert_int_eq(r, -EBADMSG);
    ck_assert_str_eq(error.line, expected);
    byte ^= 0x10;
    ck_assert_int_eq(fd_pwrite_full(fd, &byte, 1, offset_bytes), 0);
}

/* 16385 blocks: levels of 129, 2 and 1 blocks, which begin at 3, 1 and 0. */
START_TEST(every_flipped_bit_is_found_where_it_is)
{
    _cleanup_(built_done) Built built;
    build_tree(16385, 32, NULL, &built);
    assert_found(&built, built.data_fd, 0, "block 0 of the data does not match its digest");
    assert_found(&built, built.data_fd, 999 * BLOCK + 4095,
            "block 999 of the data does not match its digest");
    assert_found(&built, built.data_fd, 16384 * BLOCK,
            "block 16384 of the data does not match its digest");
    assert_found(&built, built.tree_fd, 3 * BLOCK,
            "block 3 of the hash tree (level 0) does not match its digest");
    assert_found(&built, built.tree_fd, 131 * BLOCK + 4095,
            "block 131 of the hash tree (level 0) does not match its digest");
    assert_found(&built, built.tree_fd, 2 * BLOCK + 31,
            "block 2 of the hash tree (level 1) does not match its digest");
    assert_found(&built, built.tree_fd, 63,
            "block 0 of the hash tree (level 2) does not match the root hash");
    Sha256 right_root = built.root;
    built.root.bytes[31] ^= 1;
    ck_assert_int_eq(
            verity_tree_verify(&built.parameters, built.data, built.tree, &built.root, NULL, NULL),
            -EBADMSG);
    ck_assert_int_eq(
            verity_tree_verify(&built.parameters, built.data, built.tree, &right_root, NULL, NULL),
            0);
}
END_TEST

START_TEST(a_single_block_is_held_against_the_root)
{
    _cleanup_(built_done) Built built;
    build_tree(1, 0, NULL, &built);
    assert_found(&built, built.data_fd, 77, "block 0 of the data does not match the root hash");
}
END_TEST

START_TEST(bytes_after_the_last_digest_are_not_ours)
{
    _cleanup_(built_done) Built built;
    build_tree(3, 0, NULL, &built);
    uint8_t block[BLOCK];
    ck_assert_int_eq(fd_pread_full(built.tree_fd, block, BLOCK, 0), 0);
    block[BLOCK - 1] = 1;
    ck_assert_int_eq(fd_pwrite_full(built.tree_fd, block, BLOCK, 0), 0);
    ck_assert_int_eq(verity_hash_blocks(&built.parameters, block, 1, &built.root), 0);
    ErrorText error = {};
    ck_assert_int_eq(verity_tree_verify(
                             &built.parameters, built.data, built.tree, &built.root, NULL, &error),
            -EBADMSG);
    ck_assert_str_eq(error.line, "block 0 of the hash tree has more in it than digests");
}
END_TEST

START_TEST(files_that_end_early_are_an_error)
{
    _cleanup_(built_done) Built built;
    build_tree(600, 0, NULL, &built);
    ErrorText error = {};
    Sha256 root = built.root;
    ck_assert_int_eq(ftruncate(built.tree_fd, 5 * BLOCK), 0);
    ck_assert_int_eq(verity_tree_verify(
                             &built.parameters, built.data, built.tree, &built.root, NULL, &error),
            -EIO);
    ck_assert_int_eq(ftruncate(built.data_fd, 599 * BLOCK + 4095), 0);
    ck_assert_int_eq(
            verity_tree_build(&built.parameters, built.data, built.tree, NULL, &root, &error),
            -EIO);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot read the data, blocks 512 to 599"));
    ck_assert(sha256_equal(&root, &built.root));
    built.tree.fd = open(built.tree_path, O_RDONLY | O_CLOEXEC);
    built.data.fd = built.data_fd;
    built.parameters.n_data_blocks = 500;
    ck_assert_int_eq(
            verity_tree_build(&built.parameters, built.data, built.tree, NULL, &root, &error),
            -EBADF);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot write the hash tree"));
    close(built.tree.fd);
}
END_TEST

typedef struct {
    atomic_bool is_cancelled;
    size_t n_calls;
} Canceller;

static void cancel_on_third_call(const void *data, size_t n_bytes, void *userdata)
{
    Canceller *canceller = userdata;
    (void)data;
    (void)n_bytes;
    if (++canceller->n_calls == 3)
        atomic_store(&canceller->is_cancelled, true);
}

START_TEST(cancelling_ends_it_soon)
{
    _cleanup_(built_done) Built built;
    build_tree(12 * 256, 0, NULL, &built);
    Canceller canceller = {};
    VerityRun run = {.n_threads = (unsigned)_i + 1,
            .is_cancelled = &canceller.is_cancelled,
            .on_data = cancel_on_third_call,
            .userdata = &canceller};
    Sha256 root;
    ErrorText error = {};
    ck_assert_int_eq(
            verity_tree_build(&built.parameters, built.data, built.tree, &run, &root, &error),
            -ECANCELED);
    ck_assert_uint_lt(canceller.n_calls, 8);
    ck_assert_str_eq(error.line, "cancelled");
    ck_assert_int_eq(verity_tree_verify(
                             &built.parameters, built.data, built.tree, &built.root, &run, &error),
            -ECANCELED);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("hash-tree");
    TCase *tcase = unit_case(suite, "hash-tree");
    tcase_add_test(tcase, trees_are_those_of_veritysetup);
    tcase_add_test(tcase, any_salt_is_veritysetups);
    tcase_add_loop_test(tcase, large_trees_are_those_of_veritysetup, 0, 2);
    tcase_add_test(tcase, layout_counts_levels);
    tcase_add_test(tcase, what_is_out_of_range_is_refused);
    tcase_add_test(tcase, blocks_are_hashed_as_in_the_tree);
    tcase_add_loop_test(tcase, data_is_delivered_in_order_whatever_the_threads, 0, 5);
    tcase_add_test(tcase, data_and_tree_share_a_file_as_in_a_slot);
    tcase_add_test(tcase, direct_io_works);
    tcase_add_test(tcase, every_flipped_bit_is_found_where_it_is);
    tcase_add_test(tcase, a_single_block_is_held_against_the_root);
    tcase_add_test(tcase, bytes_after_the_last_digest_are_not_ours);
    tcase_add_test(tcase, files_that_end_early_are_an_error);
    tcase_add_loop_test(tcase, cancelling_ends_it_soon, 0, 3);
    return suite;
}
