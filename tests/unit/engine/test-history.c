/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

static int open_folder(void)
{
    int fd = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static HistoryEntry make_entry(const char *version)
{
    return (HistoryEntry){.time_usec = 1800000000000000,
            .what = "update",
            .result = "failed",
            .version = version,
            .previous = "1.0",
            .slot = "USR-B",
            .code = 9,
            .way = "adaptive",
            .n_fetched_bytes = 22,
            .n_whole_bytes = 350,
            .n_requests = 41,
            .text = "a line with \"quotes\" and\nanother"};
}

START_TEST(entries_come_back_in_their_order)
{
    _cleanup_close_ int folder = open_folder();
    HistoryEntry one = make_entry("2.0"), two = make_entry("3.0");
    ck_assert_int_eq(history_add(folder, &one), 0);
    ck_assert_int_eq(history_add(folder, &two), 0);
    _cleanup_(history_freep) History *history = NULL;
    ck_assert_int_eq(history_load(folder, &history), 0);
    size_t n;
    const HistoryEntry *entries = history_entries(history, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(entries[0].time_usec, one.time_usec);
    ck_assert_str_eq(entries[0].what, "update");
    ck_assert_str_eq(entries[0].result, "failed");
    ck_assert_str_eq(entries[0].version, "2.0");
    ck_assert_str_eq(entries[0].previous, "1.0");
    ck_assert_str_eq(entries[0].slot, "USR-B");
    ck_assert_uint_eq(entries[0].code, 9);
    ck_assert_str_eq(entries[0].text, one.text);
    ck_assert_str_eq(entries[0].way, "adaptive");
    ck_assert_uint_eq(entries[0].n_fetched_bytes, 22);
    ck_assert_uint_eq(entries[0].n_whole_bytes, 350);
    ck_assert_uint_eq(entries[0].n_requests, 41);
    ck_assert_str_eq(entries[1].version, "3.0");
}
END_TEST

START_TEST(no_file_is_an_empty_history)
{
    _cleanup_close_ int folder = open_folder();
    _cleanup_(history_freep) History *history = NULL;
    ck_assert_int_eq(history_load(folder, &history), 0);
    size_t n;
    history_entries(history, &n);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(the_older_half_goes_when_it_grows)
{
    _cleanup_close_ int folder = open_folder();
    char version[16], text[500];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 200; i++) {
        snprintf(version, sizeof(version), "%d", i);
        HistoryEntry entry = make_entry(version);
        entry.text = text;
        ck_assert_int_eq(history_add(folder, &entry), 0);
        struct stat st;
        ck_assert_int_eq(fstatat(folder, HISTORY_FILE, &st, 0), 0);
        ck_assert_int_le(st.st_size, HISTORY_MAX_BYTES);
    }
    _cleanup_(history_freep) History *history = NULL;
    ck_assert_int_eq(history_load(folder, &history), 0);
    size_t n;
    const HistoryEntry *entries = history_entries(history, &n);
    ck_assert_uint_gt(n, 40);
    ck_assert_str_eq(entries[n - 1].version, "199");
    snprintf(version, sizeof(version), "%zu", 200 - n);
    ck_assert_str_eq(entries[0].version, version);
}
END_TEST

START_TEST(damaged_lines_are_passed_over)
{
    _cleanup_close_ int folder = open_folder();
    static const char text[] = "\n[]\nnonsense\n{\"what\":3,\"time_usec\":-1,\"code\":-1}\n"
                               "{\"version\":\"7\"}\n{\"version\":\"cut";
    ck_assert_int_eq(atomic_file_write(folder, HISTORY_FILE, text, sizeof(text) - 1, 0644), 0);
    HistoryEntry entry = make_entry("8");
    ck_assert_int_eq(history_add(folder, &entry), 0);
    _cleanup_(history_freep) History *history = NULL;
    ck_assert_int_eq(history_load(folder, &history), 0);
    size_t n;
    const HistoryEntry *entries = history_entries(history, &n);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(entries[0].what, "");
    ck_assert_uint_eq(entries[0].time_usec, 0);
    ck_assert_str_eq(entries[1].version, "7");
    ck_assert_str_eq(entries[2].version, "8");
}
END_TEST

START_TEST(a_folder_in_its_place_is_an_error)
{
    _cleanup_close_ int folder = open_folder();
    ck_assert_int_eq(mkdirat(folder, HISTORY_FILE, 0700), 0);
    HistoryEntry entry = make_entry("8");
    ck_assert_int_eq(history_add(folder, &entry), -EISDIR);
    History *history = NULL;
    ck_assert_int_eq(history_load(folder, &history), -EISDIR);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = unit_case(suite, "history");
    tcase_add_test(tcase, entries_come_back_in_their_order);
    tcase_add_test(tcase, no_file_is_an_empty_history);
    tcase_add_test(tcase, the_older_half_goes_when_it_grows);
    tcase_add_test(tcase, damaged_lines_are_passed_over);
    tcase_add_test(tcase, a_folder_in_its_place_is_an_error);
    return suite;
}
