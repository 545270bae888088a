/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/file-target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define SIZE_BYTES 10000

static char path[256], new_path[264];
static uint8_t content[3 * 4096];
static atomic_bool is_cancelled;
static ErrorText error;

static void setup(void)
{
    snprintf(path, sizeof(path), "%s/vmlinuz-b", unit_temp_dir());
    snprintf(new_path, sizeof(new_path), "%s.new", path);
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path, "old", 3, 0644), 0);
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 7 >> 3);
    atomic_store(&is_cancelled, false);
    error = (ErrorText){0};
}

static void assert_file(const char *name, const void *data, size_t n_bytes)
{
    _cleanup_free_ char *found = NULL;
    size_t n_found;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, name, 1 << 20, &found, &n_found), 0);
    ck_assert_uint_eq(n_found, n_bytes);
    ck_assert_mem_eq(found, data, n_bytes);
}

static FileTarget *make_target(bool is_resumed, int expected)
{
    FileTarget *target = NULL;
    ck_assert_msg(file_target_new(path, SIZE_BYTES, &target, &error) == 0, "%s", error.line);
    ck_assert_int_eq(file_target_prepare(target, is_resumed, &error), expected);
    return target;
}

/* In blocks, the last beyond the end. */
static void write_all(FileTarget *target)
{
    for (size_t at = 0; at < sizeof(content); at += 4096)
        ck_assert_int_eq(file_target_write(target, at, content + at, 4096), 0);
    ck_assert_int_eq(file_target_write(target, 1 << 20, content, 4096), 0);
}

START_TEST(the_old_file_stays_until_the_new_one_is_proven)
{
    _cleanup_(file_target_freep) FileTarget *target = make_target(false, 0);
    write_all(target);
    assert_file(path, "old", 3);
    Sha256 hash = sha256_of(content, SIZE_BYTES);
    ck_assert_int_eq(file_target_check(target, &hash, &is_cancelled), 0);
    assert_file(path, "old", 3);
    ck_assert_int_eq(file_target_commit(target, &error), 0);
    assert_file(path, content, SIZE_BYTES);
    ck_assert_int_eq(access(new_path, F_OK), -1);
}
END_TEST

START_TEST(one_that_is_in_its_place_is_adopted_when_it_is_the_same)
{
    Sha256 hash = sha256_of(content, SIZE_BYTES), other = sha256_of(content, 7);
    _cleanup_(file_target_freep) FileTarget *target = make_target(false, 0);
    write_all(target);
    ck_assert_int_eq(file_target_commit(target, &error), 0);
    ck_assert_int_eq(file_target_commit(target, &error), 0); /* again: nothing is left to do */
    _cleanup_(file_target_freep) FileTarget *again = make_target(true, -ESTALE);
    ck_assert_int_eq(file_target_adopt(again, &other, &is_cancelled), -ESTALE);
    ck_assert_int_eq(file_target_adopt(again, &hash, &is_cancelled), 0);
    write_all(again);
    ck_assert_int_eq(file_target_check(again, &hash, &is_cancelled), 0);
    ck_assert_int_eq(file_target_commit(again, &error), 0);
    assert_file(path, content, SIZE_BYTES);
}
END_TEST

START_TEST(another_file_is_not_adopted)
{
    Sha256 hash = sha256_of(content, SIZE_BYTES);
    _cleanup_(file_target_freep) FileTarget *target = make_target(true, -ESTALE);
    ck_assert_int_eq(file_target_adopt(target, &hash, &is_cancelled), -ESTALE); /* its size */
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(file_target_adopt(target, &hash, &is_cancelled), -ESTALE);
    ck_assert_int_eq(file_target_prepare(target, false, &error), 0);
}
END_TEST

START_TEST(another_hash_is_noticed)
{
    _cleanup_(file_target_freep) FileTarget *target = make_target(false, 0);
    write_all(target);
    Sha256 hash = sha256_of(content, SIZE_BYTES - 1);
    ck_assert_int_eq(file_target_check(target, &hash, &is_cancelled), -EBADMSG);
    atomic_store(&is_cancelled, true);
    ck_assert_int_eq(file_target_check(target, &hash, &is_cancelled), -ECANCELED);
    file_target_discard(path);
    ck_assert_int_eq(access(new_path, F_OK), -1);
    assert_file(path, "old", 3);
}
END_TEST

START_TEST(what_was_written_before_is_gone_on_with)
{
    FileTarget *target = make_target(false, 0);
    ck_assert_int_eq(file_target_write(target, 0, content, 4096), 0);
    ck_assert_int_eq(file_target_sync(target), 0);
    file_target_free(target);
    target = make_target(true, 0);
    ck_assert_int_eq(file_target_write(target, 4096, content + 4096, 8192), 0);
    Sha256 hash = sha256_of(content, SIZE_BYTES);
    ck_assert_int_eq(file_target_check(target, &hash, &is_cancelled), 0);
    file_target_free(target);

    ck_assert_int_eq(truncate(new_path, SIZE_BYTES - 1), 0);
    file_target_free(make_target(true, -ESTALE));
    ck_assert_int_eq(unlink(new_path), 0);
    file_target_free(make_target(true, -ESTALE));
    /* A link is not followed, whoever made it. */
    ck_assert_int_eq(symlink(path, new_path), 0);
    ck_assert_int_eq(truncate(path, SIZE_BYTES), 0);
    file_target_free(make_target(true, -ESTALE));
    file_target_free(make_target(false, 0));
    struct stat st;
    ck_assert_int_eq(lstat(new_path, &st), 0);
    ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(room_is_asked_for_first)
{
    FileTarget *target = NULL;
    ck_assert_int_eq(file_target_new(path, UINT64_C(1) << 60, &target, &error), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(error.line, "make room there"));
    ck_assert_int_eq(file_target_new("/nonexistent/vmlinuz-b", 1, &target, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.line, "/nonexistent"));
    ck_assert_ptr_null(target);
    ck_assert_int_eq(access(new_path, F_OK), -1);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("file-target");
    TCase *tcase = unit_case(suite, "file-target");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, the_old_file_stays_until_the_new_one_is_proven);
    tcase_add_test(tcase, one_that_is_in_its_place_is_adopted_when_it_is_the_same);
    tcase_add_test(tcase, another_file_is_not_adopted);
    tcase_add_test(tcase, another_hash_is_noticed);
    tcase_add_test(tcase, what_was_written_before_is_gone_on_with);
    tcase_add_test(tcase, room_is_asked_for_first);
    return suite;
}
