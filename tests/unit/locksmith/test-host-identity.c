/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/config/host-identity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"

static const char *const folders[] = {
        "etc", "proc", "proc/sys", "proc/sys/kernel", "proc/sys/kernel/random"};

static int open_root(void)
{
    int root_fd = open(unit_temp_dir(), O_DIRECTORY | O_PATH | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
    for (size_t i = 0; i < ELEMENTS(folders); i++)
        ck_assert_int_eq(mkdirat(root_fd, folders[i], 0755), 0);
    return root_fd;
}

static void put(int root_fd, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fd_write_full(fd, text, strlen(text)), 0);
}

START_TEST(ids_are_read_without_blanks_around)
{
    _cleanup_close_ int root_fd = open_root();
    put(root_fd, "etc/machine-id", " 3d1219c7c4c5404aaa1f6d2a48adfda4\n");
    put(root_fd, "proc/sys/kernel/random/boot_id", "9e0a3e2b-0e2a-4c0e-9ff5-6b1a5a2f7b11\n");
    HostIdentity identity;
    ErrorText error = {};
    ck_assert_int_eq(host_identity_read(root_fd, &identity, &error), 0);
    ck_assert_str_eq(identity.machine_id, "3d1219c7c4c5404aaa1f6d2a48adfda4");
    ck_assert_str_eq(identity.boot_id, "9e0a3e2b-0e2a-4c0e-9ff5-6b1a5a2f7b11");
    char host[65];
    ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
    ck_assert_str_eq(identity.host_name, host);
}
END_TEST

START_TEST(without_a_boot_id_it_is_unknown)
{
    _cleanup_close_ int root_fd = open_root();
    put(root_fd, "etc/machine-id", "m1");
    HostIdentity identity;
    ck_assert_int_eq(host_identity_read(root_fd, &identity, NULL), 0);
    ck_assert_str_eq(identity.machine_id, "m1");
    ck_assert_str_eq(identity.boot_id, "");
    put(root_fd, "proc/sys/kernel/random/boot_id", "longer than any boot id that there can be ...");
    ck_assert_int_eq(host_identity_read(root_fd, &identity, NULL), 0);
    ck_assert_str_eq(identity.boot_id, "");
}
END_TEST

static const char *const no_ids[] = {
        "", "\n", "uninitialized\n", "two words\n", "m\x01", "caf\xe9"};

START_TEST(what_is_no_machine_id_is_refused)
{
    _cleanup_close_ int root_fd = open_root();
    put(root_fd, "etc/machine-id", no_ids[_i]);
    HostIdentity identity;
    ErrorText error = {};
    ck_assert_int_eq(host_identity_read(root_fd, &identity, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "/etc/machine-id"));
}
END_TEST

START_TEST(too_long_and_missing_ones_are_refused)
{
    _cleanup_close_ int root_fd = open_root();
    HostIdentity identity;
    ErrorText error = {};
    ck_assert_int_eq(host_identity_read(root_fd, &identity, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.line, "/etc/machine-id"));
    char id[LOCK_MAX_ID_CHARS + 2] = {};
    memset(id, 'a', LOCK_MAX_ID_CHARS + 1);
    put(root_fd, "etc/machine-id", id);
    ck_assert_int_eq(host_identity_read(root_fd, &identity, &error), -EINVAL);
    id[LOCK_MAX_ID_CHARS] = '\0';
    put(root_fd, "etc/machine-id", id);
    ck_assert_int_eq(host_identity_read(root_fd, &identity, &error), 0);
    ck_assert_str_eq(identity.machine_id, id);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("host-identity");
    TCase *tests = unit_case(suite, "all");
    tcase_add_test(tests, ids_are_read_without_blanks_around);
    tcase_add_test(tests, without_a_boot_id_it_is_unknown);
    tcase_add_loop_test(tests, what_is_no_machine_id_is_refused, 0, ELEMENTS(no_ids));
    tcase_add_test(tests, too_long_and_missing_ones_are_refused);
    return suite;
}
