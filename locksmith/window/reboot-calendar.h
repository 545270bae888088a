/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When this host may reboot: any number of weekly and daily windows, each in a time zone. Pure but
 * for time zones, which are glibc's: what time-zone.h says of threads holds for all of this, too.
 *
 * A window begins when the wall clock of its zone shows its start, for the first time where an hour
 * comes twice, and at the end of the gap where that time is left out. One with an end (22:00-4:00)
 * lasts until the wall clock shows that, likewise; one with a length (22:00 +6h) lasts so long,
 * whatever the wall clock does meanwhile. One that would be left out as a whole is as long as it
 * is on other days, so that no window ever vanishes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct RebootCalendar RebootCalendar;

typedef struct {
    /* Go locksmith's one window, "" or NULL both when not set: "[Dow ]H:M" and a Go duration, less
     * than a day, or a week with a day. A length under a minute is taken for one: Go's 0 means
     * "at that time". */
    const char *start;
    const char *length;
    /* Ours, "" or NULL: none. RULE[; RULE...], RULE = [DAYS ]H:MM(-H:MM| +LENGTH)[ ZONE], DAYS =
     * Mon-Fri,Sun; the grammar is in window-rule.h. Both may be set. */
    const char *windows;
    const char *zone;        /* of those that name none; "" or NULL: the system's */
    uint64_t spread_usec;    /* each host's windows (joined where they overlap) begin later by a
                              * steady part of this, or of the window less a minute where that is
                              * shorter; 0: no spread */
    const char *spread_seed; /* the machine id; NULL: "" */
} RebootCalendarOptions;

/* Nothing set at all gives a calendar that is always open. options is borrowed for the call.
 * Errors: -EINVAL with `error` that names the setting, what is wrong and what would do; -ENOMEM. */
int reboot_calendar_new(
        const RebootCalendarOptions *options, RebootCalendar **ret_calendar, ErrorText *error);
void reboot_calendar_free(RebootCalendar *calendar);
DEFINE_CLEANUP(RebootCalendar *, reboot_calendar_free);

typedef struct {
    bool is_always_open; /* also when the windows leave no gap for a year */
    bool is_open;
    uint64_t start_usec; /* CLOCK_REALTIME; of the window that is open, else of the next one */
    uint64_t end_usec;   /* its end (overlapping windows joined); open is [start, end) */
} RebootWindow;

/* What holds at now_usec (CLOCK_REALTIME). start and end are 0 when always open; one that has been
 * open for more than a year began a year ago. After the year 9999 no window is open. Takes
 * well under a millisecond, up to some ten where windows hardly leave a gap in a year. Changes what
 * is inside calendar: one thread at a time. */
RebootWindow reboot_calendar_at(RebootCalendar *calendar, uint64_t now_usec);
