/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/check-schedule.h"

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define NOW UINT64_C(1000000000)

static const CheckSettings settings_default = {
        .first_check_usec = 7 * USEC_PER_MINUTE,
        .poll_interval_usec = 45 * USEC_PER_MINUTE,
        .poll_jitter_percent = 11,
};
static const CheckSettings settings_exact = {
        .first_check_usec = 7 * USEC_PER_MINUTE,
        .poll_interval_usec = 45 * USEC_PER_MINUTE,
};
static const CheckSettings settings_lab = {.poll_interval_usec = 60 * USEC_PER_SEC};
static const CheckSettings settings_daily = {.poll_interval_usec = 24 * USEC_PER_HOUR};

static const CheckResult answer = {.http_status = 200};
static const CheckResult overload = {.http_status = 503};

static uint64_t wait_after(
        CheckSchedule *schedule, const CheckSettings *settings, CheckResult result)
{
    check_schedule_plan(schedule, settings, &result, NOW, 12345);
    ck_assert_uint_eq(schedule->wait_usec, check_schedule_wait_usec(schedule, NOW));
    return schedule->wait_usec;
}

START_TEST(first_check_is_spread_over_ten_minutes)
{
    CheckSchedule schedule;
    uint64_t min = UINT64_MAX, max = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        check_schedule_start(&schedule, &settings_default, NOW, i * UINT64_C(0x9e3779b97f4a7c15));
        min = MIN(min, schedule.wait_usec);
        max = MAX(max, schedule.wait_usec);
    }
    ck_assert_uint_ge(min, 2 * USEC_PER_MINUTE);
    ck_assert_uint_lt(min, 2 * USEC_PER_MINUTE + 5 * USEC_PER_SEC);
    ck_assert_uint_le(max, 12 * USEC_PER_MINUTE);
    ck_assert_uint_gt(max, 12 * USEC_PER_MINUTE - 5 * USEC_PER_SEC);

    check_schedule_start(&schedule, &settings_exact, NOW, 99);
    ck_assert_uint_eq(schedule.wait_usec, 7 * USEC_PER_MINUTE);
    check_schedule_start(&schedule, &settings_lab, NOW, 99);
    ck_assert_uint_eq(schedule.wait_usec, 0);
}
END_TEST

START_TEST(interval_is_moved_by_its_jitter)
{
    CheckSchedule schedule = {0};
    uint64_t spread = 45 * USEC_PER_MINUTE / 100 * 11, min = UINT64_MAX, max = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        check_schedule_plan(
                &schedule, &settings_default, &answer, NOW, i * UINT64_C(0x9e3779b97f4a7c15));
        min = MIN(min, schedule.wait_usec);
        max = MAX(max, schedule.wait_usec);
    }
    ck_assert_uint_ge(min, 45 * USEC_PER_MINUTE - spread);
    ck_assert_uint_le(max, 45 * USEC_PER_MINUTE + spread);
    ck_assert_uint_gt(max - min, 2 * spread - 5 * USEC_PER_SEC);
}
END_TEST

START_TEST(servers_interval_is_bounded)
{
    static const struct {
        const CheckSettings *settings;
        uint64_t server_sec, expected_sec;
    } cases[] = {
            {&settings_exact, 0, 45 * 60},
            {&settings_exact, 60, 45 * 60},
            {&settings_exact, 3600, 3600},
            {&settings_exact, 4 * 3600, 4 * 3600},
            {&settings_exact, 4 * 3600 + 1, 4 * 3600},
            {&settings_exact, UINT64_MAX, 4 * 3600},
            {&settings_lab, 0, 60},
            {&settings_lab, 10, 60},
            {&settings_lab, 120, 120},
            {&settings_lab, 86400, 4 * 3600},
            {&settings_daily, 3600, 86400},
            {&settings_daily, UINT64_MAX, 86400},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        CheckSchedule schedule = {0};
        CheckResult result = {.http_status = 200, .poll_interval_sec = cases[i].server_sec};
        ck_assert_uint_eq(wait_after(&schedule, cases[i].settings, result),
                cases[i].expected_sec * USEC_PER_SEC);
    }
}
END_TEST

START_TEST(servers_interval_outlives_failures)
{
    CheckSchedule schedule = {0};
    CheckResult result = {.http_status = 200, .poll_interval_sec = 3600};
    wait_after(&schedule, &settings_exact, result);
    ck_assert_uint_eq(wait_after(&schedule, &settings_exact, (CheckResult){0}), USEC_PER_HOUR);
    ck_assert_uint_eq(wait_after(&schedule, &settings_exact, overload), 2 * USEC_PER_HOUR);
    ck_assert_uint_eq(wait_after(&schedule, &settings_exact, answer), USEC_PER_HOUR);
}
END_TEST

START_TEST(overload_doubles_up_to_four_hours)
{
    static const uint64_t minutes[] = {90, 180, 240, 240, 240};
    for (int status = 0; status < 3; status++) {
        CheckSchedule schedule = {0};
        CheckResult result = {.http_status = (unsigned[]){429, 500, 503}[status]};
        for (size_t i = 0; i < ELEMENTS(minutes); i++)
            ck_assert_uint_eq(
                    wait_after(&schedule, &settings_exact, result), minutes[i] * USEC_PER_MINUTE);
        for (int i = 0; i < 1000; i++)
            ck_assert_uint_eq(wait_after(&schedule, &settings_exact, result), 4 * USEC_PER_HOUR);
        ck_assert_uint_eq(wait_after(&schedule, &settings_exact, answer), 45 * USEC_PER_MINUTE);
        ck_assert_uint_eq(wait_after(&schedule, &settings_exact, result), 90 * USEC_PER_MINUTE);
        ck_assert_uint_eq(wait_after(&schedule, &settings_daily, result), USEC_PER_DAY);
    }
}
END_TEST

START_TEST(overload_is_spread_by_half)
{
    uint64_t min = UINT64_MAX, max = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        CheckSchedule schedule = {0};
        check_schedule_plan(
                &schedule, &settings_default, &overload, NOW, i * UINT64_C(0x9e3779b97f4a7c15));
        min = MIN(min, schedule.wait_usec);
        max = MAX(max, schedule.wait_usec);
    }
    ck_assert_uint_ge(min, 45 * USEC_PER_MINUTE);
    ck_assert_uint_le(max, 135 * USEC_PER_MINUTE);
    ck_assert_uint_gt(max - min, 89 * USEC_PER_MINUTE);
}
END_TEST

START_TEST(other_failures_take_the_normal_interval)
{
    CheckSchedule schedule = {0};
    static const unsigned statuses[] = {0, 400, 404, 502, 504};
    for (size_t i = 0; i < ELEMENTS(statuses); i++)
        ck_assert_uint_eq(
                wait_after(&schedule, &settings_exact, (CheckResult){.http_status = statuses[i]}),
                45 * USEC_PER_MINUTE);
}
END_TEST

START_TEST(retry_after_is_honoured_within_bounds)
{
    static const struct {
        unsigned status;
        uint64_t retry_sec, expected_sec;
    } cases[] = {
            {503, 10, 45 * 60}, {503, 3600, 3600}, {429, 7200, 7200}, {502, 7200, 7200},
            {503, 86400, 4 * 3600}, {503, UINT64_MAX, 4 * 3600},
            {200, 7200, 45 * 60}, /* not a failure: not for us */
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        CheckSchedule schedule = {0};
        CheckResult result = {
                .http_status = cases[i].status,
                .retry_after_sec = cases[i].retry_sec,
        };
        ck_assert_uint_eq(wait_after(&schedule, &settings_exact, result),
                cases[i].expected_sec * USEC_PER_SEC);
    }
    for (uint64_t i = 0; i < 1000; i++) { /* never before the time that was asked for */
        CheckSchedule schedule = {0};
        CheckResult result = {.http_status = 503, .retry_after_sec = 7200};
        check_schedule_plan(
                &schedule, &settings_default, &result, NOW, i * UINT64_C(0x9e3779b97f4a7c15));
        ck_assert_uint_ge(schedule.wait_usec, 7200 * USEC_PER_SEC);
        ck_assert_uint_le(schedule.wait_usec, 10800 * USEC_PER_SEC);
    }
}
END_TEST

START_TEST(the_wait_runs_down)
{
    CheckSchedule schedule = {0};
    wait_after(&schedule, &settings_lab, answer);
    ck_assert_uint_eq(check_schedule_wait_usec(&schedule, NOW + 1), 60 * USEC_PER_SEC - 1);
    ck_assert_uint_eq(check_schedule_wait_usec(&schedule, NOW + 60 * USEC_PER_SEC), 0);
    ck_assert_uint_eq(check_schedule_wait_usec(&schedule, UINT64_MAX), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("check-schedule");
    TCase *tcase = unit_case(suite, "check-schedule");
    tcase_add_test(tcase, first_check_is_spread_over_ten_minutes);
    tcase_add_test(tcase, interval_is_moved_by_its_jitter);
    tcase_add_test(tcase, servers_interval_is_bounded);
    tcase_add_test(tcase, servers_interval_outlives_failures);
    tcase_add_test(tcase, overload_doubles_up_to_four_hours);
    tcase_add_test(tcase, overload_is_spread_by_half);
    tcase_add_test(tcase, other_failures_take_the_normal_interval);
    tcase_add_test(tcase, retry_after_is_honoured_within_bounds);
    tcase_add_test(tcase, the_wait_runs_down);
    return suite;
}
