/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/time-zone.h"

#include <errno.h>
#include <stdlib.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/fd-io.h"

#define ZONES_FOLDER "/usr/share/zoneinfo"
#define MAX_NAME_CHARS 64
/* More than any zone was ever away from UTC, and less than ever lay between two changes of one
 * zone's offset, if both are taken together (tzdata 2025b: 16 h, and 95 h). */
#define MAX_OFFSET_SEC (26 * 60 * 60)

/* "TZ=" and what is in force. It is in the environment after the first use, and stays there. */
static char assignment[3 + sizeof(((TimeZone *)NULL)->tz)];
static TimeZone zone_at_start;
static const TimeZone utc = {.tz = "UTC0"};

static void put_zone(const TimeZone *zone)
{
    memcpy(assignment + 3, zone->tz, sizeof(zone->tz));
    tzset();
}

static int take_hold(void)
{
    if (assignment[0])
        return 0;
    const char *tz = getenv("TZ");
    bool is_usable = tz && strlen(tz) < sizeof(zone_at_start.tz);
    snprintf(zone_at_start.tz, sizeof(zone_at_start.tz), "%s", is_usable ? tz : ":/etc/localtime");
    memcpy(assignment, "TZ=", 3);
    memcpy(assignment + 3, zone_at_start.tz, sizeof(zone_at_start.tz));
    if (putenv(assignment) == 0)
        return 0;
    assignment[0] = '\0';
    return -ENOMEM;
}

static bool is_zone_name(const char *name)
{
    static const char allowed[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    size_t n_chars = strlen(name);
    return n_chars > 0 && n_chars <= MAX_NAME_CHARS && strspn(name, allowed) == n_chars &&
           name[0] != '/' && name[n_chars - 1] != '/';
}

/* Whether it is a zone's (RFC 8536) and none of the tables that lie beside them. */
static bool is_zone_file(const char *path)
{
    char magic[4];
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           fd_pread_full(fd, magic, sizeof(magic), 0) == 0 && memcmp(magic, "TZif", 4) == 0;
}

int time_zone_find(const char *name, TimeZone *ret_zone, ErrorText *error)
{
    int r = take_hold();
    if (r < 0)
        return r;
    if (name[0] == '\0' || strcmp(name, "localtime") == 0) {
        *ret_zone = zone_at_start;
        return 0;
    }
    if (strcmp(name, "UTC") == 0) {
        *ret_zone = utc;
        return 0;
    }
    TimeZone zone;
    memset(&zone, 0, sizeof(zone));
    bool is_found = is_zone_name(name) && strncmp(name, "right/", 6) != 0;
    if (is_found) {
        snprintf(zone.tz, sizeof(zone.tz), ":" ZONES_FOLDER "/%s", name);
        is_found = is_zone_file(zone.tz + 1);
    }
    if (!is_found)
        return error_say(error, -EINVAL,
                "there is no time zone %.64s in " ZONES_FOLDER
                "%s; write one such as Europe/Berlin, UTC or localtime",
                name, is_zone_file(ZONES_FOLDER "/Europe/Berlin") ? "" : " (is tzdata installed?)");
    *ret_zone = zone;
    return 0;
}

/* glibc looks at a file again only when TZ has changed since. */
void time_zone_enter(const TimeZone *zone)
{
    put_zone(&utc);
    put_zone(zone);
}

void time_zone_leave(void)
{
    put_zone(&zone_at_start);
}

static int64_t offset_sec(int64_t at_sec)
{
    time_t at = (time_t)at_sec;
    struct tm wall;
    return localtime_r(&at, &wall) ? wall.tm_gmtoff : 0;
}

int64_t time_zone_wall_sec(int64_t at_sec)
{
    return at_sec + offset_sec(at_sec);
}

/* The first moment after `before` with another offset than there, given that `after` has one. */
static int64_t find_change(int64_t before, int64_t after)
{
    int64_t old_offset_sec = offset_sec(before);
    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;
        if (offset_sec(middle) == old_offset_sec)
            before = middle;
        else
            after = middle;
    }
    return after;
}

int64_t time_zone_find_wall(int64_t wall_sec)
{
    int64_t before = wall_sec - MAX_OFFSET_SEC;
    int64_t after = wall_sec + MAX_OFFSET_SEC;
    int64_t old_offset_sec = offset_sec(before);
    int64_t new_offset_sec = offset_sec(after);
    if (old_offset_sec == new_offset_sec)
        return wall_sec - old_offset_sec;
    int64_t change = find_change(before, after);
    if (wall_sec - old_offset_sec < change)
        return wall_sec - old_offset_sec;
    return wall_sec - new_offset_sec > change ? wall_sec - new_offset_sec : change;
}
