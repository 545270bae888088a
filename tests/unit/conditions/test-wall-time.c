/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/wall-time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

START_TEST(reads_what_date_writes)
{
    /* The second opinion: date(1). */
    static const char *const texts[] = {"2026-11-23T10:00:00Z", "2026-11-23T10:00:00+01:00",
            "2026-11-23T10:00:00-05:30", "2024-02-29T23:59:59Z", "1970-01-01T00:00:01Z",
            "2000-03-01 00:00:00Z", "9999-12-31T23:59:59Z", "@1763892000"};
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        char command[128];
        uint64_t seconds;
        uint64_t usec;
        snprintf(command, sizeof(command), "date -u -d '%s' +%%s", texts[i]);
        FILE *date = popen(command, "re");
        ck_assert_ptr_nonnull(date);
        ck_assert_int_eq(fscanf(date, "%" SCNu64, &seconds), 1);
        ck_assert_int_eq(pclose(date), 0);
        ck_assert_msg(wall_time_parse(texts[i], &usec) == 0, "%s", texts[i]);
        ck_assert_uint_eq(usec, seconds * 1000000);
    }
}
END_TEST

START_TEST(reads_fractions)
{
    uint64_t usec;
    ck_assert_int_eq(wall_time_parse("1970-01-01T00:00:00.5Z", &usec), 0);
    ck_assert_uint_eq(usec, 500000);
    ck_assert_int_eq(wall_time_parse("1970-01-01t00:00:00.0000019z", &usec), 0);
    ck_assert_uint_eq(usec, 1);
}
END_TEST

START_TEST(refuses_what_is_no_time)
{
    static const char *const texts[] = {"", "@", "@-1", "@1x", "@1234567890123", "@253402300800",
            "2026", "2026-11-23", "2026-11-23T10:00Z", "2026-11-23T10:00:00",
            "2026-11-23T10:00:00Zx", "2026-11-23T10:00:00.Z", "2026-11-23T24:00:00Z",
            "2026-11-23T10:60:00Z", "2026-11-23T10:00:60Z", "2026-02-29T10:00:00Z",
            "2026-13-01T10:00:00Z", "2026-00-01T10:00:00Z", "2026-11-31T10:00:00Z",
            "2026-11-00T10:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01", "2026-11-23T10:00:00+1:00", "2026-11-23T10:00:00+24:00",
            "2026-11-23X10:00:00Z", " 2026-11-23T10:00:00Z", "+026-11-23T10:00:00Z"};
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        uint64_t usec = 42;
        ck_assert_msg(wall_time_parse(texts[i], &usec) == -EINVAL, "%s", texts[i]);
        ck_assert_uint_eq(usec, 42);
    }
}
END_TEST

START_TEST(shows_what_it_reads)
{
    static const uint64_t times[] = {0, 1, 999999, 1000000, UINT64_C(1763892000123456),
            UINT64_C(4102444800000000), UINT64_C(253402300799999999)};
    for (size_t i = 0; i < ELEMENTS(times); i++) {
        uint64_t usec;
        ck_assert_int_eq(wall_time_parse(wall_time_show(times[i]).text, &usec), 0);
        ck_assert_uint_eq(usec, times[i]);
    }
    ck_assert_str_eq(wall_time_show(UINT64_C(1763892000000000)).text, "2025-11-23T10:00:00Z");
    ck_assert_str_eq(wall_time_show(UINT64_MAX).text, "9999-12-31T23:59:59Z");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("wall-time");
    TCase *tcase = unit_case(suite, "RFC 3339");
    tcase_add_test(tcase, reads_what_date_writes);
    tcase_add_test(tcase, reads_fractions);
    tcase_add_test(tcase, refuses_what_is_no_time);
    tcase_add_test(tcase, shows_what_it_reads);
    return suite;
}
