/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/when.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

/* date(1) gives the second opinion. Now is Mon 2026-11-23 09:35:11 UTC, 10:35:11 in Berlin. */
#define NOW_SEC UINT64_C(1795426511)

static void set_zone(const char *zone)
{
    ck_assert_int_eq(setenv("TZ", zone, 1), 0);
    tzset();
}

static const struct {
    const char *zone;
    const char *text;
    uint64_t sec;
} good[] = {
        {"UTC", "2026-11-24", 1795478400},
        {"UTC", "2026-11-24 03:00", 1795489200},
        {"UTC", "2026-11-24T03:00:30", 1795489230},
        {"UTC", "2026-11-24T03:00:00Z", 1795489200},
        {"Europe/Berlin", "2026-11-24T03:00Z", 1795489200},
        {"Europe/Berlin", "2026-11-24 03:00", 1795485600},
        {"UTC", "2026-11-24T03:00:00+01:00", 1795485600},
        {"UTC", "2026-11-24 03:00-0530", 1795509000},
        {"UTC", "10:00", 1795428000},
        {"UTC", "09:35:12", 1795426512},
        {"UTC", "09:35", 1795512900}, /* has passed: tomorrow */
        {"UTC", "3:00", 1795489200},
        {"Europe/Berlin", "03:00", 1795485600},
        {"UTC", "@1795489200", 1795489200},
        {"UTC", "2028-02-29", 1835395200},
        {"UTC", "2028-02-29 00:00Z", 1835395200},
};

START_TEST(times_are_read)
{
    set_zone(good[_i].zone);
    uint64_t usec = 0;
    ErrorText error = {};
    ck_assert_msg(when_parse(good[_i].text, NOW_SEC * USEC_PER_SEC, &usec, &error) == 0, "%s",
            error.line);
    ck_assert_uint_eq(usec, good[_i].sec * USEC_PER_SEC);
    char text[64];
    snprintf(text, sizeof(text), "until %s", good[_i].text);
    ck_assert_int_eq(when_parse_end(text, NOW_SEC * USEC_PER_SEC, &usec, &error), 0);
    ck_assert_uint_eq(usec, good[_i].sec * USEC_PER_SEC);
}
END_TEST

START_TEST(the_second_opinion_is_the_same)
{
    for (size_t i = 0; i < ELEMENTS(good); i++) {
        if (!strchr(good[i].text, '-') || good[i].text[0] == '@')
            continue;
        char command[128];
        snprintf(command, sizeof(command), "TZ=%s date -d '%s' +%%s", good[i].zone, good[i].text);
        FILE *date = popen(command, "r");
        unsigned long long sec = 0;
        ck_assert_int_eq(fscanf(date, "%llu", &sec), 1);
        ck_assert_int_eq(pclose(date), 0);
        ck_assert_msg(sec == good[i].sec, "%s: %llu", command, sec);
    }
}
END_TEST

/* 02:30 is left out on 2026-03-29 in Berlin: the next clock that shows it is tomorrow's. */
START_TEST(a_clock_time_that_a_day_leaves_out_is_the_next_day)
{
    set_zone("Europe/Berlin");
    uint64_t usec, now_sec = 1774740000; /* Sun 2026-03-29 00:20 CET */
    ck_assert_int_eq(when_parse("02:30", now_sec * USEC_PER_SEC, &usec, NULL), 0);
    ck_assert_uint_eq(usec, UINT64_C(1774830600) * USEC_PER_SEC);
}
END_TEST

static const char *const bad[] = {"", "soon", "25:00", "12:60", "2026-11-31", "2026-02-29",
        "2026-11-24 03:00 CET", "2026-11-24T03:00+1", "2026-11-24 03:00+25:00", "03:00Z",
        "2026-11-23", "2026-11-23 09:35:11", "@1795426511", "@", "@-1", "@x", "@1e12",
        "@99999999999999", "1969-12-31", "2026-11-24junk", "4"};

START_TEST(what_is_no_time_to_come_is_refused)
{
    set_zone("UTC");
    uint64_t usec;
    ErrorText error = {};
    ck_assert_int_eq(when_parse(bad[_i], NOW_SEC * USEC_PER_SEC, &usec, &error), -EINVAL);
    ck_assert_msg(error.line[0] != '\0', "%s", bad[_i]);
    error = (ErrorText){};
    ck_assert_int_lt(when_parse_end(bad[_i], NOW_SEC * USEC_PER_SEC, &usec, &error), 0);
    ck_assert_msg(error.line[0] != '\0', "%s", bad[_i]);
}
END_TEST

START_TEST(ends_are_durations_or_times)
{
    set_zone("UTC");
    uint64_t usec, now_usec = NOW_SEC * USEC_PER_SEC;
    ErrorText error = {};
    ck_assert_int_eq(when_parse_end("4h", now_usec, &usec, &error), 0);
    ck_assert_uint_eq(usec, now_usec + 4 * USEC_PER_HOUR);
    ck_assert_int_eq(when_parse_end("2d12h", now_usec, &usec, &error), 0);
    ck_assert_uint_eq(usec, now_usec + 60 * USEC_PER_HOUR);
    ck_assert_int_eq(when_parse_end("10:00", now_usec, &usec, &error), 0);
    ck_assert_uint_eq(usec, UINT64_C(1795428000) * USEC_PER_SEC);
    ck_assert_int_eq(when_parse_end("0", now_usec, &usec, &error), -EINVAL);
    ck_assert_int_eq(when_parse_end("400d", now_usec, &usec, &error), -ERANGE);
    ck_assert_int_eq(when_parse_end("until 4h", now_usec, &usec, &error), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("when");
    TCase *tests = unit_case(suite, "all");
    tcase_add_loop_test(tests, times_are_read, 0, ELEMENTS(good));
    tcase_add_test(tests, the_second_opinion_is_the_same);
    tcase_add_test(tests, a_clock_time_that_a_day_leaves_out_is_the_next_day);
    tcase_add_loop_test(tests, what_is_no_time_to_come_is_refused, 0, ELEMENTS(bad));
    tcase_add_test(tests, ends_are_durations_or_times);
    return suite;
}
