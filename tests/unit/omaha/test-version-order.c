/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/version-order.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* Each is older than all that follow: UAPI.10's own examples and what they leave open. */
static const char *const rising[] = {
        "~",
        "",
        "-",
        "^",
        ".",
        "a",
        "b",
        "0",
        "1~rc1",
        "1~rc1.1",
        "1",
        "1-0",
        "1^post",
        "1.2~rc1",
        "1.2~rc2",
        "1.2",
        "1.2-1",
        "1.2^post",
        "1.2^post2",
        "1.2.a",
        "1.2.1",
        "1.2a",
        "1.2b",
        "1.9",
        "1.10",
        "2",
        "10",
        "3510.2.1",
        "3732.0.0",
        "99999999999999999999999999999999",
        "100000000000000000000000000000000",
};

START_TEST(versions_are_in_order)
{
    for (size_t i = 0; i < ELEMENTS(rising); i++)
        for (size_t j = 0; j < ELEMENTS(rising); j++)
            ck_assert_msg(sign(version_compare(rising[i], rising[j])) == (i > j) - (i < j),
                    "\"%s\" and \"%s\"", rising[i], rising[j]);
}
END_TEST

START_TEST(different_strings_may_be_equal)
{
    ck_assert_int_eq(version_compare("1.02", "1.2"), 0);
    ck_assert_int_eq(version_compare("1.00", "1.0"), 0);
    ck_assert_int_eq(version_compare("1+2", "1_2"), 0);
    ck_assert_int_eq(version_compare("+1", "1"), 0);
}
END_TEST

/* What systemd thinks: 0 equal, 11 the first is newer, 12 the second; -1: it is not here. */
static int systemd_compares(const char *a, const char *b)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null_fd, STDOUT_FILENO);
        dup2(null_fd, STDERR_FILENO);
        execlp("systemd-analyze", "systemd-analyze", "compare-versions", "--", a, b, NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    switch (WEXITSTATUS(status)) {
    case 0:
        return 0;
    case 11:
        return 1;
    case 12:
        return -1;
    default:
        return 127;
    }
}

START_TEST(systemd_agrees)
{
    static const char alphabet[] = "0129abAB~^-.+_";
    srandom(10);
    for (int i = 0; i < 40; i++) {
        char text[2][8] = {"1", "1"};
        for (int j = 0; j < 2; j++)
            for (int k = 1; k < 7; k++)
                text[j][k] = alphabet[random() % (long)(sizeof(alphabet) - 1)];
        if (i % 2)
            memcpy(text[1], text[0], 4); /* a common beginning */
        int theirs = systemd_compares(text[0], text[1]);
        if (theirs == 127)
            unit_skip("systemd-analyze is not installed");
        ck_assert_msg(sign(version_compare(text[0], text[1])) == theirs,
                "\"%s\" and \"%s\": systemd says %d", text[0], text[1], theirs);
    }
}
END_TEST

START_TEST(validity)
{
    char longest[130];
    memset(longest, '1', sizeof(longest));
    longest[129] = '\0';
    ck_assert(!version_is_valid(longest));
    longest[128] = '\0';
    ck_assert(version_is_valid(longest));
    ck_assert(version_is_valid("3510.2.1+build_7-rc~1^a"));
    ck_assert(!version_is_valid(""));
    ck_assert(!version_is_valid("1 2"));
    ck_assert(!version_is_valid("1/2"));
    ck_assert(!version_is_valid("1\n"));
    ck_assert(!version_is_valid("\xc3\xa4"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("version-order");
    TCase *tcase = unit_case(suite, "version-order");
    tcase_add_test(tcase, versions_are_in_order);
    tcase_add_test(tcase, different_strings_may_be_equal);
    tcase_add_test(tcase, systemd_agrees);
    tcase_add_test(tcase, validity);
    return suite;
}
