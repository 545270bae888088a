/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

static int make_folder(const char *name, const char *text)
{
    int folder = open(unit_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(folder, 0);
    _cleanup_close_ int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(fd_write_full(fd, text, strlen(text)), 0);
    return folder;
}

static int read_number(const char *text, uint64_t *ret_value)
{
    _cleanup_close_ int folder = make_folder("number", text);
    return sysfs_read_u64(folder, "number", ret_value);
}

START_TEST(numbers)
{
    uint64_t value = 7;
    ck_assert_int_eq(read_number("4096\n", &value), 0);
    ck_assert_uint_eq(value, 4096);
    ck_assert_int_eq(read_number("18446744073709551615", &value), 0);
    ck_assert_uint_eq(value, UINT64_MAX);
    static const char *const BAD[] = {"", "\n", "-1\n", " 1\n", "1 2\n", "0x10\n", "1x",
            "18446744073709551616\n", "000000000000000000000001\n"};
    for (size_t i = 0; i < ELEMENTS(BAD); i++)
        ck_assert_msg(read_number(BAD[i], &value) == -EINVAL, "'%s'", BAD[i]);
    _cleanup_close_ int folder = make_folder("number", "1");
    ck_assert_int_eq(sysfs_read_u64(folder, "none", &value), -ENOENT);
    ck_assert_uint_eq(value, UINT64_MAX);
}
END_TEST

START_TEST(uevents)
{
    char value[16];
    _cleanup_close_ int folder =
            make_folder("uevent", "MAJOR=254\nXDEVNAME=no\nDEVNAME=mapper/usr\nEMPTY=\nEND=last");
    ck_assert_int_eq(sysfs_read_uevent(folder, "MAJOR", value, sizeof(value)), 0);
    ck_assert_str_eq(value, "254");
    ck_assert_int_eq(sysfs_read_uevent(folder, "EMPTY", value, sizeof(value)), 0);
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(sysfs_read_uevent(folder, "END", value, 5), 0);
    ck_assert_str_eq(value, "last");
    ck_assert_int_eq(sysfs_read_uevent(folder, "END", value, 4), -ENAMETOOLONG);
    ck_assert_int_eq(sysfs_read_uevent(folder, "MINOR", value, sizeof(value)), -ENOENT);
    ck_assert_int_eq(sysfs_read_uevent(folder, "MAJ", value, sizeof(value)), -ENOENT);
}
END_TEST

START_TEST(nodes)
{
    char path[32];
    _cleanup_close_ int folder = make_folder("uevent", "DEVNAME=mapper/usr\n");
    ck_assert_int_eq(sysfs_read_node(folder, "/root", path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/root/dev/mapper/usr");
    ck_assert_int_eq(sysfs_read_node(folder, "/root", path, 20), -ENAMETOOLONG);
    _cleanup_close_ int without = make_folder("uevent", "MAJOR=1\n");
    ck_assert_int_eq(sysfs_read_node(without, "", path, sizeof(path)), -EINVAL);
    _cleanup_close_ int empty = make_folder("uevent", "DEVNAME=\n");
    ck_assert_int_eq(sysfs_read_node(empty, "", path, sizeof(path)), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("sysfs");
    TCase *tcase = unit_case(suite, "sysfs");
    tcase_add_test(tcase, numbers);
    tcase_add_test(tcase, uevents);
    tcase_add_test(tcase, nodes);
    return suite;
}
