/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/duration.h"

#include <errno.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

/* What Go's time.ParseDuration makes of each (go1.19), but `d`, which is ours. */
static const struct {
    const char *text;
    uint64_t usec;
} good[] = {
        {"0", 0},
        {"0s", 0},
        {"1h30m", 5400 * USEC_PER_SEC},
        {"1.5h", 5400 * USEC_PER_SEC},
        {"90m", 5400 * USEC_PER_SEC},
        {"100ms", 100000},
        {"5.s", 5 * USEC_PER_SEC},
        {".5s", USEC_PER_SEC / 2},
        {"1.004s", 1004000},
        {"1us", 1},
        {"1\u00b5s", 1},
        {"1\u03bcs", 1},
        {"999ns", 0},
        {"1500ns", 1},
        {"0.000001h", 3600},
        {"0.100000000000000000000h", 360 * USEC_PER_SEC},
        {"00000000000000000000001s", USEC_PER_SEC},
        {"1h1h", 2 * USEC_PER_HOUR},
        {"39h9m14.425s", 140954425000},
        {"1d12h", 36 * USEC_PER_HOUR},
        {"365d", DURATION_MAX_USEC},
        {"8760h", DURATION_MAX_USEC},
};

START_TEST(durations_are_read)
{
    uint64_t usec = UINT64_MAX;
    ck_assert_int_eq(duration_parse(good[_i].text, &usec), 0);
    ck_assert_msg(usec == good[_i].usec, "%s is %ju", good[_i].text, (uintmax_t)usec);
}
END_TEST

static const struct {
    const char *text;
    int r;
} bad[] = {
        {"", -EINVAL},
        {"90", -EINVAL},
        {"00", -EINVAL},
        {"h", -EINVAL},
        {".", -EINVAL},
        {".s", -EINVAL},
        {"1h 30m", -EINVAL},
        {" 1h", -EINVAL},
        {"1h ", -EINVAL},
        {"+1h", -EINVAL},
        {"-1h", -EINVAL},
        {"1h30", -EINVAL},
        {"1.5.5h", -EINVAL},
        {"1H", -EINVAL},
        {"1min", -EINVAL},
        {"1w", -EINVAL},
        {"0x1s", -EINVAL},
        {"366d", -ERANGE},
        {"365d1ns", -ERANGE},
        {"8760h0.1s", -ERANGE},
        {"18446744073709551617s", -ERANGE},
        {"99999999999999999999999999999h", -ERANGE},
        {"200d200d", -ERANGE},
        {"400d1x", -EINVAL},
};

START_TEST(what_is_no_duration_is_refused)
{
    uint64_t usec = 7;
    ck_assert_msg(duration_parse(bad[_i].text, &usec) == bad[_i].r, "%s", bad[_i].text);
    ck_assert_uint_eq(usec, 7);
}
END_TEST

START_TEST(durations_are_shown)
{
    static const struct {
        uint64_t usec;
        const char *text;
    } table[] = {
            {0, "0s"},
            {999, "0ms"},
            {300000, "300ms"},
            {12 * USEC_PER_SEC + 999999, "12s"},
            {60 * USEC_PER_SEC, "1min"},
            {61 * USEC_PER_SEC, "1min 1s"},
            {65 * USEC_PER_MINUTE, "1h 5min"},
            {USEC_PER_HOUR + 59 * USEC_PER_SEC, "1h"},
            {26 * USEC_PER_HOUR, "1d 2h"},
            {USEC_PER_DAY + 59 * USEC_PER_MINUTE, "1d"},
            {UINT64_MAX, "213503982d 8h"},
    };
    for (size_t i = 0; i < ELEMENTS(table); i++)
        ck_assert_str_eq(duration_show(table[i].usec).text, table[i].text);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("duration");
    TCase *tcase = unit_case(suite, "duration");
    tcase_add_loop_test(tcase, durations_are_read, 0, (int)ELEMENTS(good));
    tcase_add_loop_test(tcase, what_is_no_duration_is_refused, 0, (int)ELEMENTS(bad));
    tcase_add_test(tcase, durations_are_shown);
    return suite;
}
