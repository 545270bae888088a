/* SPDX-License-Identifier: Apache-2.0 */

/* Each rule has one window for each day of its list, long before now and long after, so a question
 * is answered from the windows of the days around now; when one of them is open, neighbours are
 * joined to it, a few days at a time, until there is a gap on both sides. */

#include "locksmith/window/reboot-calendar.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/sha256.h"
#include "locksmith/window/time-zone.h"
#include "locksmith/window/window-rule.h"

#define SEC_PER_DAY (24 * 60 * 60)
#define SPAN_DAYS 9 /* looked at at once: a week, and by how much zones and gaps can move it */
#define MAX_WINDOW_DAYS 9 /* a week, likewise */
#define SPANS_PER_RULE (SPAN_DAYS + MAX_WINDOW_DAYS + 4)
#define YEAR_USEC (366 * USEC_PER_DAY)
#define LAST_USEC (INT64_C(253402300800) * (int64_t)USEC_PER_SEC) /* the year 10000 */

typedef struct {
    int64_t start_usec;
    int64_t end_usec;
} Span;

typedef struct {
    WindowRule rule;
    TimeZone zone;
} ZonedRule;

struct RebootCalendar {
    ZonedRule *rules;
    size_t n_rules; /* 0: always open */
    Span *spans;    /* room for those of SPAN_DAYS */
    uint64_t spread_usec;
    uint64_t spread_part; /* of 2^64 */
};

static bool is_set(const char *option)
{
    return option && option[0];
}

static int add_rule(RebootCalendar *calendar, const WindowRule *rule, const TimeZone *default_zone,
        ErrorText *error)
{
    ZonedRule *added = &calendar->rules[calendar->n_rules];
    *added = (ZonedRule){.rule = *rule, .zone = *default_zone};
    int r = rule->zone[0] ? time_zone_find(rule->zone, &added->zone, error) : 0;
    calendar->n_rules += r >= 0;
    return r;
}

static int add_windows(
        RebootCalendar *calendar, const char *text, const TimeZone *zone, ErrorText *error)
{
    _cleanup_free_ WindowRule *rules = NULL;
    size_t n_rules = 0;
    ErrorText why = {""};
    int r = window_rules_parse(text, &rules, &n_rules, &why);
    for (size_t i = 0; r >= 0 && i < n_rules; i++)
        r = add_rule(calendar, &rules[i], zone, &why);
    return r == -EINVAL ? error_say(error, r, "LOCKSMITHD_REBOOT_WINDOWS: %s", why.line) : r;
}

static int add_start_and_length(RebootCalendar *calendar, const char *start, const char *length,
        const TimeZone *zone, ErrorText *error)
{
    if (!is_set(start) || !is_set(length))
        return error_say(error, -EINVAL,
                "LOCKSMITHD_REBOOT_WINDOW_START and LOCKSMITHD_REBOOT_WINDOW_LENGTH belong "
                "together; set both of them or neither");
    WindowRule rule = {.days = 0};
    ErrorText why = {""};
    int r = window_start_parse(start, &rule, &why);
    if (r < 0)
        return error_say(error, r, "LOCKSMITHD_REBOOT_WINDOW_START: %s", why.line);
    r = window_length_parse(length, &rule.length_usec, &why);
    if (r < 0)
        return error_say(error, r, "LOCKSMITHD_REBOOT_WINDOW_LENGTH: %s", why.line);
    if (rule.days == WINDOW_EVERY_DAY && rule.length_usec >= USEC_PER_DAY)
        return error_say(error, -EINVAL,
                "LOCKSMITHD_REBOOT_WINDOW_LENGTH: it must be less than a day, because "
                "LOCKSMITHD_REBOOT_WINDOW_START names no day of the week");
    return add_rule(calendar, &rule, zone, error);
}

static int add_rules(
        RebootCalendar *calendar, const RebootCalendarOptions *options, ErrorText *error)
{
    TimeZone zone;
    ErrorText why = {""};
    int r = time_zone_find(options->zone ? options->zone : "", &zone, &why);
    if (r < 0)
        return error_say(error, r, "LOCKSMITHD_REBOOT_WINDOW_ZONE: %s", why.line);
    if (is_set(options->start) || is_set(options->length))
        r = add_start_and_length(calendar, options->start, options->length, &zone, error);
    if (r >= 0 && is_set(options->windows))
        r = add_windows(calendar, options->windows, &zone, error);
    return r;
}

/* Where in the spread this host is: steady, and as good as even over all hosts. */
static uint64_t spread_part(const char *seed)
{
    Sha256 digest = sha256_of(seed, strlen(seed));
    uint64_t part = 0;
    for (size_t i = 0; i < sizeof(part); i++)
        part = part << 8 | digest.bytes[i];
    return part;
}

int reboot_calendar_new(
        const RebootCalendarOptions *options, RebootCalendar **ret_calendar, ErrorText *error)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = calloc(1, sizeof(*calendar));
    if (!calendar)
        return -ENOMEM;
    calendar->rules = calloc(WINDOW_MAX_RULES + 1, sizeof(*calendar->rules));
    if (!calendar->rules)
        return -ENOMEM;
    calendar->spread_usec = options->spread_usec;
    calendar->spread_part = spread_part(options->spread_seed ? options->spread_seed : "");
    int r = add_rules(calendar, options, error);
    if (r < 0)
        return r;
    calendar->spans = calloc(calendar->n_rules * SPANS_PER_RULE + 1, sizeof(*calendar->spans));
    if (!calendar->spans)
        return -ENOMEM;
    *ret_calendar = TAKE_PTR(calendar);
    return 0;
}

void reboot_calendar_free(RebootCalendar *calendar)
{
    if (!calendar)
        return;
    free(calendar->rules);
    free(calendar->spans);
    free(calendar);
}

static int64_t floor_days(int64_t sec)
{
    return sec >= 0 ? sec / SEC_PER_DAY : -((-sec + SEC_PER_DAY - 1) / SEC_PER_DAY);
}

static int64_t floor_sec(int64_t usec)
{
    int64_t unit = (int64_t)USEC_PER_SEC;
    return usec >= 0 ? usec / unit : -((-usec + unit - 1) / unit);
}

static bool is_on(const WindowRule *rule, int64_t day)
{
    int64_t weekday = ((day + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    return rule->days & 1 << weekday;
}

/* The rule's window of that day, in its zone. */
static Span window_of(const WindowRule *rule, int64_t day)
{
    int64_t start_wall = day * SEC_PER_DAY + rule->start_min * 60;
    int64_t start = time_zone_find_wall(start_wall);
    int64_t length_usec = (int64_t)rule->length_usec;
    if (rule->wall_min > 0) {
        int64_t end = time_zone_find_wall(start_wall + rule->wall_min * 60);
        int64_t length_sec = end > start ? end - start : rule->wall_min * 60;
        length_usec = length_sec * (int64_t)USEC_PER_SEC;
    }
    int64_t start_usec = start * (int64_t)USEC_PER_SEC;
    return (Span){.start_usec = start_usec, .end_usec = start_usec + length_usec};
}

/* All windows that begin before to and end after from, SPAN_DAYS apart at most. */
static size_t collect(RebootCalendar *calendar, int64_t from_usec, int64_t to_usec)
{
    size_t n_spans = 0;
    const TimeZone *zone = NULL;
    for (size_t i = 0; i < calendar->n_rules; i++) {
        const ZonedRule *zoned = &calendar->rules[i];
        if (!zone || strcmp(zone->tz, zoned->zone.tz) != 0) {
            if (zone)
                time_zone_leave();
            zone = &zoned->zone;
            time_zone_enter(zone);
        }
        int64_t day = floor_days(time_zone_wall_sec(floor_sec(from_usec))) - MAX_WINDOW_DAYS;
        int64_t last_day = floor_days(time_zone_wall_sec(floor_sec(to_usec))) + 1;
        for (; day <= last_day; day++) {
            if (!is_on(&zoned->rule, day))
                continue;
            Span span = window_of(&zoned->rule, day);
            if (span.start_usec < to_usec && span.end_usec > from_usec)
                calendar->spans[n_spans++] = span;
        }
    }
    if (zone)
        time_zone_leave();
    assert(n_spans <= calendar->n_rules * SPANS_PER_RULE);
    return n_spans;
}

static int by_start(const void *a, const void *b)
{
    int64_t x = ((const Span *)a)->start_usec;
    int64_t y = ((const Span *)b)->start_usec;
    return x < y ? -1 : x > y;
}

static int by_end_backwards(const void *a, const void *b)
{
    int64_t x = ((const Span *)a)->end_usec;
    int64_t y = ((const Span *)b)->end_usec;
    return x > y ? -1 : x < y;
}

/* Joins what overlaps or follows without a gap, up to a year after now. */
static void join_later(RebootCalendar *calendar, int64_t now_usec, Span *span)
{
    int64_t reached_usec;
    do {
        reached_usec = span->end_usec;
        int64_t to_usec = reached_usec + SPAN_DAYS * (int64_t)USEC_PER_DAY;
        size_t n = collect(calendar, reached_usec, to_usec);
        qsort(calendar->spans, n, sizeof(Span), by_start);
        for (size_t i = 0; i < n && calendar->spans[i].start_usec <= span->end_usec; i++)
            span->end_usec = MAX(span->end_usec, calendar->spans[i].end_usec);
    } while (span->end_usec > reached_usec && span->end_usec < now_usec + (int64_t)YEAR_USEC);
}

static void join_earlier(RebootCalendar *calendar, int64_t now_usec, Span *span)
{
    int64_t reached_usec;
    do {
        reached_usec = span->start_usec;
        int64_t from_usec = reached_usec - SPAN_DAYS * (int64_t)USEC_PER_DAY;
        size_t n = collect(calendar, from_usec, reached_usec);
        qsort(calendar->spans, n, sizeof(Span), by_end_backwards);
        for (size_t i = 0; i < n && calendar->spans[i].end_usec >= span->start_usec; i++)
            span->start_usec = MIN(span->start_usec, calendar->spans[i].start_usec);
    } while (span->start_usec < reached_usec && span->start_usec > now_usec - (int64_t)YEAR_USEC);
}

/* The window that now is in, else the next one. There is always one: each rule has one a week. */
static Span find_window(RebootCalendar *calendar, int64_t now_usec)
{
    size_t n = collect(calendar, now_usec, now_usec + SPAN_DAYS * (int64_t)USEC_PER_DAY);
    assert(n > 0);
    Span found = calendar->spans[0];
    for (size_t i = 1; i < n; i++)
        if (calendar->spans[i].start_usec < found.start_usec)
            found = calendar->spans[i];
    if (found.start_usec <= now_usec)
        join_earlier(calendar, now_usec, &found);
    join_later(calendar, now_usec, &found);
    return found;
}

/* How much later than span this host's window begins, in whole seconds. */
static int64_t offset_in(const RebootCalendar *calendar, const Span *span)
{
    uint64_t length_usec = (uint64_t)(span->end_usec - span->start_usec);
    uint64_t room_usec = length_usec > WINDOW_MIN_USEC ? length_usec - WINDOW_MIN_USEC : 0;
    uint64_t range_usec = MIN(calendar->spread_usec, room_usec);
    unsigned __int128 product = (unsigned __int128)calendar->spread_part * range_usec;
    uint64_t offset_usec = (uint64_t)(product >> 64);
    return (int64_t)(offset_usec - offset_usec % USEC_PER_SEC);
}

RebootWindow reboot_calendar_at(RebootCalendar *calendar, uint64_t now_usec)
{
    if (calendar->n_rules == 0)
        return (RebootWindow){.is_always_open = true, .is_open = true};
    if (now_usec >= LAST_USEC)
        return (RebootWindow){.is_open = false};
    int64_t now = (int64_t)now_usec;
    Span span = find_window(calendar, now);
    if (span.start_usec <= now && span.end_usec >= now + (int64_t)YEAR_USEC)
        return (RebootWindow){.is_always_open = true, .is_open = true};
    int64_t start_usec = span.start_usec + offset_in(calendar, &span);
    return (RebootWindow){
            .is_open = start_usec <= now,
            .start_usec = (uint64_t)MAX(start_usec, 0),
            .end_usec = (uint64_t)span.end_usec,
    };
}
