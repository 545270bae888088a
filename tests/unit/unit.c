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

/* A test runs in a process of its own: what it says of itself goes through a file named like it. */
void unit_note_skip(const char *function, const char *reason)
{
    char path[256];
    size_t n_chars = strlen(function);
    if (n_chars > 3 && strcmp(function + n_chars - 3, "_fn") == 0) /* check's START_TEST adds it */
        n_chars -= 3;
    snprintf(path, sizeof(path), "%s/skipped-%.*s", temp_root, (int)n_chars, function);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(reason, file);
    ck_assert_int_eq(fclose(file), 0);
}

/* One line of TAP as check writes it, "ok 1 - FILE:CASE:TEST: Passed", with what the test noted. */
static void print_result(char *line)
{
    char path[256], reason[256] = "";
    const char *name = line;
    char *end = strstr(line, ": ");
    line[strcspn(line, "\n")] = '\0';
    for (char *colon = strchr(line, ':'); end && colon && colon < end;
            colon = strchr(colon + 1, ':'))
        name = colon + 1;
    snprintf(path, sizeof(path), "%s/skipped-%.*s", temp_root, end ? (int)(end - name) : 0, name);
    FILE *file = strncmp(line, "ok ", 3) == 0 && end ? fopen(path, "re") : NULL;
    if (file) {
        if (!fgets(reason, sizeof(reason), file))
            reason[0] = '\0';
        fclose(file);
        printf("%s # SKIP %s\n", line, reason);
        return;
    }
    printf("%s\n", line);
}

static int print_results(const char *path)
{
    char line[4096];
    FILE *tap = fopen(path, "re");
    if (!tap)
        return -1;
    while (fgets(line, sizeof(line), tap))
        print_result(line);
    fclose(tap);
    return 0;
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
    char tap_path[128];
    snprintf(tap_path, sizeof(tap_path), "%s/tap", temp_root);
    srunner_set_tap(runner, tap_path);
    srunner_run_all(runner, CK_SILENT);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (print_results(tap_path) < 0)
        n_failed++;
    nftw(temp_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
