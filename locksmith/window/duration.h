/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Durations as people write them. Pure. */

#include <stdint.h>

#include "common/clock.h"

#define DURATION_MAX_USEC (365 * USEC_PER_DAY)

/* Go's time.ParseDuration (1h30m, 1.5h, 90m, 100ms, 0; units ns us ms s m h), as Go locksmith reads
 * its window length, without a sign; with `d` for 24 h beside it. What is less than a microsecond
 * is cut off.
 * Errors: -EINVAL when it is none, -ERANGE when it is more than DURATION_MAX_USEC. */
int duration_parse(const char *text, uint64_t *ret_usec);

/* "1h 5min", "12s", "300ms": the largest unit and the one below it (no milliseconds beside
 * seconds), rounded down. */
typedef struct {
    char text[32];
} DurationShown;
DurationShown duration_show(uint64_t usec);
