/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/foreign-marks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

static const ForeignMarks waiting = {true, "1.0.0"}, none = {false, ""};
static int root;

static void open_root(void)
{
    root = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

static void close_root(void)
{
    close(root);
}

static void write_marks(const ForeignMarks *marks)
{
    ErrorText error = {};
    ck_assert_int_eq(foreign_marks_write(root, marks, &error), 0);
    ck_assert_str_eq(error.line, "");
}

static bool is_there(const char *path)
{
    return faccessat(root, path, F_OK, 0) == 0;
}

static void assert_holds(const char *path, const char *text)
{
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(root, path, 4096, &data, &n_bytes), 0);
    ck_assert_str_eq(data, text);
}

static struct stat stat_of(const char *path)
{
    struct stat st;
    ck_assert_int_eq(fstatat(root, path, &st, 0), 0);
    return st;
}

START_TEST(a_reboot_that_is_due)
{
    write_marks(&waiting);
    assert_holds("var/lib/update_engine/prefs/previous-version", "1.0.0");
    assert_holds("run/update_engine_autoupdate_completed", "");
    ck_assert(is_there("run/reboot-required"));
    ck_assert_uint_eq(
            stat_of("var/lib/update_engine/prefs/previous-version").st_mode & 07777, 0600);
    ck_assert_uint_eq(stat_of("run/reboot-required").st_mode & 07777, 0644);
}
END_TEST

START_TEST(what_has_gone_by_is_taken_back)
{
    write_marks(&waiting);
    write_marks(&none);
    assert_holds(FOREIGN_PREVIOUS_FILE, "");
    ck_assert(!is_there(FOREIGN_WAITING_FILE));
    ck_assert(!is_there(FOREIGN_REBOOT_FILE));
}
END_TEST

START_TEST(what_is_right_is_not_written_again)
{
    write_marks(&waiting);
    ino_t previous = stat_of(FOREIGN_PREVIOUS_FILE).st_ino;
    ino_t mark = stat_of(FOREIGN_WAITING_FILE).st_ino;
    write_marks(&waiting);
    ck_assert_uint_eq(stat_of(FOREIGN_PREVIOUS_FILE).st_ino, previous);
    ck_assert_uint_eq(stat_of(FOREIGN_WAITING_FILE).st_ino, mark);
}
END_TEST

START_TEST(somebody_elses_reboot_stays)
{
    ck_assert_int_eq(mkdirat(root, "run", 0755), 0);
    ck_assert_int_eq(atomic_file_write(root, FOREIGN_REBOOT_FILE, "libc6\n", 6, 0600), 0);
    write_marks(&waiting);
    write_marks(&none);
    assert_holds(FOREIGN_REBOOT_FILE, "libc6\n");
    /* update_engine's mark is for this daemon to remove, whatever is in it. */
    ck_assert_int_eq(atomic_file_write(root, FOREIGN_WAITING_FILE, "x", 1, 0600), 0);
    write_marks(&none);
    ck_assert(!is_there(FOREIGN_WAITING_FILE));
}
END_TEST

START_TEST(one_that_cannot_be_written_does_not_keep_the_others)
{
    ck_assert_int_eq(atomic_file_write(root, "var", "", 0, 0644), 0);
    ErrorText error = {};
    ck_assert_int_eq(foreign_marks_write(root, &waiting, &error), -ENOTDIR);
    ck_assert_ptr_nonnull(strstr(error.line, "previous-version"));
    ck_assert(is_there(FOREIGN_WAITING_FILE));
    ck_assert_int_eq(foreign_marks_keep_answer(root, "x", 1, &error), -ENOTDIR);
    ck_assert_ptr_nonnull(strstr(error.line, "full-response"));
}
END_TEST

START_TEST(only_what_is_another_is_withdrawn)
{
    ck_assert_int_eq(foreign_marks_withdraw(root, &none), 0);
    assert_holds(FOREIGN_PREVIOUS_FILE, "");
    write_marks(&waiting);
    ck_assert_int_eq(foreign_marks_withdraw(root, &waiting), 0);
    assert_holds(FOREIGN_PREVIOUS_FILE, "1.0.0");
    ck_assert_int_eq(foreign_marks_withdraw(root, &(ForeignMarks){true, "2.0.0"}), 0);
    assert_holds(FOREIGN_PREVIOUS_FILE, "");
    ck_assert(is_there(FOREIGN_WAITING_FILE));
}
END_TEST

START_TEST(the_answer)
{
    ErrorText error = {};
    ck_assert_int_eq(foreign_marks_keep_answer(root, NULL, 0, &error), 0);
    ck_assert_int_eq(foreign_marks_keep_answer(root, "<response/>\n", 12, &error), 0);
    assert_holds("var/lib/update_engine/prefs/full-response", "<response/>\n");
    ck_assert_int_eq(foreign_marks_keep_answer(root, NULL, 0, &error), 0);
    ck_assert(!is_there(FOREIGN_ANSWER_FILE));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("foreign-marks");
    TCase *tcase = unit_case(suite, "foreign-marks");
    tcase_add_checked_fixture(tcase, open_root, close_root);
    tcase_add_test(tcase, a_reboot_that_is_due);
    tcase_add_test(tcase, what_has_gone_by_is_taken_back);
    tcase_add_test(tcase, what_is_right_is_not_written_again);
    tcase_add_test(tcase, somebody_elses_reboot_stays);
    tcase_add_test(tcase, one_that_cannot_be_written_does_not_keep_the_others);
    tcase_add_test(tcase, only_what_is_another_is_withdrawn);
    tcase_add_test(tcase, the_answer);
    return suite;
}
