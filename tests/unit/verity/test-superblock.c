/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define VERITYSETUP "PATH=$PATH:/usr/sbin:/sbin veritysetup"
#define UUID "12345678-9abc-4def-8012-3456789abcde"
#define SALT "00a1ff"

static const VeritySuperblock example = {
        .parameters = {.salt = {0x00, 0xa1, 0xff}, .n_salt_bytes = 3, .n_data_blocks = 129},
        .uuid = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x80, 0x12, 0x34, 0x56, 0x78, 0x9a,
                0xbc, 0xde},
};

static int open_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static int shell(const char *folder, const char *rest)
{
    char command[4096];
    snprintf(command, sizeof(command), "cd %s && %s", folder, rest);
    return system(command);
}

START_TEST(superblock_and_tree_are_those_of_veritysetup)
{
    ck_assert_msg(system(VERITYSETUP " --version >/dev/null 2>&1") == 0,
            "veritysetup is missing; install cryptsetup-bin");
    const char *folder = unit_temp_dir();
    _cleanup_close_ int data_fd = open_file(folder, "data");
    _cleanup_close_ int hash_fd = open_file(folder, "hash");
    uint64_t data_end = 129 * VERITY_BLOCK_BYTES;
    ck_assert_int_eq(ftruncate(data_fd, (off_t)data_end), 0);
    ck_assert_int_eq(fd_pwrite_full(data_fd, "x", 1, data_end - 1), 0);

    /* At an offset, as behind a file system, ours beside theirs. */
    uint64_t offset = 5 * VERITY_BLOCK_BYTES;
    VerityRegion region = {hash_fd, offset};
    Sha256 root;
    ck_assert_int_eq(verity_superblock_write(region, &example), 0);
    ck_assert_int_eq(verity_tree_build(&example.parameters, (VerityRegion){data_fd, 0},
                             verity_superblock_tree(region), NULL, &root, NULL),
            0);
    ck_assert_int_eq(shell(folder, VERITYSETUP " format --hash=sha256 --salt=" SALT " --uuid=" UUID
                                               " --hash-offset=20480"
                                               " --root-hash-file=root data theirs >/dev/null"),
            0);
    ck_assert_int_eq(shell(folder, "cmp hash theirs"), 0);
    ck_assert_int_eq(shell(folder, VERITYSETUP " verify --hash-offset=20480 data hash"
                                               " $(cat root)"),
            0);
    _cleanup_close_ int theirs = open_file(folder, "theirs");
    VeritySuperblock read;
    ck_assert_int_eq(verity_superblock_read((VerityRegion){theirs, offset}, &read, NULL), 0);
    ck_assert_mem_eq(&read, &example, sizeof(read));
}
END_TEST

START_TEST(what_was_encoded_is_parsed)
{
    uint8_t block[VERITY_SUPERBLOCK_BYTES];
    VeritySuperblock superblock;
    ck_assert_int_eq(verity_superblock_encode(&example, block), 0);
    ck_assert_int_eq(verity_superblock_parse(block, &superblock, NULL), 0);
    ck_assert_mem_eq(&superblock, &example, sizeof(superblock));
    superblock.parameters.n_data_blocks = 0;
    ck_assert_int_eq(verity_superblock_encode(&superblock, block), -EINVAL);
    superblock = example;
    superblock.parameters.n_salt_bytes = 33;
    ck_assert_int_eq(verity_superblock_encode(&superblock, block), -EINVAL);
    ck_assert_int_eq(verity_superblock_write((VerityRegion){-1, 0}, &superblock), -EINVAL);
    ck_assert_int_eq(verity_superblock_write((VerityRegion){-1, 0}, &example), -EBADF);
}
END_TEST

/* A byte at an offset of the record that must make it refused, and the words for it. */
static const struct {
    size_t offset;
    uint8_t value;
    const char *words;
} malformed[] = {
        {0, 'V', "there is none"},
        {7, 1, "there is none"},
        {8, 2, "version"},
        {12, 0, "hash type"},
        {32, 'S', "sha256"},
        {38, '0', "sha256"},
        {64, 1, "4096"},
        {69, 0x20, "4096"},
        {72 + 7, 0x80, "count"},
        {72 + 6, 0x11, "count"},
        {80, 33, "salt"},
        {81, 1, "salt"},
};

START_TEST(malformed_is_refused)
{
    uint8_t block[VERITY_SUPERBLOCK_BYTES];
    ck_assert_int_eq(verity_superblock_encode(&example, block), 0);
    block[malformed[_i].offset] = malformed[_i].value;
    VeritySuperblock superblock;
    ErrorText error = {};
    ck_assert_int_eq(verity_superblock_parse(block, &superblock, &error), -EBADMSG);
    ck_assert_msg(strstr(error.line, malformed[_i].words) != NULL, "%s", error.line);
}
END_TEST

START_TEST(no_blocks_or_no_file_is_refused)
{
    uint8_t block[VERITY_SUPERBLOCK_BYTES];
    ck_assert_int_eq(verity_superblock_encode(&example, block), 0);
    memset(block + 72, 0, 8);
    VeritySuperblock superblock;
    ErrorText error = {};
    ck_assert_int_eq(verity_superblock_parse(block, &superblock, &error), -EBADMSG);

    _cleanup_close_ int fd = open_file(unit_temp_dir(), "short");
    ck_assert_int_eq(fd_pwrite_full(fd, block, 512, 0), 0);
    ck_assert_int_eq(verity_superblock_read((VerityRegion){fd, 0}, &superblock, &error), -EIO);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot read the verity superblock"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("superblock");
    TCase *tcase = unit_case(suite, "superblock");
    tcase_add_test(tcase, superblock_and_tree_are_those_of_veritysetup);
    tcase_add_test(tcase, what_was_encoded_is_parsed);
    tcase_add_loop_test(tcase, malformed_is_refused, 0, (int)ELEMENTS(malformed));
    tcase_add_test(tcase, no_blocks_or_no_file_is_refused);
    return suite;
}
