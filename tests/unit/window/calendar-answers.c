/* SPDX-License-Identifier: Apache-2.0 */

/* What the calendar says, for second-opinion.py. From stdin, a line each: default zone, windows,
 * now in seconds, with tabs between; to stdout: open or closed or always, start and end in seconds.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/window/reboot-calendar.h"

static int answer(const char *zone, const char *windows, uint64_t now_usec)
{
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = NULL;
    ErrorText error = {""};
    RebootCalendarOptions options = {.zone = zone, .windows = windows};
    if (reboot_calendar_new(&options, &calendar, &error) < 0) {
        fprintf(stderr, "%s\n", error.line);
        return -1;
    }
    RebootWindow window = reboot_calendar_at(calendar, now_usec);
    printf("%s %" PRIu64 " %" PRIu64 "\n",
            window.is_always_open ? "always"
            : window.is_open      ? "open"
                                  : "closed",
            window.start_usec / USEC_PER_SEC, window.end_usec / USEC_PER_SEC);
    return 0;
}

int main(void)
{
    char line[1024];
    while (fgets(line, sizeof(line), stdin)) {
        const char *zone = strtok(line, "\t");
        const char *windows = strtok(NULL, "\t");
        const char *now = strtok(NULL, "\n");
        if (!now || answer(zone, windows, strtoull(now, NULL, 10) * USEC_PER_SEC) < 0)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
