/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/time-zone.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

extern char **environ;

static void enter(const char *name, TimeZone *zone)
{
    ErrorText error = {""};
    int r = time_zone_find(name, zone, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    time_zone_enter(zone);
}

START_TEST(the_wall_shows_the_zones_time)
{
    TimeZone zone;
    enter("Europe/Berlin", &zone);
    ck_assert_int_eq(time_zone_wall_sec(1774745999), 1774745999 + 3600); /* 2026-03-29 1:59:59 */
    ck_assert_int_eq(time_zone_wall_sec(1774746000), 1774746000 + 7200);
    time_zone_leave();
    enter("UTC", &zone);
    ck_assert_int_eq(time_zone_wall_sec(1774746000), 1774746000);
    time_zone_leave();
    enter("Australia/Lord_Howe", &zone);
    ck_assert_int_eq(time_zone_wall_sec(1774746000), 1774746000 + 11 * 3600);
    ck_assert_int_eq(time_zone_wall_sec(1775329200 - 1800), 1775329200 - 1800 + 37800);
    time_zone_leave();
}
END_TEST

/* The definition, a second at a time, over the changes of three zones. */
START_TEST(a_wall_time_is_found_where_it_is_first_reached)
{
    static const struct {
        const char *zone;
        int64_t change_sec;
    } changes[] = {
            {"Europe/Berlin", 1774746000},       /* 2026-03-29 1:00 UTC */
            {"Europe/Berlin", 1792890000},       /* 2026-10-25 1:00 UTC */
            {"America/New_York", 1772953200},    /* 2026-03-08 7:00 UTC */
            {"America/New_York", 1793512800},    /* 2026-11-01 6:00 UTC */
            {"Australia/Lord_Howe", 1775314800}, /* 2026-04-04 15:00 UTC */
            {"Australia/Lord_Howe", 1791041400}, /* 2026-10-03 15:30 UTC */
            {"Pacific/Apia", 1325239200},        /* 2011-12-30 10:00 UTC: a day is left out */
            {"UTC", 0},
    };
    for (size_t i = 0; i < ELEMENTS(changes); i++) {
        TimeZone zone;
        enter(changes[i].zone, &zone);
        int64_t at = changes[i].change_sec - 7200;
        int64_t highest_wall = time_zone_wall_sec(at);
        for (; at < changes[i].change_sec + 7200; at++) {
            int64_t wall = time_zone_wall_sec(at);
            for (int64_t left_out = highest_wall; left_out < wall; left_out += 59)
                ck_assert_int_eq(time_zone_find_wall(left_out), at);
            if (wall >= highest_wall)
                ck_assert_int_eq(time_zone_find_wall(wall), at);
            highest_wall = MAX(highest_wall, wall + 1);
        }
        time_zone_leave();
    }
}
END_TEST

START_TEST(the_systems_zone_is_that_of_the_start)
{
    ck_assert_int_eq(setenv("TZ", "XYZ-5:30", 1), 0);
    static const char *const names[] = {"", "localtime"};
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        TimeZone zone;
        enter(names[i], &zone);
        ck_assert_int_eq(time_zone_wall_sec(0), 5 * 3600 + 1800);
        time_zone_leave();
    }
}
END_TEST

START_TEST(without_tz_the_systems_zone_is_a_file)
{
    ck_assert_int_eq(unsetenv("TZ"), 0);
    TimeZone zone;
    ck_assert_int_eq(time_zone_find("", &zone, NULL), 0);
    ck_assert_str_eq(zone.tz, ":/etc/localtime");
}
END_TEST

/* What runs beside and shows a time must not see another zone after it was left. */
START_TEST(leaving_brings_the_old_zone_back)
{
    ck_assert_int_eq(setenv("TZ", "ABC3", 1), 0);
    TimeZone zone;
    enter("Europe/Berlin", &zone);
    time_zone_leave();
    time_t now = 1774746000;
    struct tm wall;
    ck_assert_int_eq(localtime_r(&now, &wall)->tm_gmtoff, -3 * 3600);
    ck_assert_str_eq(getenv("TZ"), "ABC3");
}
END_TEST

/* A thread that reads the environment meanwhile must not see its array move. */
START_TEST(the_environment_is_changed_in_place_after_the_first_use)
{
    TimeZone berlin;
    ck_assert_int_eq(time_zone_find("Europe/Berlin", &berlin, NULL), 0);
    char **array = environ;
    char *tz = getenv("TZ");
    for (int i = 0; i < 3; i++) {
        TimeZone zone;
        enter(i % 2 ? "UTC" : "America/New_York", &zone);
        ck_assert_ptr_eq(environ, array);
        ck_assert_ptr_eq(getenv("TZ"), tz);
        time_zone_leave();
    }
    ck_assert_ptr_eq(environ, array);
    ck_assert_ptr_eq(getenv("TZ"), tz);
}
END_TEST

START_TEST(what_is_no_zone_is_refused)
{
    static const char *const names[] = {"Nowhere", "Europe", "../zoneinfo/UTC", "Europe/../UTC",
            "/usr/share/zoneinfo/UTC", "zone.tab", "tzdata.zi", "right/UTC", "Europe/Berlin/", " ",
            "Europe//Berlin\n", "EST5EDT,M3.2.0,M11.1.0", ":UTC", "utc0",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        TimeZone zone = {.tz = "untouched"};
        ErrorText error = {""};
        ck_assert_msg(time_zone_find(names[i], &zone, &error) == -EINVAL, "%s", names[i]);
        ck_assert_str_eq(zone.tz, "untouched");
        ck_assert_msg(strstr(error.line, "such as Europe/Berlin") != NULL, "%s", error.line);
        ck_assert_ptr_null(strstr(error.line, "tzdata installed"));
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("time-zone");
    TCase *tcase = unit_case(suite, "time-zone");
    tcase_add_test(tcase, the_wall_shows_the_zones_time);
    tcase_add_test(tcase, a_wall_time_is_found_where_it_is_first_reached);
    tcase_add_test(tcase, the_systems_zone_is_that_of_the_start);
    tcase_add_test(tcase, without_tz_the_systems_zone_is_a_file);
    tcase_add_test(tcase, leaving_brings_the_old_zone_back);
    tcase_add_test(tcase, the_environment_is_changed_in_place_after_the_first_use);
    tcase_add_test(tcase, what_is_no_zone_is_refused);
    return suite;
}
