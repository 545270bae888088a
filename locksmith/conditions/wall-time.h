/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Moments as RFC 3339 writes them, in microseconds of CLOCK_REALTIME. Pure. */

#include <stdint.h>

/* "2026-11-23T10:00:00Z", with a fraction (cut after microseconds) and an offset such as +01:00
 * where given, a blank or `t` instead of `T`; or "@SECONDS" since 1970. Years 1970 to 9999.
 * Errors: -EINVAL. */
int wall_time_parse(const char *text, uint64_t *ret_usec);

/* In UTC, with a fraction where there is one: what wall_time_parse reads back. Times after the year
 * 9999 are shown as its end. */
typedef struct {
    char text[40];
} WallTimeShown;
WallTimeShown wall_time_show(uint64_t usec);
