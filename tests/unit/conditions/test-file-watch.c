/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/file-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define FILE_A "run/locksmith/approved"
#define FILE_B "run/reboot-required"

static char root[256];
static int root_fd = -1;
static sd_event *event;
static FileWatch *watch;
static unsigned n_changes;
static bool frees_itself;

static void on_change(void *userdata)
{
    ck_assert_ptr_eq(userdata, &n_changes);
    n_changes++;
    if (frees_itself)
        file_watch_free(TAKE_PTR(watch));
}

static void set_up(void)
{
    snprintf(root, sizeof(root), "%s", unit_temp_dir());
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
    ck_assert_int_ge(sd_event_new(&event), 0);
    n_changes = 0;
}

static void tear_down(void)
{
    file_watch_free(TAKE_PTR(watch));
    sd_event_unref(event);
    root_fd = safe_close(root_fd);
}

static void begin(void)
{
    static const char *const paths[] = {FILE_A, FILE_B};
    ck_assert_int_eq(file_watch_new(event, root, paths, 2, on_change, &n_changes, &watch), 0);
    ck_assert_uint_eq(n_changes, 0);
}

static void expect_change(void)
{
    unsigned n_before = n_changes;
    while (n_changes == n_before)
        ck_assert_int_gt(sd_event_run(event, 5 * USEC_PER_SEC), 0);
}

/* Whether nothing is told, once a later change is: events come in their order. */
static void expect_silence_until(void (*change)(void))
{
    unsigned n_before = n_changes;
    while (sd_event_run(event, 0) > 0)
        ;
    ck_assert_uint_eq(n_changes, n_before);
    change();
    expect_change();
    ck_assert_uint_eq(n_changes, n_before + 1);
}

static void make(const char *folder)
{
    ck_assert_int_eq(mkdirat(root_fd, folder, 0755), 0);
}

/* As atomic_file_write does, but for the disk. */
static void put(const char *path, const char *text)
{
    char temporary[128];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    _cleanup_close_ int fd =
            openat(root_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(renameat(root_fd, temporary, root_fd, path), 0);
}

static void put_a(void)
{
    put(FILE_A, "x");
}

START_TEST(sees_files_come_change_and_go)
{
    make("run");
    make("run/locksmith");
    begin();
    put(FILE_A, "x");
    expect_change();
    _cleanup_close_ int fd = openat(root_fd, FILE_A, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "y", 1), 1);
    fd = safe_close(fd);
    expect_change();
    put(FILE_B, "");
    expect_change();
    ck_assert_int_eq(unlinkat(root_fd, FILE_A, 0), 0);
    expect_change();
    ck_assert_int_eq(unlinkat(root_fd, FILE_B, 0), 0);
    expect_change();
}
END_TEST

START_TEST(waits_for_folders_that_are_not_there_yet)
{
    begin();
    make("run");
    expect_change();
    make("run/locksmith");
    expect_change();
    put_a();
    expect_change();
}
END_TEST

START_TEST(sees_what_is_made_all_at_once)
{
    begin();
    make("run");
    make("run/locksmith");
    put_a();
    /* However many are told, the last of them comes after the file. */
    expect_change();
    ck_assert_int_eq(unlinkat(root_fd, FILE_A, 0), 0);
    expect_change();
}
END_TEST

START_TEST(follows_a_folder_that_is_replaced)
{
    make("run");
    make("run/locksmith");
    begin();
    ck_assert_int_eq(renameat(root_fd, "run/locksmith", root_fd, "run/old"), 0);
    make("run/locksmith");
    expect_change();
    put_a();
    expect_change();
    /* Above it, too. */
    ck_assert_int_eq(renameat(root_fd, "run", root_fd, "old"), 0);
    make("run");
    make("run/locksmith");
    expect_change();
    put_a();
    expect_change();
}
END_TEST

START_TEST(follows_a_folder_that_is_removed)
{
    make("run");
    make("run/locksmith");
    begin();
    ck_assert_int_eq(unlinkat(root_fd, "run/locksmith", AT_REMOVEDIR), 0);
    expect_change();
    make("run/locksmith");
    expect_change();
    put_a();
    expect_change();
}
END_TEST

START_TEST(follows_a_link_on_the_way)
{
    make("elsewhere");
    make("elsewhere/locksmith");
    ck_assert_int_eq(symlinkat("elsewhere", root_fd, "run"), 0);
    begin();
    put_a();
    expect_change();
}
END_TEST

START_TEST(is_not_woken_by_others)
{
    make("run");
    make("run/locksmith");
    begin();
    put("run/other", "x");
    put("run/locksmith/other", "x");
    make("run/app");
    make("other");
    expect_silence_until(put_a);
}
END_TEST

START_TEST(tells_a_storm_of_changes_in_few_calls)
{
    make("run");
    make("run/locksmith");
    begin();
    put_a();
    expect_change();
    uint64_t start_usec = clock_now_usec(CLOCK_MONOTONIC);
    for (int i = 0; i < 2000; i++) {
        _cleanup_close_ int fd = openat(root_fd, FILE_A, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        ck_assert_int_ge(fd, 0);
        while (sd_event_run(event, 0) > 0)
            ;
    }
    expect_change();
    uint64_t took_usec = clock_now_usec(CLOCK_MONOTONIC) - start_usec;
    ck_assert_uint_le(n_changes, 3 + took_usec / (USEC_PER_SEC / 10));
}
END_TEST

START_TEST(survives_more_events_than_the_queue_holds)
{
    make("run");
    make("run/locksmith");
    begin();
    put("run/locksmith/x", "");
    put("run/locksmith/y", "");
    for (int i = 0; i < 17000; i++) { /* the usual limit is 16384; like ones come together */
        _cleanup_close_ int fd = openat(
                root_fd, i % 2 ? "run/locksmith/x" : "run/locksmith/y", O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
    }
    put_a();
    expect_change();
}
END_TEST

START_TEST(may_be_freed_inside)
{
    make("run");
    make("run/locksmith");
    begin();
    put_a();
    frees_itself = true;
    expect_change();
    put_a();
    ck_assert_int_eq(sd_event_run(event, 0), 0);
    ck_assert_uint_eq(n_changes, 1);
}
END_TEST

START_TEST(refuses_paths_that_will_not_do)
{
    static const char *const paths[] = {"/run/x", "", "run/", "../x", "run/../x", "run//x"};
    for (size_t i = 0; i < ELEMENTS(paths); i++)
        ck_assert_int_eq(
                file_watch_new(event, root, &paths[i], 1, on_change, NULL, &watch), -EINVAL);
    const char *const many[FILE_WATCH_MAX + 1] = {"a"};
    ck_assert_int_eq(file_watch_new(event, root, many, FILE_WATCH_MAX + 1, on_change, NULL, &watch),
            -EINVAL);
    const char *const one[] = {"x/y"};
    ck_assert_int_eq(
            file_watch_new(event, "/no/such/root", one, 1, on_change, NULL, &watch), -ENOENT);
    ck_assert_ptr_null(watch);
}
END_TEST

START_TEST(watches_below_the_real_root)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/new", root + 1);
    const char *const paths[] = {path};
    ck_assert_int_eq(file_watch_new(event, "", paths, 1, on_change, &n_changes, &watch), 0);
    put("new", "");
    expect_change();
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("file-watch");
    TCase *tcase = unit_case(suite, "inotify");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, sees_files_come_change_and_go);
    tcase_add_test(tcase, waits_for_folders_that_are_not_there_yet);
    tcase_add_test(tcase, sees_what_is_made_all_at_once);
    tcase_add_test(tcase, follows_a_folder_that_is_replaced);
    tcase_add_test(tcase, follows_a_folder_that_is_removed);
    tcase_add_test(tcase, follows_a_link_on_the_way);
    tcase_add_test(tcase, is_not_woken_by_others);
    tcase_add_test(tcase, tells_a_storm_of_changes_in_few_calls);
    tcase_add_test(tcase, survives_more_events_than_the_queue_holds);
    tcase_add_test(tcase, may_be_freed_inside);
    tcase_add_test(tcase, refuses_paths_that_will_not_do);
    tcase_add_test(tcase, watches_below_the_real_root);
    return suite;
}
