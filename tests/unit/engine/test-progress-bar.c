/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/progress-bar.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define SEC UINT64_C(1000000)
#define MB UINT64_C(1000000)

static const struct {
    ProgressView view;
    size_t n_columns;
    const char *expected;
} lines[] = {
        {{"downloading", "2.0", 120 * MB, 280 * MB, 35 * MB, false}, 90,
                "downloading 2.0 [=========>               ]   42 %  120 MB of 280 MB  35.0 MB/s"
                "  0:05 left"},
        {{"downloading", "2.0", 120 * MB, 280 * MB, 35 * MB, false}, 60,
                "downloading 2.0   42 %  120 MB of 280 MB  35.0 MB/s"},
        {{"downloading", "2.0", 120 * MB, 280 * MB, 35 * MB, false}, 30, "downloading 2.0   42 %"},
        {{"downloading", "2.0", 120 * MB, 280 * MB, 35 * MB, false}, 16, "downloading 2.0"},
        {{"downloading", "2.0", 120 * MB, 280 * MB, 35 * MB, false}, 10, ""},
        {{"downloading", "2.0", 120 * MB, 280 * MB, 35 * MB, false}, 0, ""},
        {{"starting", "", 0, 0, 0, false}, 80, "starting"},
        {{"starting", "", 700, 0, 0, false}, 80, "starting  700 B"},
        {{"verifying", "2.0", 280 * MB, 280 * MB, 0, false}, 60,
                "verifying 2.0 [===================]  100 %  280 MB of 280 MB"},
        /* Numbers that do not fit together are the daemon's, not a reason to fall over. */
        {{"verifying", "2.0", 281 * MB, 280 * MB, 1, false}, 46,
                "verifying 2.0  100 %  280 MB of 280 MB  1 B/s"},
        {{"downloading", "", 0, UINT64_MAX, 1, false}, 75,
                "downloading [                 ]    0 %  0 B of 18.4 EB  1 B/s  99:59 h left"},
};

START_TEST(a_line_fits_its_width)
{
    char text[256];
    ProgressView view = lines[_i].view;
    view.has_bar = true;
    progress_bar_render(&view, lines[_i].n_columns, text, sizeof(text));
    ck_assert_uint_le(strlen(text), lines[_i].n_columns);
    ck_assert_str_eq(text, lines[_i].expected);
}
END_TEST

START_TEST(every_width_holds)
{
    ProgressView view = {"downloading", "2.0.0+build.17", 77 * MB, 280 * MB, 35 * MB, true};
    char text[256], small[20];
    for (size_t n = 0; n < 200; n++) {
        progress_bar_render(&view, n, text, sizeof(text));
        ck_assert_uint_le(strlen(text), n);
        progress_bar_render(&view, n, small, sizeof(small));
        ck_assert_uint_lt(strlen(small), sizeof(small));
    }
}
END_TEST

START_TEST(a_line_may_do_without_a_bar)
{
    ProgressView view = {"downloading", "2.0", 120 * MB, 280 * MB, 0, false};
    char text[256];
    progress_bar_render(&view, 100, text, sizeof(text));
    ck_assert_str_eq(text, "downloading 2.0   42 %  120 MB of 280 MB");
}
END_TEST

START_TEST(rate_is_of_the_last_seconds)
{
    ProgressRate rate = {};
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 0);
    progress_rate_add(&rate, 100 * MB, 280 * MB, 5 * SEC);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 0);
    progress_rate_add(&rate, 101 * MB, 280 * MB, 5 * SEC + SEC / 10);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 0);
    /* What a resumed download had done before does not count. */
    progress_rate_add(&rate, 110 * MB, 280 * MB, 6 * SEC);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 10 * MB);
    for (unsigned i = 1; i <= 20; i++)
        progress_rate_add(&rate, 110 * MB + i * MB, 280 * MB, (6 + i) * SEC);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), MB);
}
END_TEST

START_TEST(rate_begins_anew_with_another_phase)
{
    ProgressRate rate = {};
    progress_rate_add(&rate, 0, 280 * MB, SEC);
    progress_rate_add(&rate, 10 * MB, 280 * MB, 2 * SEC);
    progress_rate_add(&rate, 0, 1000 * MB, 3 * SEC);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 0);
    progress_rate_add(&rate, 300 * MB, 1000 * MB, 4 * SEC);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 300 * MB);
    progress_rate_add(&rate, 100 * MB, 1000 * MB, 5 * SEC);
    ck_assert_uint_eq(progress_rate_bytes_per_second(&rate), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("progress-bar");
    TCase *tcase = unit_case(suite, "progress-bar");
    tcase_add_loop_test(tcase, a_line_fits_its_width, 0, (int)ELEMENTS(lines));
    tcase_add_test(tcase, every_width_holds);
    tcase_add_test(tcase, a_line_may_do_without_a_bar);
    tcase_add_test(tcase, rate_is_of_the_last_seconds);
    tcase_add_test(tcase, rate_begins_anew_with_another_phase);
    return suite;
}
