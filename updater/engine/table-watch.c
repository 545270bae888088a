/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/table-watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>

/* A node that goes, or gives its name to another, is told like a writer: who looks then has the
 * watch follow the path again. */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF)
#define MAX_PAUSES 5

struct TableWatch {
    sd_event *event;
    sd_event_source *source; /* NULL: nothing is watched */
    sd_event_source *timer;  /* enabled: somebody wrote, which is not told yet */
    uint64_t pause_usec;
    uint64_t latest_usec; /* CLOCK_MONOTONIC: when it is told, whoever still writes */
    void (*on_settled)(void *userdata);
    void *userdata;
};

void table_watch_wake(TableWatch *watch)
{
    uint64_t now = 0, planned_usec = 0;
    sd_event_now(watch->event, CLOCK_MONOTONIC, &now);
    int enabled = SD_EVENT_OFF;
    sd_event_source_get_enabled(watch->timer, &enabled);
    if (enabled == SD_EVENT_OFF)
        watch->latest_usec = now + MAX_PAUSES * watch->pause_usec;
    else
        sd_event_source_get_time(watch->timer, &planned_usec);
    /* Setting a timer that is due takes its turn from it, and so for ever. */
    if (planned_usec == watch->latest_usec)
        return;
    sd_event_source_set_time(watch->timer, MIN(now + watch->pause_usec, watch->latest_usec));
    sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    (void)source;
    (void)event;
    table_watch_wake(userdata);
    return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    TableWatch *watch = userdata;
    watch->on_settled(watch->userdata);
    return 0;
}

int table_watch_new(sd_event *event, uint64_t pause_usec, void (*on_settled)(void *userdata),
        void *userdata, TableWatch **ret_watch)
{
    _cleanup_(table_watch_freep) TableWatch *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (TableWatch){.event = sd_event_ref(event),
            .pause_usec = pause_usec,
            .on_settled = on_settled,
            .userdata = userdata};
    int r = sd_event_add_time(event, &watch->timer, CLOCK_MONOTONIC, 0, 1000, on_time, watch);
    if (r >= 0)
        r = sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
    if (r < 0)
        return r;
    *ret_watch = TAKE_PTR(watch);
    return 0;
}

void table_watch_free(TableWatch *watch)
{
    if (!watch)
        return;
    sd_event_source_disable_unref(watch->source);
    sd_event_source_disable_unref(watch->timer);
    sd_event_unref(watch->event);
    free(watch);
}

int table_watch_follow(TableWatch *watch, const char *path)
{
    sd_event_source *source = NULL;
    int r = sd_event_add_inotify(watch->event, &source, path, EVENTS, on_event, watch);
    /* In this order the kernel's watch of a node that is still the same stays. */
    sd_event_source_disable_unref(watch->source);
    watch->source = source;
    return MIN(r, 0);
}
