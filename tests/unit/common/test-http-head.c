/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-head.h"

#include "common/cleanup.h"
#include "tests/unit/unit.h"

START_TEST(a_range_is_read)
{
    HttpHead head = {0};
    ck_assert(http_head_parse_range("bytes 5-9/10", &head));
    ck_assert_uint_eq(head.range_first, 5);
    ck_assert_uint_eq(head.range_last, 9);
    ck_assert_uint_eq(head.range_total, 10);
    ck_assert(http_head_parse_range("Bytes 0-0/*", &head));
    ck_assert_uint_eq(head.range_last, 0);
    ck_assert_uint_eq(head.range_total, 0);
    ck_assert(http_head_parse_range("bytes 0-18446744073709551614/18446744073709551615", &head));
    ck_assert_uint_eq(head.range_total, UINT64_MAX);
}
END_TEST

static const char *const bad_ranges[] = {"", "bytes", "bytes ", "bytes */10", "bytes 5-1/10",
        "bytes 0-10/10", "bytes 0-9/0", "bytes -1-9/10", "bytes 0-9", "bytes 0-9/", "bytes 0-9/10 ",
        "bytes 0-9/*x", "bytes  0-9/10", "lines 0-9/10", "bytes 0x0-9/10",
        "bytes 18446744073709551616-9/10", "bytes 0-99999999999999999999999/*"};

START_TEST(any_other_range_is_refused_and_changes_nothing)
{
    HttpHead head = {.range_first = 77, .range_last = 78, .range_total = 79};
    ck_assert(!http_head_parse_range(bad_ranges[_i], &head));
    ck_assert_uint_eq(head.range_first, 77);
    ck_assert_uint_eq(head.range_last, 78);
    ck_assert_uint_eq(head.range_total, 79);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("http-head");
    TCase *tcase = unit_case(suite, "http-head");
    tcase_add_test(tcase, a_range_is_read);
    tcase_add_loop_test(
            tcase, any_other_range_is_refused_and_changes_nothing, 0, ELEMENTS(bad_ranges));
    return suite;
}
