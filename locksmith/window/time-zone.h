/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Time zones: glibc's, and the one place that touches TZ. glibc knows one zone at a time, that of
 * TZ, so whoever computes enters a zone and leaves it again; meanwhile the whole process is there.
 *
 * The first call puts TZ into the environment, which moves the array of its pointers: it has to be
 * made before there are threads that may look into the environment (libcurl's resolver does).
 * Later calls only change the letters of that one string, which those threads do not read, so they
 * may be made meanwhile. Two threads must not use this file at once. Programs that are started find
 * the system's zone in TZ.
 *
 * Seconds of the wall are those that a clock in the zone would show, counted from 1970-01-01 00:00
 * of that clock as if each day had 86400. Blocks as reading a file of some KiB does. */

#include <stdint.h>

#include "common/error-text.h"

typedef struct {
    char tz[96]; /* as in TZ */
} TimeZone;

/* "" and "localtime": the system's, which is TZ's as the process was started with it, else that of
 * /etc/localtime, also when that changes. "UTC" is always there; any other name is a file below
 * /usr/share/zoneinfo, without leap seconds.
 * Errors: -EINVAL with `error`, -ENOMEM. */
int time_zone_find(const char *name, TimeZone *ret_zone, ErrorText *error);

/* Every enter has its leave, not nested; zone (of time_zone_find) is borrowed until then. */
void time_zone_enter(const TimeZone *zone);
void time_zone_leave(void);

/* What the wall shows at that moment (seconds since 1970 UTC). In a zone. */
int64_t time_zone_wall_sec(int64_t at_sec);

/* The first moment at which the wall shows this or later: the first of the two in an hour that
 * comes twice, the one after the gap in an hour that is left out. Not before that of an earlier
 * wall_sec. In a zone. */
int64_t time_zone_find_wall(int64_t wall_sec);
