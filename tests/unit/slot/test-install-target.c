/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/install-target.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/install/install-rig.h"
#include "tests/unit/unit.h"

/* The kernel's answers: 0, or an errno that is told once, as the kernel does. */
static int failure_of_fdatasync, failure_of_range;

static int tell_once(int *failure)
{
    if (*failure == 0)
        return 0;
    errno = *failure;
    *failure = 0;
    return -1;
}

/* In place of the C library's. */
int fdatasync(int fd)
{
    (void)fd;
    return tell_once(&failure_of_fdatasync);
}

int sync_file_range(int fd, off_t offset, off_t n_bytes, unsigned flags)
{
    (void)fd;
    (void)offset;
    (void)n_bytes;
    (void)flags;
    return tell_once(&failure_of_range);
}

static InstallRig rig;
static InstallTarget *target;

static void setup(void)
{
    rig_init(&rig, true);
    ErrorText error = {};
    ck_assert_int_eq(install_target_find(rig.disk_path, "USR-A", NULL, &target, &error), UPDATE_OK);
    ck_assert_int_eq(install_target_prepare(target, &error), UPDATE_OK);
    ck_assert_int_eq(install_target_write(target, 0, "data", 4), 0);
    failure_of_fdatasync = failure_of_range = 0;
}

static void teardown(void)
{
    install_target_free(target);
    rig_done(&rig);
}

START_TEST(a_sync_that_failed_once_fails_for_good)
{
    ck_assert_int_eq(install_target_sync(target), 0);
    failure_of_fdatasync = EIO;
    ck_assert_int_eq(install_target_sync(target), -EIO);
    ck_assert_int_eq(install_target_sync(target), -EIO);
}
END_TEST

START_TEST(a_failure_that_the_write_behind_was_told_of_is_kept)
{
    failure_of_range = EIO;
    install_target_drop(target, 0, 4096);
    ck_assert_int_eq(install_target_sync(target), -EIO);
}
END_TEST

START_TEST(advice_that_is_not_taken_is_no_failure)
{
    failure_of_range = EINVAL;
    install_target_write_behind(target, 0, 4096);
    failure_of_range = ESPIPE;
    install_target_drop(target, 0, 4096);
    ck_assert_int_eq(install_target_sync(target), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("install-target");
    TCase *tcase = unit_case(suite, "install-target");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_sync_that_failed_once_fails_for_good);
    tcase_add_test(tcase, a_failure_that_the_write_behind_was_told_of_is_kept);
    tcase_add_test(tcase, advice_that_is_not_taken_is_no_failure);
    return suite;
}
