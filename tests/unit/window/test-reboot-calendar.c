/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/reboot-calendar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

/* "2026-03-29 03:00 +0200" in microseconds: the offset is said, so no zone is asked. */
static uint64_t at(const char *text)
{
    struct tm tm;
    memset(&tm, 0, sizeof(tm));
    char sign;
    int hours;
    int minutes;
    int n = sscanf(text, "%d-%d-%d %d:%d %c%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
            &tm.tm_hour, &tm.tm_min, &sign, &hours, &minutes);
    ck_assert_msg(n == 8 && (sign == '+' || sign == '-'), "%s", text);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int offset_sec = (hours * 60 + minutes) * 60;
    return (uint64_t)(timegm(&tm) - (sign == '+' ? offset_sec : -offset_sec)) * USEC_PER_SEC;
}

static RebootCalendar *make(const RebootCalendarOptions *options)
{
    RebootCalendar *calendar = NULL;
    ErrorText error = {""};
    int r = reboot_calendar_new(options, &calendar, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    return calendar;
}

static void check(const RebootWindow *window, bool is_open, const char *start, const char *end,
        const char *what)
{
    ck_assert_msg(!window->is_always_open, "%s", what);
    ck_assert_msg(window->is_open == is_open, "%s is %s", what, is_open ? "closed" : "open");
    ck_assert_msg(window->start_usec == at(start), "%s: start is %ju s, not %s", what,
            (uintmax_t)(window->start_usec / USEC_PER_SEC), start);
    ck_assert_msg(window->end_usec == at(end), "%s: end is %ju s, not %s", what,
            (uintmax_t)(window->end_usec / USEC_PER_SEC), end);
}

/* Europe/Berlin 2026: 03-29 2:00 -> 3:00, 10-25 3:00 -> 2:00. America/New_York 2026: 03-08 2:00 ->
 * 3:00, 11-01 2:00 -> 1:00. Australia/Lord_Howe 2026 (by half an hour): 04-05 2:00 -> 1:30, 10-04
 * 2:00 -> 2:30. second-opinion.py asks Python about more windows around such changes. */
static const struct {
    const char *windows;
    const char *zone;
    const char *now;
    bool is_open;
    const char *start;
    const char *end;
} table[] = {
        /* plain days */
        {"4:00-5:00", "UTC", "2026-01-01 00:00 +0000", false, "2026-01-01 04:00 +0000",
                "2026-01-01 05:00 +0000"},
        {"4:00-5:00", "UTC", "2026-01-01 04:00 +0000", true, "2026-01-01 04:00 +0000",
                "2026-01-01 05:00 +0000"},
        {"4:00-5:00", "UTC", "2026-01-01 05:00 +0000", false, "2026-01-02 04:00 +0000",
                "2026-01-02 05:00 +0000"},
        {"22:00-4:00", "UTC", "2026-01-01 03:59 +0000", true, "2025-12-31 22:00 +0000",
                "2026-01-01 04:00 +0000"},
        {"22:00-24:00", "UTC", "2026-02-28 23:00 +0000", true, "2026-02-28 22:00 +0000",
                "2026-03-01 00:00 +0000"},
        {"0:00 +1h", "UTC", "2028-02-28 01:00 +0000", false, "2028-02-29 00:00 +0000",
                "2028-02-29 01:00 +0000"},
        /* days of the week: 2026-01-01 was a Thursday */
        {"Thu 4:00 +1h", "UTC", "2026-01-01 05:00 +0000", false, "2026-01-08 04:00 +0000",
                "2026-01-08 05:00 +0000"},
        {"Mon-Wed,Sat 4:00 +1h", "UTC", "2026-01-01 05:00 +0000", false, "2026-01-03 04:00 +0000",
                "2026-01-03 05:00 +0000"},
        {"Sat-Mon 4:00 +1h", "UTC", "2026-01-04 05:00 +0000", false, "2026-01-05 04:00 +0000",
                "2026-01-05 05:00 +0000"},
        {"Sun 12:00 +7d", "UTC", "2026-01-08 00:00 +0000", true, "", ""}, /* always, see below */
        {"Sun 12:00 +6d23h", "UTC", "2026-01-11 11:30 +0000", false, "2026-01-11 12:00 +0000",
                "2026-01-18 11:00 +0000"},
        {"Sat 23:00-2:00", "UTC", "2026-01-04 01:00 +0000", true, "2026-01-03 23:00 +0000",
                "2026-01-04 02:00 +0000"},
        /* several, joined where they meet or overlap */
        {"Mon 4:00 +1h; Tue 6:00 +1h", "UTC", "2026-01-05 05:00 +0000", false,
                "2026-01-06 06:00 +0000", "2026-01-06 07:00 +0000"},
        {"Fri 22:00-24:00; Sat,Sun 0:00-24:00; Mon 0:00-4:00", "UTC", "2026-01-04 12:00 +0000",
                true, "2026-01-02 22:00 +0000", "2026-01-05 04:00 +0000"},
        {"4:00-6:00; 5:00 +2h; 9:00-10:00", "UTC", "2026-01-01 00:00 +0000", false,
                "2026-01-01 04:00 +0000", "2026-01-01 07:00 +0000"},
        /* zones: each rule its own */
        {"4:00-5:00 America/New_York", "UTC", "2026-01-01 00:00 +0000", false,
                "2026-01-01 04:00 -0500", "2026-01-01 05:00 -0500"},
        {"4:00-5:00 America/New_York; 9:30-9:45 UTC", "Europe/Berlin", "2026-01-01 00:00 +0000",
                false, "2026-01-01 04:00 -0500", "2026-01-01 05:00 -0500"},
        {"4:00-5:00; 4:00-5:00 UTC", "Europe/Berlin", "2026-01-01 00:00 +0000", false,
                "2026-01-01 04:00 +0100", "2026-01-01 05:00 +0000"},
        {"Mon 0:30-1:00", "Pacific/Kiritimati", "2026-01-04 00:00 +0000", false,
                "2026-01-05 00:30 +1400", "2026-01-05 01:00 +1400"},
        /* an hour is left out: a start in it begins after it */
        {"2:30-4:00", "Europe/Berlin", "2026-03-28 12:00 +0100", false, "2026-03-29 03:00 +0200",
                "2026-03-29 04:00 +0200"},
        {"2:30 +1h30m", "Europe/Berlin", "2026-03-28 12:00 +0100", false, "2026-03-29 03:00 +0200",
                "2026-03-29 04:30 +0200"},
        {"2:15-2:45", "Europe/Berlin", "2026-03-28 12:00 +0100", false, "2026-03-29 03:00 +0200",
                "2026-03-29 03:30 +0200"},
        {"1:30-2:30", "Europe/Berlin", "2026-03-28 12:00 +0100", false, "2026-03-29 01:30 +0100",
                "2026-03-29 03:00 +0200"},
        {"22:00-4:00", "Europe/Berlin", "2026-03-29 00:00 +0100", true, "2026-03-28 22:00 +0100",
                "2026-03-29 04:00 +0200"},
        {"22:00 +6h", "Europe/Berlin", "2026-03-29 00:00 +0100", true, "2026-03-28 22:00 +0100",
                "2026-03-29 05:00 +0200"},
        {"2:30 +30m", "America/New_York", "2026-03-07 12:00 -0500", false, "2026-03-08 03:00 -0400",
                "2026-03-08 03:30 -0400"},
        {"Sun 2:00-3:00", "America/New_York", "2026-03-07 12:00 -0500", false,
                "2026-03-08 03:00 -0400", "2026-03-08 04:00 -0400"},
        {"2:10-2:20", "Australia/Lord_Howe", "2026-10-03 12:00 +1030", false,
                "2026-10-04 02:30 +1100", "2026-10-04 02:40 +1100"},
        {"2:10-2:45", "Australia/Lord_Howe", "2026-10-03 12:00 +1030", false,
                "2026-10-04 02:30 +1100", "2026-10-04 02:45 +1100"},
        /* an hour comes twice: the first one counts */
        {"2:30 +15m", "Europe/Berlin", "2026-10-24 12:00 +0200", false, "2026-10-25 02:30 +0200",
                "2026-10-25 02:45 +0200"},
        {"2:30 +15m", "Europe/Berlin", "2026-10-25 02:30 +0100", false, "2026-10-26 02:30 +0100",
                "2026-10-26 02:45 +0100"},
        {"2:30-3:30", "Europe/Berlin", "2026-10-24 12:00 +0200", false, "2026-10-25 02:30 +0200",
                "2026-10-25 03:30 +0100"},
        {"1:30-2:30", "Europe/Berlin", "2026-10-24 12:00 +0200", false, "2026-10-25 01:30 +0200",
                "2026-10-25 02:30 +0200"},
        {"22:00-4:00", "Europe/Berlin", "2026-10-25 00:00 +0200", true, "2026-10-24 22:00 +0200",
                "2026-10-25 04:00 +0100"},
        {"22:00 +6h", "Europe/Berlin", "2026-10-25 00:00 +0200", true, "2026-10-24 22:00 +0200",
                "2026-10-25 03:00 +0100"},
        {"1:30 +30m", "America/New_York", "2026-10-31 12:00 -0400", false, "2026-11-01 01:30 -0400",
                "2026-11-01 01:00 -0500"},
        {"1:30-3:00", "America/New_York", "2026-10-31 12:00 -0400", false, "2026-11-01 01:30 -0400",
                "2026-11-01 03:00 -0500"},
        {"1:45-1:55", "Australia/Lord_Howe", "2026-04-04 12:00 +1100", false,
                "2026-04-05 01:45 +1100", "2026-04-05 01:55 +1100"},
        {"1:45-2:15", "Australia/Lord_Howe", "2026-04-04 12:00 +1100", false,
                "2026-04-05 01:45 +1100", "2026-04-05 02:15 +1030"},
        {"1:45 +30m", "Australia/Lord_Howe", "2026-04-04 12:00 +1100", false,
                "2026-04-05 01:45 +1100", "2026-04-05 01:45 +1030"},
        /* a whole day that was left out: Samoa had no 2011-12-30, a Friday */
        {"Fri 4:00-6:00", "Pacific/Apia", "2011-12-29 12:00 -1000", false, "2011-12-31 00:00 +1400",
                "2011-12-31 02:00 +1400"},
        /* far away, where zones go by a rule alone */
        {"2:30-4:00", "Europe/Berlin", "2499-03-29 00:00 +0100", false, "2499-03-29 03:00 +0200",
                "2499-03-29 04:00 +0200"},
        {"4:00-5:00", "Europe/Berlin", "1970-01-01 05:00 +0100", false, "1970-01-02 04:00 +0100",
                "1970-01-02 05:00 +0100"},
};

START_TEST(windows_are_where_the_table_says)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar =
            make(&(RebootCalendarOptions){.windows = table[_i].windows, .zone = table[_i].zone});
    RebootWindow window = reboot_calendar_at(calendar, at(table[_i].now));
    if (table[_i].start[0] == '\0') {
        ck_assert(window.is_always_open && window.is_open);
        return;
    }
    check(&window, table[_i].is_open, table[_i].start, table[_i].end, table[_i].windows);
    /* The same from anywhere inside, and from right before it. */
    RebootWindow first = reboot_calendar_at(calendar, window.start_usec);
    check(&first, true, table[_i].start, table[_i].end, table[_i].windows);
    RebootWindow last = reboot_calendar_at(calendar, window.end_usec - 1);
    check(&last, true, table[_i].start, table[_i].end, table[_i].windows);
    RebootWindow before = reboot_calendar_at(calendar, window.start_usec - 1);
    check(&before, false, table[_i].start, table[_i].end, table[_i].windows);
    ck_assert(!reboot_calendar_at(calendar, window.end_usec).is_open);
}
END_TEST

START_TEST(without_windows_it_is_always_open)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar =
            make(&(RebootCalendarOptions){.start = "", .windows = "", .spread_usec = 1});
    RebootWindow window = reboot_calendar_at(calendar, 0);
    ck_assert(window.is_always_open && window.is_open);
    ck_assert_uint_eq(window.start_usec, 0);
    ck_assert_uint_eq(window.end_usec, 0);
    reboot_calendar_free(NULL);
}
END_TEST

START_TEST(windows_without_a_gap_are_always_open)
{
    static const char *const all[] = {"0:00-24:00", "Sun-Sat 0:00 +25h", "0:00-12:00;12:00-24:00",
            "Mon 0:00 +7d; Sun 22:00-3:00", "6:00-5:00; 5:00-6:00 Europe/Berlin"};
    for (size_t i = 0; i < ELEMENTS(all); i++) {
        _cleanup_(reboot_calendar_freep) RebootCalendar *calendar =
                make(&(RebootCalendarOptions){.windows = all[i], .zone = "Europe/Berlin"});
        RebootWindow window = reboot_calendar_at(calendar, at("2026-06-01 00:00 +0000"));
        ck_assert_msg(
                window.is_always_open && window.is_open && window.end_usec == 0, "%s", all[i]);
    }
}
END_TEST

/* 24 hours from each midnight leave an hour a year, at the end of the day of 25. */
START_TEST(windows_with_a_gap_a_year_are_joined_up_to_it)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar =
            make(&(RebootCalendarOptions){.windows = "0:00 +24h", .zone = "Europe/Berlin"});
    RebootWindow window = reboot_calendar_at(calendar, at("2026-06-01 00:00 +0000"));
    check(&window, true, "2025-10-27 00:00 +0100", "2026-10-25 23:00 +0100", "0:00 +24h");
    window = reboot_calendar_at(calendar, at("2026-10-25 23:30 +0100"));
    check(&window, false, "2026-10-26 00:00 +0100", "2027-10-31 23:00 +0100", "0:00 +24h");
}
END_TEST

START_TEST(no_window_is_open_after_the_year_9999)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar =
            make(&(RebootCalendarOptions){.windows = "0:00-12:00", .zone = "UTC"});
    uint64_t last_usec = UINT64_C(253402300799) * USEC_PER_SEC;
    RebootWindow window = reboot_calendar_at(calendar, last_usec);
    ck_assert(!window.is_open && window.start_usec == last_usec + USEC_PER_SEC);
    window = reboot_calendar_at(calendar, last_usec + USEC_PER_SEC);
    ck_assert(!window.is_open && window.start_usec == 0 && window.end_usec == 0);
    window = reboot_calendar_at(calendar, UINT64_MAX);
    ck_assert(!window.is_open && window.start_usec == 0 && window.end_usec == 0);
}
END_TEST

START_TEST(a_window_from_before_1970_begins_at_0)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar =
            make(&(RebootCalendarOptions){.windows = "23:00-1:00", .zone = "UTC"});
    RebootWindow window = reboot_calendar_at(calendar, 1);
    ck_assert(window.is_open && window.start_usec == 0);
    ck_assert_uint_eq(window.end_usec, USEC_PER_HOUR);
}
END_TEST

/* Go locksmith's one window. */
START_TEST(start_and_length_are_as_go_has_them)
{
    static const struct {
        const char *start;
        const char *length;
        const char *window_start;
        const char *window_end;
    } rows[] = {
            {"Thu 4:00", "1h", "2026-01-01 04:00 +0000", "2026-01-01 05:00 +0000"},
            {" wEd  9:5 ", "+1.5h", "2026-01-07 09:05 +0000", "2026-01-07 10:35 +0000"},
            {"23:59", "23h59m", "2025-12-31 23:59 +0000", "2026-01-01 23:58 +0000"},
            {"Saturday 1:00", "167h", "2025-12-27 01:00 +0000", "2026-01-03 00:00 +0000"},
            {"3:00", "0", "2026-01-01 03:00 +0000", "2026-01-01 03:01 +0000"},
            {"3:00", "100ms", "2026-01-01 03:00 +0000", "2026-01-01 03:01 +0000"},
    };
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = make(&(RebootCalendarOptions){
                .start = rows[i].start, .length = rows[i].length, .zone = "UTC"});
        RebootWindow window = reboot_calendar_at(calendar, at("2026-01-01 00:00 +0000"));
        bool is_open = at("2026-01-01 00:00 +0000") >= at(rows[i].window_start);
        check(&window, is_open, rows[i].window_start, rows[i].window_end, rows[i].start);
    }
}
END_TEST

START_TEST(start_and_length_stand_beside_windows)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = make(&(RebootCalendarOptions){
            .start = "4:00", .length = "1h", .windows = "2:00-4:00", .zone = "UTC"});
    RebootWindow window = reboot_calendar_at(calendar, at("2026-01-01 00:00 +0000"));
    check(&window, false, "2026-01-01 02:00 +0000", "2026-01-01 05:00 +0000", "both");
}
END_TEST

static RebootWindow spread(const char *windows, uint64_t spread_usec, const char *seed)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = make(&(RebootCalendarOptions){
            .windows = windows, .zone = "UTC", .spread_usec = spread_usec, .spread_seed = seed});
    return reboot_calendar_at(calendar, at("2026-01-01 01:00 +0000"));
}

START_TEST(a_fleet_is_spread_over_the_window)
{
    unsigned n_in_quarter[4] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char seed[40];
        snprintf(seed, sizeof(seed), "%032x", i);
        RebootWindow window = spread("4:00-6:00", USEC_PER_HOUR, seed);
        ck_assert_uint_eq(window.end_usec, at("2026-01-01 06:00 +0000"));
        uint64_t offset_usec = window.start_usec - at("2026-01-01 04:00 +0000");
        ck_assert_uint_lt(offset_usec, USEC_PER_HOUR);
        ck_assert_uint_eq(offset_usec % USEC_PER_SEC, 0);
        n_in_quarter[offset_usec / (USEC_PER_HOUR / 4)]++;
        RebootWindow again = spread("4:00-6:00", USEC_PER_HOUR, seed);
        ck_assert_uint_eq(again.start_usec, window.start_usec);
    }
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_gt(n_in_quarter[i], 200);
}
END_TEST

START_TEST(a_spread_leaves_a_minute_of_each_window)
{
    for (unsigned i = 0; i < 200; i++) {
        char seed[40];
        snprintf(seed, sizeof(seed), "%u", i);
        RebootWindow window = spread("4:00-4:10", USEC_PER_DAY, seed);
        ck_assert_uint_ge(window.end_usec - window.start_usec, USEC_PER_MINUTE);
        ck_assert_uint_ge(window.start_usec, at("2026-01-01 04:00 +0000"));
        window = spread("4:00 +0", USEC_PER_DAY, seed);
        ck_assert_uint_eq(window.start_usec, at("2026-01-01 04:00 +0000"));
        /* Joined windows are one: the second does not begin with a gap. */
        window = spread("4:00-5:00; 5:00-6:00", 10 * USEC_PER_MINUTE, seed);
        ck_assert_uint_lt(window.start_usec, at("2026-01-01 04:10 +0000"));
        ck_assert_uint_eq(window.end_usec, at("2026-01-01 06:00 +0000"));
    }
    /* Between the window's start and this host's it is closed: 0:59 and a part of 5 hours. */
    RebootWindow window = spread("0:59-6:00", 5 * USEC_PER_HOUR, "steady");
    ck_assert(!window.is_open);
    ck_assert_uint_gt(window.start_usec, at("2026-01-01 01:00 +0000"));
    ck_assert_uint_lt(window.start_usec, at("2026-01-01 06:00 +0000"));
}
END_TEST

static const struct {
    RebootCalendarOptions options;
    const char *advice;
} bad[] = {
        {{.start = "4:00"}, "LOCKSMITHD_REBOOT_WINDOW_START and LOCKSMITHD_REBOOT_WINDOW_LENGTH"},
        {{.length = "1h", .start = ""}, "set both of them or neither"},
        {{.start = "4:00", .length = "24h"},
                "LOCKSMITHD_REBOOT_WINDOW_LENGTH: it must be less than "
                "a day"},
        {{.start = "Mon 4:00", .length = "168h"}, "less than a week"},
        {{.start = "4", .length = "1h"}, "LOCKSMITHD_REBOOT_WINDOW_START: \"4\" is not a time"},
        {{.start = "4:00", .length = "90"}, "LOCKSMITHD_REBOOT_WINDOW_LENGTH: \"90\" is not a dur"},
        {{.windows = "Mon 4:00"}, "LOCKSMITHD_REBOOT_WINDOWS: in \"Mon 4:00\" it ends where"},
        {{.windows = "4:00-5:00 Nowhere/Land"}, "LOCKSMITHD_REBOOT_WINDOWS: there is no time zone"},
        {{.windows = "4:00-5:00", .zone = "../passwd"}, "LOCKSMITHD_REBOOT_WINDOW_ZONE: there is"},
};

START_TEST(what_will_not_do_is_named)
{
    RebootCalendar *calendar = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(reboot_calendar_new(&bad[_i].options, &calendar, &error), -EINVAL);
    ck_assert_ptr_null(calendar);
    ck_assert_msg(strstr(error.line, bad[_i].advice) != NULL, "%s", error.line);
    ck_assert_int_eq(reboot_calendar_new(&bad[_i].options, &calendar, NULL), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("reboot-calendar");
    TCase *tcase = unit_case(suite, "windows");
    tcase_add_loop_test(tcase, windows_are_where_the_table_says, 0, (int)ELEMENTS(table));
    tcase_add_test(tcase, without_windows_it_is_always_open);
    tcase_add_test(tcase, windows_without_a_gap_are_always_open);
    tcase_add_test(tcase, windows_with_a_gap_a_year_are_joined_up_to_it);
    tcase_add_test(tcase, no_window_is_open_after_the_year_9999);
    tcase_add_test(tcase, a_window_from_before_1970_begins_at_0);
    tcase_add_test(tcase, start_and_length_are_as_go_has_them);
    tcase_add_test(tcase, start_and_length_stand_beside_windows);
    tcase = unit_case(suite, "spread");
    tcase_add_test(tcase, a_fleet_is_spread_over_the_window);
    tcase_add_test(tcase, a_spread_leaves_a_minute_of_each_window);
    tcase = unit_case(suite, "refusals");
    tcase_add_loop_test(tcase, what_will_not_do_is_named, 0, (int)ELEMENTS(bad));
    return suite;
}
