/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int n_fds_before;
static char temp_root[64];

static int count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void fd_setup(void)
{
    n_fds_before = count_open_fds();
}

static void fd_teardown(void)
{
    ck_assert_msg(count_open_fds() == n_fds_before, "descriptors open before: %d, after: %d",
            n_fds_before, count_open_fds());
}

TCase *unit_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, fd_setup, fd_teardown);
    tcase_set_timeout(tcase, 30);
    suite_add_tcase(suite, tcase);
    return tcase;
}

const char *unit_temp_dir(void)
{
    static char path[128];
    static unsigned count;
    snprintf(path, sizeof(path), "%s/%d-%u", temp_root, (int)getpid(), count++);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    return path;
}

const char *unit_data_path(const char *name)
{
    static char path[4096];
    const char *folder = getenv("TEST_DATA");
    snprintf(path, sizeof(path), "%s/%s", folder ? folder : ".", name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

int main(void)
{
    snprintf(temp_root, sizeof(temp_root), "/tmp/flipside-unit-XXXXXX");
    if (!mkdtemp(temp_root)) {
        perror("mkdtemp");
        return EXIT_FAILURE;
    }
    SRunner *runner = srunner_create(unit_suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    nftw(temp_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
