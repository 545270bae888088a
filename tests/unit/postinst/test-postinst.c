/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/postinst.h"

#include <signal.h>
#include <string.h>

#include "tests/unit/unit.h"

/* Wait statuses as Linux has them: an exit status in the second byte, a signal in the first. */
static const struct {
    int status;
    const char *last_line;
    UpdateError code;
    const char *words;
} ends[] = {
        {0, "what it said", UPDATE_OK, ""},
        {1 << 8, "", UPDATE_ERROR_POSTINST, "failed with exit status 1"},
        {1 << 8, "no room", UPDATE_ERROR_POSTINST, "failed with exit status 1: no room"},
        {3 << 8, "", UPDATE_ERROR_POSTINST_FIRMWARE, "exit status 3"},
        {43 << 8, "", UPDATE_ERROR_POSTINST, "exit status 43"},
        {255 << 8, "", UPDATE_ERROR_POSTINST, "exit status 255"},
        {SIGKILL, "", UPDATE_ERROR_POSTINST, "signal 9 (Killed)"},
        {SIGSEGV | 0x80, "here", UPDATE_ERROR_POSTINST, "signal 11 (Segmentation fault): here"},
};

START_TEST(each_end_has_its_error)
{
    ErrorText error = {};
    ck_assert_int_eq(postinst_judge(ends[_i].status, ends[_i].last_line, &error), ends[_i].code);
    ck_assert_msg(strstr(error.line, ends[_i].words), "%s", error.line);
}
END_TEST

START_TEST(few_variables_are_passed)
{
    char *all[] = {(char *)"HOME=/root", (char *)"HTTPS_PROXY=http://p:1", (char *)"PATHS=/no",
            (char *)"PATH=/bin", (char *)"NOTIFY_SOCKET=/run/x", (char *)"no_proxy=h",
            (char *)"LD_PRELOAD=x", (char *)"LD_LIBRARY_PATH=", NULL};
    _cleanup_free_ char **list = NULL;
    ck_assert_int_eq(postinst_environment(all, &list), 0);
    const char *expected[] = {
            "PATH=/bin", "LD_LIBRARY_PATH=", "HTTPS_PROXY=http://p:1", "no_proxy=h"};
    for (size_t i = 0; i < ELEMENTS(expected); i++)
        ck_assert_str_eq(list[i], expected[i]);
    ck_assert_ptr_null(list[ELEMENTS(expected)]);
}
END_TEST

START_TEST(a_path_is_made_up)
{
    char *none[] = {NULL};
    _cleanup_free_ char **list = NULL;
    ck_assert_int_eq(postinst_environment(none, &list), 0);
    ck_assert_msg(strncmp(list[0], "PATH=/usr/local/sbin:", 21) == 0, "%s", list[0]);
    ck_assert_ptr_null(list[1]);
}
END_TEST

START_TEST(no_journal_is_replayed)
{
    const char *const *data = NULL;
    for (const char **type = (const char *[]){"ext2", "ext3", "ext4", NULL}; *type; type++) {
        ck_assert_str_eq(postinst_mount_type(*type, &data), "ext4");
        ck_assert_str_eq(data[0], "noload");
        ck_assert_ptr_null(data[1]);
    }
    ck_assert_str_eq(postinst_mount_type("btrfs", &data), "btrfs");
    ck_assert_str_eq(data[0], "rescue=nologreplay");
    ck_assert_str_eq(data[1], "nologreplay");
    ck_assert_ptr_null(data[2]);
    ck_assert_str_eq(postinst_mount_type("erofs", &data), "erofs");
    ck_assert_str_eq(data[0], "");
    ck_assert_ptr_null(postinst_mount_type("vfat", &data));
    ck_assert_ptr_null(postinst_mount_type("", &data));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("postinst");
    TCase *tcase = unit_case(suite, "postinst");
    tcase_add_loop_test(tcase, each_end_has_its_error, 0, (int)ELEMENTS(ends));
    tcase_add_test(tcase, few_variables_are_passed);
    tcase_add_test(tcase, a_path_is_made_up);
    tcase_add_test(tcase, no_journal_is_replayed);
    return suite;
}
