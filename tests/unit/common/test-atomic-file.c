/* SPDX-License-Identifier: Apache-2.0 */
#include "common/atomic-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

static void assert_content(int folder, const char *name, const char *expected)
{
    _cleanup_free_ char *data = NULL;
    size_t n;
    ck_assert_int_eq(fd_read_file(folder, name, 100, &data, &n), 0);
    ck_assert_str_eq(data, expected);
}

START_TEST(content_is_replaced_and_mode_kept)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(atomic_file_write(folder, "a", "one", 3, 0640), 0);
    assert_content(folder, "a", "one");
    ck_assert_int_eq(fchmodat(folder, "a", 0604, 0), 0);
    ck_assert_int_eq(atomic_file_write(folder, "a", "two!", 4, 0640), 0);
    assert_content(folder, "a", "two!");
    struct stat st;
    ck_assert_int_eq(fstatat(folder, "a", &st, 0), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0604);
    ck_assert_int_eq(faccessat(folder, ".a.new", F_OK, 0), -1);
    ck_assert_int_eq(atomic_file_remove(folder, "a"), 0);
    ck_assert_int_eq(atomic_file_remove(folder, "a"), 0);
}
END_TEST

START_TEST(failure_leaves_the_old_file)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(atomic_file_write(folder, "a", "one", 3, 0640), 0);
    ck_assert_int_eq(mkdirat(folder, ".a.new", 0700), 0);
    ck_assert_int_lt(atomic_file_write(folder, "a", "two", 3, 0640), 0);
    assert_content(folder, "a", "one");
    ck_assert_int_eq(atomic_file_write(folder, "none/a", "x", 1, 0640), -ENOENT);
    ck_assert_int_eq(atomic_file_write(folder, "a/", "x", 1, 0640), -EISDIR);
}
END_TEST

/* What somebody else may have laid under the temporary file's name is neither written nor waited
 * for. */
START_TEST(what_lies_in_the_way_is_not_written)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(atomic_file_write(folder, "victim", "old", 3, 0640), 0);
    ck_assert_int_eq(linkat(folder, "victim", folder, ".a.new", 0), 0);
    ck_assert_int_eq(atomic_file_write(folder, "a", "one", 3, 0640), 0);
    assert_content(folder, "victim", "old");
    ck_assert_int_eq(symlinkat("victim", folder, ".a.new"), 0);
    ck_assert_int_eq(atomic_file_write(folder, "a", "two", 3, 0640), 0);
    assert_content(folder, "victim", "old");
    ck_assert_int_eq(mkfifoat(folder, ".a.new", 0600), 0);
    ck_assert_int_eq(atomic_file_write(folder, "a", "three", 5, 0640), 0);
    assert_content(folder, "a", "three");
}
END_TEST

START_TEST(reading_is_bounded)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(atomic_file_write(folder, "a", "12345", 5, 0640), 0);
    char *data = NULL;
    size_t n;
    ck_assert_int_eq(fd_read_file(folder, "a", 4, &data, &n), -EFBIG);
    ck_assert_int_eq(fd_read_file(folder, "a", 5, &data, &n), 0);
    ck_assert_uint_eq(n, 5);
    free(data);
    ck_assert_int_eq(fd_read_file(AT_FDCWD, "/proc/self/status", 65536, &data, &n), 0);
    ck_assert_uint_gt(n, 100);
    free(data);
    ck_assert_int_eq(fd_read_file(AT_FDCWD, "/dev/zero", 65536, &data, &n), -EFBIG);
    ck_assert_int_eq(fd_read_file(folder, ".", 65536, &data, &n), -EISDIR);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("atomic-file");
    TCase *tcase = unit_case(suite, "atomic-file");
    tcase_add_test(tcase, content_is_replaced_and_mode_kept);
    tcase_add_test(tcase, failure_leaves_the_old_file);
    tcase_add_test(tcase, what_lies_in_the_way_is_not_written);
    tcase_add_test(tcase, reading_is_bounded);
    return suite;
}
