/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When to ask the update server next. Pure: now is CLOCK_BOOTTIME (it runs on while the machine
 * sleeps and nobody can set it), random is the caller's. */

#include <stdint.h>

#include "common/clock.h"

#define CHECK_INTERVAL_MAX_USEC (4 * USEC_PER_HOUR) /* for what a server asks, and for failures */

/* From the configuration (config.h); may change between calls. */
typedef struct {
    uint64_t first_check_usec;
    uint64_t poll_interval_usec;  /* not 0 */
    unsigned poll_jitter_percent; /* 0: no jitter anywhere */
} CheckSettings;

/* How a check ended. */
typedef struct {
    unsigned http_status;       /* 0 when no answer came */
    uint64_t poll_interval_sec; /* PollInterval of a usable answer; 0 when absent */
    uint64_t retry_after_sec;   /* Retry-After; 0 when absent */
} CheckResult;

typedef struct {
    unsigned n_overloads;     /* answers 429, 500, 503 in a row */
    uint64_t server_poll_sec; /* the last PollInterval; 0 when none */
    uint64_t next_usec;       /* when the next check is due, on now_usec's clock */
    uint64_t wait_usec;       /* how long that was from the moment it was planned */
} CheckSchedule;

/* Plans the first check after start: first_check_usec, moved by up to 5/7 of it both ways (7
 * minutes become 2 to 12, as in update_engine) so that a rack that gets its power back at once
 * does not ask at once. */
void check_schedule_start(
        CheckSchedule *schedule, const CheckSettings *settings, uint64_t now_usec, uint64_t random);

/* Plans the check after one that ended with result:
 * - the normal interval is poll_interval_usec, or the server's last PollInterval where that is
 *   longer, which counts up to CHECK_INTERVAL_MAX_USEC; moved by poll_jitter_percent both ways;
 * - after 429, 500 and 503 it is doubled for each in a row, up to CHECK_INTERVAL_MAX_USEC (or
 *   poll_interval_usec if that is longer), and moved by half both ways;
 * - a Retry-After of a failed answer takes the place of the doubling, within the same bounds, and
 *   is only moved to later;
 * - after any other failure it is the normal interval. */
void check_schedule_plan(CheckSchedule *schedule, const CheckSettings *settings,
        const CheckResult *result, uint64_t now_usec, uint64_t random);

/* How long from now until the next check; 0 when it is due. */
uint64_t check_schedule_wait_usec(const CheckSchedule *schedule, uint64_t now_usec);
