/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/approval.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

#define NOW UINT64_C(1763900000000000)

static int root_fd = -1;

static void open_root(void)
{
    root_fd = open(unit_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
}

static void close_root(void)
{
    root_fd = safe_close(root_fd);
}

static void put(const char *path, const char *text)
{
    mkdirat(root_fd, "run", 0755);
    mkdirat(root_fd, "run/locksmith", 0755);
    mkdirat(root_fd, "var", 0755);
    mkdirat(root_fd, "var/lib", 0755);
    mkdirat(root_fd, "var/lib/locksmith", 0755);
    ck_assert_int_eq(atomic_file_write(root_fd, path, text, strlen(text), 0644), 0);
}

START_TEST(without_files_nothing_was_said)
{
    PersonsWord word = {.state = WORD_GIVEN};
    ErrorText error = {""};
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, &error), 0);
    ck_assert_int_eq(word.state, WORD_MISSING);
    ck_assert_int_eq(pause_read(root_fd, NOW, &word, &error), 0);
    ck_assert_int_eq(word.state, WORD_MISSING);
    ck_assert_str_eq(error.line, "");
    ck_assert_int_eq(approval_remove(root_fd, &error), 0);
    ck_assert_int_eq(pause_remove(root_fd, &error), 0);
}
END_TEST

START_TEST(an_approval_counts_until_its_end)
{
    PersonsWord word;
    ck_assert_int_eq(approval_write(root_fd, NOW + 1, "1.2.3", NULL), 0);
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_GIVEN);
    ck_assert_uint_eq(word.until_usec, NOW + 1);
    ck_assert_str_eq(word.version, "1.2.3");
    ck_assert_int_eq(approval_read(root_fd, NOW + 1, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_EXPIRED);
    struct stat st;
    ck_assert_int_eq(fstatat(root_fd, APPROVAL_FILE, &st, 0), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    ck_assert_int_eq(approval_remove(root_fd, NULL), 0);
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_MISSING);
}
END_TEST

START_TEST(an_empty_file_approves_without_an_end)
{
    PersonsWord word;
    put(APPROVAL_FILE, "");
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_GIVEN);
    ck_assert_uint_eq(word.until_usec, 0);
    ck_assert_str_eq(word.version, "");
    ck_assert_int_eq(approval_write(root_fd, 0, "", NULL), 0);
    ck_assert_int_eq(approval_read(root_fd, UINT64_MAX, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_GIVEN);
}
END_TEST

START_TEST(an_end_at_the_epoch_is_an_end)
{
    PersonsWord word;
    put(APPROVAL_FILE, "UNTIL=1970-01-01T00:00:00Z\n");
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_EXPIRED);
}
END_TEST

START_TEST(a_pause_counts_until_its_end_and_keeps_its_reason)
{
    static const char *const reasons[][2] = {
            {"", ""},
            {"disk is being replaced", "disk is being replaced"},
            {"it's \"quoted\" \\ both", "it's 'quoted' / both"},
            {"\"x\"", "'x'"},
            {" \tblanks ", " ?blanks "},
            {"line\nbreak\x1b[2J", "line?break?[2J"},
            {"\xff\xfe", "??"},
            {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    };
    PersonsWord word;
    for (size_t i = 0; i < ELEMENTS(reasons); i++) {
        ck_assert_int_eq(pause_write(root_fd, NOW + 5, reasons[i][0], NULL), 0);
        ck_assert_int_eq(pause_read(root_fd, NOW, &word, NULL), 0);
        ck_assert_int_eq(word.state, WORD_GIVEN);
        ck_assert_str_eq(word.why, reasons[i][1]);
        ck_assert_uint_eq(word.until_usec, NOW + 5);
    }
    ck_assert_int_eq(pause_read(root_fd, NOW + 5, &word, NULL), 0);
    ck_assert_int_eq(word.state, WORD_EXPIRED);
    ck_assert_int_eq(pause_remove(root_fd, NULL), 0);
}
END_TEST

START_TEST(a_long_reason_is_cut)
{
    char why[1000];
    PersonsWord word;
    memset(why, 'w', sizeof(why) - 1);
    why[sizeof(why) - 1] = '\0';
    ck_assert_int_eq(pause_write(root_fd, NOW + 5, why, NULL), 0);
    ck_assert_int_eq(pause_read(root_fd, NOW, &word, NULL), 0);
    ck_assert_uint_eq(strlen(word.why), 255);
}
END_TEST

START_TEST(what_cannot_be_understood_is_an_error_that_says_so)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
            {"yes\n", "run/locksmith/approved:1"},
            {"UNTIL=tomorrow\n", "UNTIL=tomorrow is no time"},
            {"UNTILL=2026-11-23T10:00:00Z\n", "what is UNTILL?"},
            {"VERSION=\"1\n", "quote does not end"},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        PersonsWord word = {.state = WORD_EXPIRED};
        ErrorText error = {""};
        put(APPROVAL_FILE, cases[i].text);
        ck_assert_int_eq(approval_read(root_fd, NOW, &word, &error), -EINVAL);
        ck_assert_msg(strstr(error.line, cases[i].says) != NULL, "%s", error.line);
        ck_assert_int_eq(word.state, WORD_EXPIRED);
    }
}
END_TEST

START_TEST(a_version_that_is_too_long_is_an_error)
{
    char text[200] = "VERSION=";
    ErrorText error = {""};
    PersonsWord word;
    memset(text + 8, '1', 128);
    put(APPROVAL_FILE, text);
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "VERSION is longer than 127"));
    ck_assert_int_eq(approval_write(root_fd, 0, text + 8, &error), -EINVAL);
    ck_assert_int_eq(approval_write(root_fd, 0, text + 9, &error), 0);
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, &error), 0);
    ck_assert_str_eq(word.version, text + 9);
}
END_TEST

START_TEST(a_pause_needs_an_end)
{
    ErrorText error = {""};
    PersonsWord word;
    ck_assert_int_eq(pause_write(root_fd, 0, "", &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "4h"));
    put(PAUSE_FILE, "WHY=x\n");
    ck_assert_int_eq(pause_read(root_fd, NOW, &word, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "no UNTIL="));
}
END_TEST

START_TEST(what_the_disk_refuses_is_an_error)
{
    ErrorText error = {""};
    PersonsWord word;
    ck_assert_int_eq(mkdirat(root_fd, "run", 0755), 0);
    ck_assert_int_eq(mkdirat(root_fd, "run/locksmith", 0755), 0);
    ck_assert_int_eq(mkdirat(root_fd, APPROVAL_FILE, 0755), 0);
    ck_assert_int_eq(approval_read(root_fd, NOW, &word, &error), -EISDIR);
    ck_assert_int_eq(approval_write(root_fd, 0, "", &error), -EISDIR);
    ck_assert_ptr_nonnull(strstr(error.line, "/run/locksmith/approved cannot be written"));
    ck_assert_int_eq(approval_remove(root_fd, &error), -EISDIR);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot be removed"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("approval");
    TCase *tcase = unit_case(suite, "approval and pause");
    tcase_add_checked_fixture(tcase, open_root, close_root);
    tcase_add_test(tcase, without_files_nothing_was_said);
    tcase_add_test(tcase, an_approval_counts_until_its_end);
    tcase_add_test(tcase, an_empty_file_approves_without_an_end);
    tcase_add_test(tcase, an_end_at_the_epoch_is_an_end);
    tcase_add_test(tcase, a_pause_counts_until_its_end_and_keeps_its_reason);
    tcase_add_test(tcase, a_long_reason_is_cut);
    tcase_add_test(tcase, what_cannot_be_understood_is_an_error_that_says_so);
    tcase_add_test(tcase, a_version_that_is_too_long_is_an_error);
    tcase_add_test(tcase, a_pause_needs_an_end);
    tcase_add_test(tcase, what_the_disk_refuses_is_an_error);
    return suite;
}
