/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/check-schedule.h"

#include <stdbool.h>

#include "common/backoff.h"
#include "common/cleanup.h"

#define N_DOUBLINGS_MAX 32

static void plan(CheckSchedule *schedule, uint64_t now_usec, uint64_t wait_usec)
{
    schedule->wait_usec = wait_usec;
    schedule->next_usec = now_usec + wait_usec;
}

void check_schedule_start(
        CheckSchedule *schedule, const CheckSettings *settings, uint64_t now_usec, uint64_t random)
{
    *schedule = (CheckSchedule){0};
    uint64_t spread_usec =
            settings->poll_jitter_percent > 0 ? settings->first_check_usec / 7 * 5 : 0;
    plan(schedule, now_usec, backoff_jitter_usec(settings->first_check_usec, spread_usec, random));
}

static uint64_t seconds_at_most(uint64_t seconds, uint64_t max_usec)
{
    return seconds > max_usec / USEC_PER_SEC ? max_usec : seconds * USEC_PER_SEC;
}

static bool is_overload(unsigned http_status)
{
    return http_status == 429 || http_status == 500 || http_status == 503;
}

void check_schedule_plan(CheckSchedule *schedule, const CheckSettings *settings,
        const CheckResult *result, uint64_t now_usec, uint64_t random)
{
    if (result->poll_interval_sec > 0)
        schedule->server_poll_sec = result->poll_interval_sec;
    if (!is_overload(result->http_status))
        schedule->n_overloads = 0;
    else if (schedule->n_overloads < N_DOUBLINGS_MAX)
        schedule->n_overloads++;

    uint64_t configured_usec = settings->poll_interval_usec;
    uint64_t max_usec = MAX(CHECK_INTERVAL_MAX_USEC, configured_usec);
    uint64_t normal_usec =
            MAX(configured_usec, seconds_at_most(schedule->server_poll_sec, max_usec));
    bool has_jitter = settings->poll_jitter_percent > 0;
    bool is_failure = result->http_status >= 400;

    if (is_failure && result->retry_after_sec > 0) {
        uint64_t wait_usec = MAX(normal_usec, seconds_at_most(result->retry_after_sec, max_usec));
        plan(schedule, now_usec, wait_usec + (has_jitter ? random % (wait_usec / 2 + 1) : 0));
    } else if (schedule->n_overloads > 0) {
        uint64_t wait_usec = backoff_usec(schedule->n_overloads + 1, normal_usec, max_usec);
        plan(schedule, now_usec,
                backoff_jitter_usec(wait_usec, has_jitter ? wait_usec / 2 : 0, random));
    } else {
        uint64_t spread_usec = normal_usec / 100 * settings->poll_jitter_percent;
        plan(schedule, now_usec, backoff_jitter_usec(normal_usec, spread_usec, random));
    }
}

uint64_t check_schedule_wait_usec(const CheckSchedule *schedule, uint64_t now_usec)
{
    return schedule->next_usec > now_usec ? schedule->next_usec - now_usec : 0;
}
