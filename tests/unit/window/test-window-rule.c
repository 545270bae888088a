/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/window-rule.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define SUN (1 << 0)
#define MON (1 << 1)
#define TUE (1 << 2)
#define WED (1 << 3)
#define THU (1 << 4)
#define FRI (1 << 5)
#define SAT (1 << 6)
#define ALL WINDOW_EVERY_DAY

static const struct {
    const char *text;
    WindowRule rule;
} good[] = {
        {"22:00-4:00", {ALL, 22 * 60, 6 * 60, 0, ""}},
        {"4:00-22:00", {ALL, 4 * 60, 18 * 60, 0, ""}}, {"04:00-04:01", {ALL, 4 * 60, 1, 0, ""}},
        {"0:00-24:00", {ALL, 0, 24 * 60, 0, ""}},
        {"23:59-23:58", {ALL, 23 * 60 + 59, 24 * 60 - 1, 0, ""}},
        {"23:59-0:00", {ALL, 23 * 60 + 59, 1, 0, ""}},
        {"22:00 +6h", {ALL, 22 * 60, 0, 6 * USEC_PER_HOUR, ""}},
        {"22:00+6h", {ALL, 22 * 60, 0, 6 * USEC_PER_HOUR, ""}},
        {"22:00 + 1h30m", {ALL, 22 * 60, 0, 90 * USEC_PER_MINUTE, ""}},
        {"22:00 +0", {ALL, 22 * 60, 0, WINDOW_MIN_USEC, ""}},
        {"22:00 +7d", {ALL, 22 * 60, 0, 7 * USEC_PER_DAY, ""}},
        {"Mon 22:00-4:00", {MON, 22 * 60, 6 * 60, 0, ""}},
        {"monday 1:00-2:00", {MON, 60, 60, 0, ""}},
        {"TUES,Thurs 1:00-2:00", {TUE | THU, 60, 60, 0, ""}},
        {"Mon-Fri,Sun 1:00-2:00", {ALL & ~SAT, 60, 60, 0, ""}},
        {"Sat-Mon 1:00-2:00", {SAT | SUN | MON, 60, 60, 0, ""}},
        {"Wed-Wed 1:00-2:00", {WED, 60, 60, 0, ""}}, {"Thu-Wed 1:00-2:00", {ALL, 60, 60, 0, ""}},
        {"Fri,Fri 1:00-2:00", {FRI, 60, 60, 0, ""}},
        {"  Mon - Wed , Fri\t1:00 - 2:00  ", {MON | TUE | WED | FRI, 60, 60, 0, ""}},
        {"1:00-2:00 UTC", {ALL, 60, 60, 0, "UTC"}},
        {"Mon 1:00 +1h America/Argentina/Buenos_Aires ",
                {MON, 60, 0, USEC_PER_HOUR, "America/Argentina/Buenos_Aires"}},
        {"1:00-2:00 -1:00", {ALL, 60, 60, 0, "-1:00"}}, /* there is no such zone */
};

START_TEST(rules_are_read)
{
    _cleanup_free_ WindowRule *rules = NULL;
    size_t n_rules = 0;
    ErrorText error = {""};
    int r = window_rules_parse(good[_i].text, &rules, &n_rules, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    ck_assert_uint_eq(n_rules, 1);
    ck_assert_uint_eq(rules[0].days, good[_i].rule.days);
    ck_assert_uint_eq(rules[0].start_min, good[_i].rule.start_min);
    ck_assert_uint_eq(rules[0].wall_min, good[_i].rule.wall_min);
    ck_assert_uint_eq(rules[0].length_usec, good[_i].rule.length_usec);
    ck_assert_str_eq(rules[0].zone, good[_i].rule.zone);
}
END_TEST

START_TEST(several_rules_are_separated_by_semicolons)
{
    _cleanup_free_ WindowRule *rules = NULL;
    size_t n_rules = 0;
    ck_assert_int_eq(window_rules_parse(" ;1:00-2:00;; Mon 3:00 +1h UTC ; Sat,Sun 4:00-5:00;",
                             &rules, &n_rules, NULL),
            0);
    ck_assert_uint_eq(n_rules, 3);
    ck_assert_uint_eq(rules[0].start_min, 60);
    ck_assert_str_eq(rules[1].zone, "UTC");
    ck_assert_uint_eq(rules[2].days, SAT | SUN);
}
END_TEST

START_TEST(there_are_at_most_so_many)
{
    char text[WINDOW_MAX_RULES * 10 + 20] = "";
    for (size_t i = 0; i < WINDOW_MAX_RULES; i++)
        strcat(text, "1:00-2:00;");
    _cleanup_free_ WindowRule *rules = NULL;
    size_t n_rules = 0;
    ErrorText error = {""};
    ck_assert_int_eq(window_rules_parse(text, &rules, &n_rules, &error), 0);
    ck_assert_uint_eq(n_rules, WINDOW_MAX_RULES);
    strcat(text, "1:00-2:00");
    ck_assert_int_eq(window_rules_parse(text, &rules, &n_rules, &error), -EINVAL);
    ck_assert_str_eq(error.line, "there are more than 64 windows");
}
END_TEST

static const struct {
    const char *text;
    const char *advice;
} bad[] = {
        {"", "there is no window in it"},
        {" ; ;", "there is no window in it"},
        {"4:00", "in \"4:00\" it ends where there should be -H:MM"},
        {"1:00-2:00; 4:00 UTC", "in \"4:00 UTC\" \"UTC\" is not -H:MM"},
        {"4:00-4:00", "it ends when it begins"},
        {"0:00-0:00", "0:00-24:00"},
        {"24:00-4:00", "\"24:00-4:00\" is not a time of day"},
        {"4:00-24:01", "\"24:01\" is not a time of day"},
        {"4:60-5:00", "\"4:60-5:00\" is not a time of day"},
        {"4:5-5:00", "is not a time of day"},
        {"004:00-5:00", "is not a time of day"},
        {"4:000-5:00", "is not a time of day"},
        {"4-5", "is not a time of day"},
        {"+4:00-5:00", "is not a day"},
        {"4:00-5:00junk", "is not a time of day"},
        {"4:00:30-5:00", "\":30-5:00\" is not -H:MM"},
        {"4:00-5:00:30", "\":30\" is not separated"},
        {"4:00-5:00,6:00-7:00", "\",6:00-7:00\" is not separated"},
        {"4:00-5:00 UTC 6:00-7:00", "put ; between two windows"},
        {"Mo 4:00-5:00", "\"Mo\" is not a day such as Mon"},
        {"Mond.4:00-5:00", "is not a day"},
        {"Montag 4:00-5:00", "\"Montag\" is not a day"},
        {"Mondays 4:00-5:00", "is not a day"},
        {"Mon4:00-5:00", "is not a day"},
        {"Mon-4:00-5:00", "\"4:00-5:00\" is not a day"},
        {"Mon, 4:00-5:00", "is not a day"},
        {"Mon Tue 4:00-5:00", "\"Tue\" is not a time of day"},
        {"Mon", "it ends where there should be a time"},
        {"Mon-", "it ends where there should be a day"},
        {"4:00-", "it ends where there should be a time"},
        {"4:00 +", "it ends where there should be a duration"},
        {"4:00 +90", "\"90\" is not a duration"},
        {"4:00 +-1h", "\"-1h\" is not a duration"},
        {"4:00 +8d", "\"8d\" is longer than a week"},
        {"4:00 +400d", "longer than a week"},
        {"4:00 +1h aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "is not a time zone"},
};

START_TEST(what_is_no_rule_is_told)
{
    WindowRule *rules = NULL;
    size_t n_rules = 0;
    ErrorText error = {""};
    ck_assert_int_eq(window_rules_parse(bad[_i].text, &rules, &n_rules, &error), -EINVAL);
    ck_assert_ptr_null(rules);
    ck_assert_msg(strstr(error.line, bad[_i].advice) != NULL, "%s", error.line);
}
END_TEST

/* reference/locksmith.md 1.8, the rows that Go takes and those that it refuses. */
START_TEST(go_locksmiths_start_is_read)
{
    static const struct {
        const char *text;
        int days; /* 0: refused */
        unsigned start_min;
    } rows[] = {
            {"14:00", ALL, 14 * 60},
            {"Thu 23:00", THU, 23 * 60},
            {"  thu\t 23:00 ", THU, 23 * 60},
            {"SAT 0:00", SAT, 0},
            {"9:5", ALL, 9 * 60 + 5},
            {"09:05", ALL, 9 * 60 + 5},
            {"Thursday 23:00", THU, 23 * 60}, /* Go refuses it */
            {"14:00:30", 0, 0},               /* Go takes these three for 14:00 or 3:00, */
            {"14:00junk", 0, 0},
            {"+3:00", 0, 0},
            {"004:00", 0, 0}, /* and this for 4:00 */
            {"24:00", 0, 0},
            {"14", 0, 0},
            {"-1:00", 0, 0},
            {"14:60", 0, 0},
            {"Thu 04:00 UTC", 0, 0},
            {"Thu04:00", 0, 0},
            {"Thu,Fri 04:00", 0, 0},
            {"Thu-Fri 04:00", 0, 0},
            {"Thu", 0, 0},
            {"", 0, 0},
    };
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        WindowRule rule = {.days = 0};
        ErrorText error = {""};
        int r = window_start_parse(rows[i].text, &rule, &error);
        ck_assert_msg(r == (rows[i].days ? 0 : -EINVAL), "%s: %s", rows[i].text, error.line);
        ck_assert_msg((r < 0) == (error.line[0] != '\0'), "%s", rows[i].text);
        ck_assert_uint_eq(rule.days, (unsigned)rows[i].days);
        ck_assert_uint_eq(rule.start_min, rows[i].start_min);
    }
}
END_TEST

START_TEST(go_locksmiths_length_is_read)
{
    static const struct {
        const char *text;
        uint64_t usec; /* 0: refused */
    } rows[] = {
            {"1h30m", 90 * USEC_PER_MINUTE},
            {"1.5h", 90 * USEC_PER_MINUTE},
            {"+1h", USEC_PER_HOUR},
            {"0", WINDOW_MIN_USEC},
            {"0s", WINDOW_MIN_USEC},
            {"167h59m", 10079 * USEC_PER_MINUTE},
            {"1d", USEC_PER_DAY}, /* Go refuses it */
            {"168h", 0},
            {"90", 0},
            {"1h 30m", 0},
            {"-1h", 0},
            {"++1h", 0},
            {"+", 0},
            {"", 0},
    };
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint64_t usec = 0;
        ErrorText error = {""};
        int r = window_length_parse(rows[i].text, &usec, &error);
        ck_assert_msg(r == (rows[i].usec ? 0 : -EINVAL), "%s: %s", rows[i].text, error.line);
        ck_assert_msg((r < 0) == (error.line[0] != '\0'), "%s", rows[i].text);
        ck_assert_uint_eq(usec, rows[i].usec);
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("window-rule");
    TCase *tcase = unit_case(suite, "rules");
    tcase_add_loop_test(tcase, rules_are_read, 0, (int)ELEMENTS(good));
    tcase_add_test(tcase, several_rules_are_separated_by_semicolons);
    tcase_add_test(tcase, there_are_at_most_so_many);
    tcase_add_loop_test(tcase, what_is_no_rule_is_told, 0, (int)ELEMENTS(bad));
    tcase = unit_case(suite, "go");
    tcase_add_test(tcase, go_locksmiths_start_is_read);
    tcase_add_test(tcase, go_locksmiths_length_is_read);
    return suite;
}
