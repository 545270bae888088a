/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/reboot-required.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/cleanup.h"
#include "tests/unit/unit.h"

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
    mkdirat(root_fd, "var", 0755);
    mkdirat(root_fd, "var/run", 0755);
    ck_assert_int_eq(atomic_file_write(root_fd, path, text, strlen(text), 0644), 0);
}

static void expect(bool is_required, const char *packages)
{
    RebootRequired required;
    ck_assert_int_eq(reboot_required_read(root_fd, &required), 0);
    ck_assert_int_eq(required.is_required, is_required);
    ck_assert_str_eq(required.packages, packages);
}

START_TEST(without_the_file_nothing_is_required)
{
    expect(false, "");
    put("run/reboot-required.pkgs", "libc6\n");
    expect(false, "");
}
END_TEST

START_TEST(the_file_alone_is_enough)
{
    put(REBOOT_REQUIRED_FILE, "*** System restart required ***\n");
    expect(true, "");
}
END_TEST

START_TEST(the_old_place_counts_as_well)
{
    put(REBOOT_REQUIRED_FILE_OLD, "");
    put("var/run/reboot-required.pkgs", "dbus");
    expect(true, "dbus");
}
END_TEST

START_TEST(packages_are_named_once_and_counted)
{
    put(REBOOT_REQUIRED_FILE, "");
    put("run/reboot-required.pkgs", "libc6\nlinux-image-amd64\nlibc6\n\ndbus\nsystemd\nudev\n");
    expect(true, "libc6, linux-image-amd64, dbus and 2 more");
}
END_TEST

START_TEST(a_list_from_a_stranger_is_cut_and_cleaned)
{
    char list[4096];
    RebootRequired required;
    memset(list, '\xc3', sizeof(list) - 1);
    list[0] = '\x1b';
    list[1000] = list[2000] = list[3000] = '\n';
    list[sizeof(list) - 1] = '\0';
    put(REBOOT_REQUIRED_FILE, "");
    put("run/reboot-required.pkgs", list);
    ck_assert_int_eq(reboot_required_read(root_fd, &required), 0);
    ck_assert_uint_le(strlen(required.packages), 3 * 60 + 20);
    ck_assert_ptr_null(strchr(required.packages, '\x1b'));
}
END_TEST

START_TEST(a_list_that_cannot_be_read_is_none)
{
    put(REBOOT_REQUIRED_FILE, "");
    ck_assert_int_eq(mkdirat(root_fd, "run/reboot-required.pkgs", 0755), 0);
    expect(true, "");
}
END_TEST

START_TEST(what_cannot_be_looked_at_is_an_error)
{
    RebootRequired required;
    ck_assert_int_eq(symlinkat("run", root_fd, "run"), 0);
    ck_assert_int_eq(reboot_required_read(root_fd, &required), -ELOOP);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("reboot-required");
    TCase *tcase = unit_case(suite, "sentinel");
    tcase_add_checked_fixture(tcase, open_root, close_root);
    tcase_add_test(tcase, without_the_file_nothing_is_required);
    tcase_add_test(tcase, the_file_alone_is_enough);
    tcase_add_test(tcase, the_old_place_counts_as_well);
    tcase_add_test(tcase, packages_are_named_once_and_counted);
    tcase_add_test(tcase, a_list_from_a_stranger_is_cut_and_cleaned);
    tcase_add_test(tcase, a_list_that_cannot_be_read_is_none);
    tcase_add_test(tcase, what_cannot_be_looked_at_is_an_error);
    return suite;
}
