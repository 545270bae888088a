/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Durations as people write them. Pure. */

#include <stdint.h>

/* Go's time.ParseDuration (1h30m, 1.5h, 90m, 100ms, 0; units ns us ms s m h), as Go locksmith reads
 * its window length, without a sign; with `d` for 24 h beside it. At most a year.
 * Errors: -EINVAL, -ERANGE. */
int duration_parse(const char *text, uint64_t *ret_usec);

/* "1h 5min", "12s": two units at most, rounded down. */
typedef struct {
    char text[32];
} DurationShown;
DurationShown duration_show(uint64_t usec);
