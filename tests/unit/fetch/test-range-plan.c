/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/range-plan.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"
#include "updater/fetch/link-meter.h"

static RangeSlice slice;

static void assert_slice(const char *expected)
{
    char line[RANGE_SLICE_HEADER_BYTES];
    range_slice_header(&slice, line);
    ck_assert_str_eq(line, expected);
}

START_TEST(valid_ranges)
{
    const FetchRange good[] = {{0, 1}, {1, 5}, {7, UINT64_MAX - 1}};
    const FetchRange open[] = {{5, FETCH_END_OF_FILE}};
    ck_assert(range_plan_is_valid(good, 3));
    ck_assert(range_plan_is_valid(open, 1));
}
END_TEST

START_TEST(invalid_ranges)
{
    const FetchRange empty[] = {{3, 3}}, turned[] = {{3, 2}}, overlapping[] = {{0, 5}, {4, 6}},
                     descending[] = {{5, 6}, {0, 1}}, open[] = {{0, 5}, {6, FETCH_END_OF_FILE}};
    ck_assert(!range_plan_is_valid(empty, 0));
    ck_assert(!range_plan_is_valid(empty, 1));
    ck_assert(!range_plan_is_valid(turned, 1));
    ck_assert(!range_plan_is_valid(overlapping, 2));
    ck_assert(!range_plan_is_valid(descending, 2));
    ck_assert(!range_plan_is_valid(open, 2));
}
END_TEST

START_TEST(find)
{
    const FetchRange ranges[] = {{10, 20}, {20, 30}, {50, 60}};
    ck_assert_uint_eq(range_plan_find(ranges, 3, 0), 0);
    ck_assert_uint_eq(range_plan_find(ranges, 3, 19), 0);
    ck_assert_uint_eq(range_plan_find(ranges, 3, 20), 1);
    ck_assert_uint_eq(range_plan_find(ranges, 3, 30), 2);
    ck_assert_uint_eq(range_plan_find(ranges, 3, 59), 2);
    ck_assert_uint_eq(range_plan_find(ranges, 3, 60), 3);
}
END_TEST

START_TEST(gaps)
{
    const FetchRange ranges[] = {{0, 10}, {10, 20}, {25, 30}, {36, 40}};
    range_plan_next(ranges, 4, 0, 0, 128, &slice);
    assert_slice("Range: bytes=0-19,25-29,36-39");
    range_plan_next(ranges, 4, 0, 5, 128, &slice);
    assert_slice("Range: bytes=0-29,36-39");
    range_plan_next(ranges, 4, 0, UINT64_MAX, 1, &slice);
    assert_slice("Range: bytes=0-39");
    ck_assert_uint_eq(range_slice_n_bytes(&slice), 40);
}
END_TEST

START_TEST(begins_anywhere)
{
    const FetchRange ranges[] = {{0, 10}, {20, 30}};
    range_plan_next(ranges, 2, 4, 0, 128, &slice);
    assert_slice("Range: bytes=4-9,20-29");
    range_plan_next(ranges, 2, 10, 0, 128, &slice);
    assert_slice("Range: bytes=20-29");
    range_plan_next(ranges, 2, 29, 0, 1, &slice);
    assert_slice("Range: bytes=29-29");
    const FetchRange open = {7, FETCH_END_OF_FILE};
    range_plan_next(&open, 1, 8, 0, 1, &slice);
    assert_slice("Range: bytes=8-");
}
END_TEST

START_TEST(bounds)
{
    static FetchRange ranges[300];
    for (size_t i = 0; i < ELEMENTS(ranges); i++)
        ranges[i] = (FetchRange){i * 1000, i * 1000 + 10};
    range_plan_next(ranges, ELEMENTS(ranges), 0, 0, RANGE_SLICE_RANGES_MAX, &slice);
    ck_assert_uint_eq(slice.n_ranges, RANGE_SLICE_RANGES_MAX);
    ck_assert_uint_eq(range_slice_end(&slice), 127 * 1000 + 10);
    range_plan_next(ranges, ELEMENTS(ranges), 0, 0, 1, &slice);
    assert_slice("Range: bytes=0-9");

    /* With numbers of 20 digits the header is the bound. */
    for (size_t i = 0; i < ELEMENTS(ranges); i++)
        ranges[i] =
                (FetchRange){UINT64_MAX - 1000000 + i * 100, UINT64_MAX - 1000000 + i * 100 + 9};
    range_plan_next(ranges, ELEMENTS(ranges), 0, 0, RANGE_SLICE_RANGES_MAX, &slice);
    ck_assert_uint_gt(slice.n_ranges, 90);
    ck_assert_uint_lt(slice.n_ranges, RANGE_SLICE_RANGES_MAX);
    char line[RANGE_SLICE_HEADER_BYTES];
    range_slice_header(&slice, line);
    ck_assert_uint_gt(strlen(line), RANGE_SLICE_HEADER_BYTES - 100);
    char last[64];
    snprintf(last, sizeof(last), "-%llu", (unsigned long long)range_slice_end(&slice) - 1);
    ck_assert_str_eq(line + strlen(line) - strlen(last), last);
}
END_TEST

START_TEST(covered)
{
    const FetchRange ranges[] = {{0, 10}, {20, 30}, {40, 50}};
    range_plan_next(ranges, 3, 0, 0, 128, &slice);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 0, 0, 10), 1);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 0, 0, 50), 3);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 1, 20, 50), 2);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 0, 20, 30), 0); /* not its turn */
    ck_assert_uint_eq(range_slice_n_covered(&slice, 1, 19, 30), 0);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 1, 20, 29), 0);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 1, 20, 10), 0);
    ck_assert_uint_eq(range_slice_n_covered(&slice, 3, 0, 10), 0);
}
END_TEST

START_TEST(gap_follows_the_link)
{
    LinkMeter meter = {0};
    uint64_t unknown = link_meter_gap_bytes(&meter, 1);
    ck_assert_uint_ge(unknown, LINK_METER_GAP_MIN_BYTES);
    ck_assert_uint_le(unknown, LINK_METER_GAP_MAX_BYTES);
    /* 10 ms at 5 MB/s */
    link_meter_add_latency(&meter, 10000);
    link_meter_add_bytes(&meter, 200000, 40000);
    ck_assert_uint_eq(link_meter_gap_bytes(&meter, 1), 50000);
    ck_assert_uint_eq(link_meter_gap_bytes(&meter, 4), 12500);
    /* One slow answer says little. */
    link_meter_add_latency(&meter, 26000);
    ck_assert_uint_eq(link_meter_gap_bytes(&meter, 1), 55000);
    link_meter_add_latency(&meter, UINT64_MAX);
    link_meter_add_bytes(&meter, UINT64_MAX, 0);
    ck_assert_uint_eq(link_meter_gap_bytes(&meter, 1), LINK_METER_GAP_MAX_BYTES);
    meter = (LinkMeter){.latency_usec = 1, .bytes_per_sec = 1};
    ck_assert_uint_eq(link_meter_gap_bytes(&meter, 1), LINK_METER_GAP_MIN_BYTES);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("range-plan");
    TCase *tcase = unit_case(suite, "range-plan");
    tcase_add_test(tcase, valid_ranges);
    tcase_add_test(tcase, invalid_ranges);
    tcase_add_test(tcase, find);
    tcase_add_test(tcase, gaps);
    tcase_add_test(tcase, begins_anywhere);
    tcase_add_test(tcase, bounds);
    tcase_add_test(tcase, covered);
    tcase_add_test(tcase, gap_follows_the_link);
    return suite;
}
