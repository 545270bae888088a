/* SPDX-License-Identifier: Apache-2.0 */

/* Lines: now in seconds and the spread as a duration, with a blank between; default zone; Go's
 * start; its length; windows. What is missing is empty. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/window/duration.h"
#include "locksmith/window/reboot-calendar.h"
#include "tests/fuzz/fuzz.h"

#define YEAR_USEC (366 * USEC_PER_DAY)
#define LAST_USEC (UINT64_C(253402300800) * USEC_PER_SEC)

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_be_same(
        RebootCalendar *calendar, uint64_t now_usec, bool is_open, const RebootWindow *window)
{
    RebootWindow again = reboot_calendar_at(calendar, now_usec);
    must(!again.is_always_open && again.is_open == is_open);
    must(again.start_usec == window->start_usec && again.end_usec == window->end_usec);
}

/* What is promised of every answer, and that it does not depend on the moment of the question. */
static void check_answer(RebootCalendar *calendar, uint64_t now_usec)
{
    RebootWindow window = reboot_calendar_at(calendar, now_usec);
    if (window.is_always_open || now_usec >= LAST_USEC) {
        must(window.start_usec == 0 && window.end_usec == 0);
        must(window.is_open == window.is_always_open);
        return;
    }
    must(window.start_usec < window.end_usec && window.end_usec > now_usec);
    must(window.is_open == (window.start_usec <= now_usec));
    must(window.is_open || window.start_usec <= now_usec + 9 * USEC_PER_DAY ||
            window.end_usec - window.start_usec > USEC_PER_DAY); /* later by the spread */
    /* Of one that is open for a year it cannot be told when it began. */
    if (window.end_usec - window.start_usec >= YEAR_USEC || window.end_usec >= LAST_USEC)
        return;
    must_be_same(calendar, window.start_usec, true, &window);
    must_be_same(calendar, window.end_usec - 1, true, &window);
    if (!window.is_open)
        must_be_same(calendar, window.start_usec - 1, false, &window);
    RebootWindow next = reboot_calendar_at(calendar, window.end_usec);
    must(!next.is_open && next.start_usec > window.end_usec);
}

static const char *next_line(char **rest)
{
    const char *line = *rest ? strsep(rest, "\n") : NULL;
    return line ? line : "";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    char *text = malloc(n_bytes + 1);
    if (!text)
        abort();
    memcpy(text, data, n_bytes);
    text[n_bytes] = '\0';
    char *rest = text;
    const char *numbers = next_line(&rest);
    RebootCalendarOptions options = {.spread_seed = "3d1219c7c4c5404aaa1f6d2a48adfda4"};
    options.zone = next_line(&rest);
    options.start = next_line(&rest);
    options.length = next_line(&rest);
    options.windows = next_line(&rest);
    uint64_t now_sec = strtoull(numbers, NULL, 10);
    const char *blank = strchr(numbers, ' ');
    if (!blank || duration_parse(blank + 1, &options.spread_usec) < 0)
        options.spread_usec = 0;

    RebootCalendar *calendar = NULL;
    ErrorText error = {""};
    int r = reboot_calendar_new(&options, &calendar, &error);
    must((r == 0) == (calendar != NULL));
    must((r == 0) == (error.line[0] == '\0'));
    if (r == 0)
        check_answer(calendar,
                now_sec > UINT64_MAX / USEC_PER_SEC ? UINT64_MAX : now_sec * USEC_PER_SEC);
    reboot_calendar_free(calendar);
    free(text);
    return 0;
}
