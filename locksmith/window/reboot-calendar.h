/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When this host may reboot: any number of weekly and daily windows, each in a time zone. Pure but
 * for time zones, which are glibc's (time-zone.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct RebootCalendar RebootCalendar;

typedef struct {
    /* Go locksmith's one window, "" both when not set: "[Dow ]H:M" and a Go duration. */
    const char *start;
    const char *length;
    /* Ours, "": none. RULE[; RULE...], RULE = [DAYS ]H:M(-H:M| +LENGTH)[ ZONE], DAYS = Mon-Fri,Sun.
     * The grammar's whole text is in reboot-calendar.c and update.conf(5). */
    const char *windows;
    const char *zone;        /* of those that name none; "": the system's */
    uint64_t spread_usec;    /* each host's windows begin later by a steady part of this, at most up
                              * to the window's end less a minute; 0: no spread */
    const char *spread_seed; /* the machine id */
} RebootCalendarOptions;

/* Nothing set at all gives a calendar that is always open.
 * Errors: -EINVAL with `error` that names the setting, what is wrong and what would do; -ENOMEM. */
int reboot_calendar_new(
        const RebootCalendarOptions *options, RebootCalendar **ret_calendar, ErrorText *error);
void reboot_calendar_free(RebootCalendar *calendar);
DEFINE_CLEANUP(RebootCalendar *, reboot_calendar_free);

typedef struct {
    bool is_always_open;
    bool is_open;
    uint64_t start_usec; /* CLOCK_REALTIME; of the window that is open, else of the next one */
    uint64_t end_usec;   /* its end (overlapping windows joined); open is [start, end) */
} RebootWindow;

/* What holds at now_usec (CLOCK_REALTIME). start and end are 0 when always open, and when there is
 * no next one within a year. */
RebootWindow reboot_calendar_at(const RebootCalendar *calendar, uint64_t now_usec);
