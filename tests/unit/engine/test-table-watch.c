/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/table-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define PAUSE_USEC (20 * USEC_PER_SEC / 1000)

static char disk[300], other[300];
static sd_event *event;
static TableWatch *watch;
static unsigned n_told;
static bool frees_itself;

static void on_settled(void *userdata)
{
    ck_assert_ptr_eq(userdata, &n_told);
    n_told++;
    if (frees_itself)
        table_watch_free(TAKE_PTR(watch));
}

static void close_after(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void set_up(void)
{
    const char *folder = unit_temp_dir();
    snprintf(disk, sizeof(disk), "%s/disk.img", folder);
    snprintf(other, sizeof(other), "%s/other.img", folder);
    close_after(disk, O_WRONLY | O_CREAT);
    close_after(other, O_WRONLY | O_CREAT);
    n_told = 0;
    frees_itself = false;
    ck_assert_int_ge(sd_event_new(&event), 0);
    ck_assert_int_eq(table_watch_new(event, PAUSE_USEC, on_settled, &n_told, &watch), 0);
}

static void tear_down(void)
{
    table_watch_free(TAKE_PTR(watch));
    event = sd_event_unref(event);
}

static void expect_told(void)
{
    unsigned n_before = n_told;
    while (n_told == n_before)
        ck_assert_int_gt(sd_event_run(event, 5 * USEC_PER_SEC), 0);
    ck_assert_uint_eq(n_told, n_before + 1);
}

static void on_witness(void *userdata)
{
    *(bool *)userdata = true;
}

/* Nothing is told before another watch, which was woken later, tells. */
static void expect_silence(void)
{
    unsigned n_before = n_told;
    bool has_witness = false;
    _cleanup_(table_watch_freep) TableWatch *witness = NULL;
    while (sd_event_run(event, 0) > 0)
        ;
    ck_assert_int_eq(table_watch_new(event, 2 * PAUSE_USEC, on_witness, &has_witness, &witness), 0);
    table_watch_wake(witness);
    while (!has_witness)
        ck_assert_int_gt(sd_event_run(event, 5 * USEC_PER_SEC), 0);
    ck_assert_uint_eq(n_told, n_before);
}

START_TEST(a_writer_is_told_once_it_has_closed)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    close_after(disk, O_WRONLY);
    ck_assert_uint_eq(n_told, 0);
    expect_told();
    close_after(disk, O_RDWR);
    expect_told();
    expect_silence();
}
END_TEST

START_TEST(readers_and_open_files_are_not)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    close_after(disk, O_RDONLY);
    expect_silence();
    int fd = open(disk, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    expect_silence();
    close(fd);
    expect_told();
}
END_TEST

START_TEST(many_together_are_one)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    for (size_t i = 0; i < 10; i++) {
        close_after(disk, O_WRONLY);
        table_watch_wake(watch);
    }
    expect_told();
    expect_silence();
}
END_TEST

START_TEST(a_writer_without_an_end_is_told)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    uint64_t begin_usec = clock_now_usec(CLOCK_MONOTONIC);
    while (n_told == 0) {
        close_after(disk, O_WRONLY);
        sd_event_run(event, 0);
    }
    ck_assert_uint_ge(clock_now_usec(CLOCK_MONOTONIC) - begin_usec, 5 * PAUSE_USEC - 2000);
}
END_TEST

START_TEST(only_the_path_that_is_followed_counts)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    close_after(other, O_WRONLY);
    expect_silence();
    ck_assert_int_eq(table_watch_follow(watch, other), 0);
    close_after(disk, O_WRONLY);
    expect_silence();
    close_after(other, O_WRONLY);
    expect_told();
}
END_TEST

START_TEST(a_node_that_is_replaced_is_told_and_followed)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    ck_assert_int_eq(rename(other, disk), 0);
    expect_told();
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    close_after(disk, O_WRONLY);
    expect_told();
    ck_assert_int_eq(unlink(disk), 0);
    expect_told();
}
END_TEST

START_TEST(what_cannot_be_watched_can_be_woken)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    ck_assert_int_eq(table_watch_follow(watch, "/nonexistent"), -ENOENT);
    close_after(disk, O_WRONLY);
    expect_silence();
    table_watch_wake(watch);
    expect_told();
}
END_TEST

START_TEST(the_watch_may_be_freed_when_it_tells)
{
    ck_assert_int_eq(table_watch_follow(watch, disk), 0);
    frees_itself = true;
    close_after(disk, O_WRONLY);
    expect_told();
    ck_assert_ptr_null(watch);
    expect_silence();
    table_watch_free(NULL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("table-watch");
    TCase *tcase = unit_case(suite, "table-watch");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_writer_is_told_once_it_has_closed);
    tcase_add_test(tcase, readers_and_open_files_are_not);
    tcase_add_test(tcase, many_together_are_one);
    tcase_add_test(tcase, a_writer_without_an_end_is_told);
    tcase_add_test(tcase, only_the_path_that_is_followed_counts);
    tcase_add_test(tcase, a_node_that_is_replaced_is_told_and_followed);
    tcase_add_test(tcase, what_cannot_be_watched_can_be_woken);
    tcase_add_test(tcase, the_watch_may_be_freed_when_it_tells);
    return suite;
}
