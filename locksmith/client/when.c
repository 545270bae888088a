/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/when.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "locksmith/window/duration.h"

/* What strptime() takes before a zone; the first three have a date. */
static const struct {
    const char *format;
    bool has_date;
} formats[] = {
        {"%Y-%m-%dT%H:%M:%S", true},
        {"%Y-%m-%d %H:%M:%S", true},
        {"%Y-%m-%dT%H:%M", true},
        {"%Y-%m-%d %H:%M", true},
        {"%Y-%m-%d", true},
        {"%H:%M:%S", false},
        {"%H:%M", false},
};

/* "Z" or an offset such as "+01:00" and "-0530". */
static bool read_zone(const char *text, int *ret_east_sec)
{
    unsigned hours, minutes;
    int n_read = 0;
    if (strcmp(text, "Z") == 0) {
        *ret_east_sec = 0;
        return true;
    }
    if (text[0] != '+' && text[0] != '-')
        return false;
    bool is_offset = (sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &n_read) == 2 ||
                             sscanf(text + 1, "%2u%2u%n", &hours, &minutes, &n_read) == 2) &&
                     strspn(text + 1, "0123456789:") == strlen(text + 1) &&
                     text[1 + n_read] == '\0' && hours < 24 && minutes < 60;
    if (is_offset)
        *ret_east_sec = (text[0] == '-' ? -1 : 1) * (int)(hours * 3600 + minutes * 60);
    return is_offset;
}

/* A day of the calendar, with what strptime() read of the clock. */
static bool is_day(const struct tm *parts)
{
    struct tm normal = *parts;
    return timegm(&normal) != -1 && normal.tm_mday == parts->tm_mday &&
           normal.tm_mon == parts->tm_mon && normal.tm_sec == parts->tm_sec;
}

static time_t next_on_the_clock(const struct tm *clock, time_t now)
{
    struct tm day;
    if (!localtime_r(&now, &day))
        return -1;
    /* The third day serves for a time that the change to daylight saving leaves out of a day. */
    for (int i = 0; i < 3; i++) {
        struct tm parts = day;
        parts.tm_mday += i;
        parts.tm_hour = clock->tm_hour;
        parts.tm_min = clock->tm_min;
        parts.tm_sec = clock->tm_sec;
        parts.tm_isdst = -1;
        time_t sec = mktime(&parts);
        if (sec > now && parts.tm_hour == clock->tm_hour && parts.tm_min == clock->tm_min)
            return sec;
    }
    return -1;
}

static bool read_unix_time(const char *text, time_t *ret_sec)
{
    unsigned long long sec;
    int n_read = 0;
    if (strspn(text, "0123456789") != strlen(text) ||
            sscanf(text, "%12llu%n", &sec, &n_read) != 1 || text[n_read] != '\0')
        return false;
    *ret_sec = (time_t)sec;
    return true;
}

static bool read_point(const char *text, time_t now, time_t *ret_sec)
{
    if (text[0] == '@')
        return read_unix_time(text + 1, ret_sec);
    for (size_t i = 0; i < ELEMENTS(formats); i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *rest = strptime(text, formats[i].format, &parts);
        int east_sec;
        if (!rest || (formats[i].has_date && !is_day(&parts)))
            continue;
        if (rest[0] == '\0')
            *ret_sec = formats[i].has_date ? mktime(&parts) : next_on_the_clock(&parts, now);
        else if (formats[i].has_date && read_zone(rest, &east_sec))
            *ret_sec = timegm(&parts) - east_sec;
        else
            continue;
        return *ret_sec >= 0;
    }
    return false;
}

int when_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec, ErrorText *error)
{
    time_t sec;
    if (!read_point(text, (time_t)(now_usec / USEC_PER_SEC), &sec))
        return error_say(error, -EINVAL,
                "'%s' is no time; write 03:00, 2026-11-24 or '2026-11-24 03:00'", text);
    if ((uint64_t)sec * USEC_PER_SEC <= now_usec)
        return error_say(error, -EINVAL, "'%s' has passed", text);
    *ret_usec = (uint64_t)sec * USEC_PER_SEC;
    return 0;
}

int when_parse_end(const char *text, uint64_t now_usec, uint64_t *ret_usec, ErrorText *error)
{
    static const char until[] = "until ";
    if (strncmp(text, until, strlen(until)) == 0)
        return when_parse(text + strlen(until), now_usec, ret_usec, error);
    uint64_t duration_usec;
    int r = duration_parse(text, &duration_usec);
    if (r == -ERANGE)
        return error_say(error, r, "'%s' is more than a year", text);
    if (r == 0 && duration_usec == 0)
        return error_say(error, -EINVAL, "'%s' is no time at all; write 30m or 4h", text);
    if (r == 0) {
        *ret_usec = now_usec + duration_usec;
        return 0;
    }
    if (when_parse(text, now_usec, ret_usec, NULL) == 0)
        return 0;
    return error_say(error, -EINVAL,
            "'%s' is neither a duration such as 90m, 4h or 2d nor a time to come such as 03:00 or "
            "'2026-11-24 03:00'",
            text);
}
