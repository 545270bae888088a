/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/watch/bus-link.h"

#include <stdbool.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"

/* sd-bus says by signals of its own that it is connected and that it is not any more. The end of a
 * connection is handled in the next turn of the loop, when none of its callbacks runs. */

#define RETRY_MIN_USEC (USEC_PER_SEC / 4)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)
#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"
#define LOCAL_SENDER "org.freedesktop.DBus.Local"
#define LOCAL_PATH "/org/freedesktop/DBus/Local"

struct BusLink {
    sd_event *event;
    char *address;
    const BusLinkHandlers *handlers;
    void *userdata;
    sd_bus *bus; /* NULL: none is tried now */
    sd_bus_slot *up_match;
    sd_bus_slot *down_match;
    bool is_up;
    sd_event_source *timer; /* the next try, or the end of this one */
    unsigned n_failures;
};

static void drop(BusLink *link)
{
    link->up_match = sd_bus_slot_unref(link->up_match);
    link->down_match = sd_bus_slot_unref(link->down_match);
    link->bus = sd_bus_close_unref(link->bus);
}

static int on_try(sd_event_source *source, uint64_t usec, void *userdata);

static void try_in(BusLink *link, uint64_t wait_usec)
{
    int r;
    if (!link->timer) {
        r = sd_event_add_time_relative(
                link->event, &link->timer, CLOCK_BOOTTIME, wait_usec, 0, on_try, link);
    } else {
        r = sd_event_source_set_time_relative(link->timer, wait_usec);
        if (r >= 0)
            r = sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
    }
    if (r < 0)
        log_error("cannot plan to reach the bus again: %s", strerror(-r));
}

static void try_later(BusLink *link, int r)
{
    if (link->n_failures++ == 0)
        log_warning("cannot reach the bus at %s: %s; tried again until it is there", link->address,
                strerror(-r));
    uint64_t wait = backoff_usec(link->n_failures, RETRY_MIN_USEC, RETRY_MAX_USEC);
    try_in(link, backoff_jitter_usec(wait, wait / 4, random_uint64()));
}

static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)message;
    (void)error;
    BusLink *link = userdata;
    if (link->n_failures > 0)
        log_notice("the bus is there");
    link->n_failures = 0;
    link->is_up = true;
    link->handlers->on_up(link->bus, link->userdata);
    return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)message;
    (void)error;
    BusLink *link = userdata;
    try_in(link, 0);
    return 0;
}

static int open_bus(BusLink *link)
{
    int r = sd_bus_new(&link->bus);
    if (r >= 0)
        r = sd_bus_set_address(link->bus, link->address);
    if (r >= 0)
        r = sd_bus_set_bus_client(link->bus, true);
    if (r >= 0)
        r = sd_bus_set_connected_signal(link->bus, true);
    if (r >= 0)
        r = sd_bus_start(link->bus);
    if (r >= 0)
        r = sd_bus_attach_event(link->bus, link->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_match_signal(link->bus, &link->up_match, LOCAL_SENDER, LOCAL_PATH, LOCAL_SENDER,
                "Connected", on_connected, link);
    if (r >= 0)
        r = sd_bus_match_signal(link->bus, &link->down_match, LOCAL_SENDER, LOCAL_PATH,
                LOCAL_SENDER, "Disconnected", on_disconnected, link);
    return r;
}

/* Also where a connection has just ended. */
static int on_try(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    BusLink *link = userdata;
    bool was_tried = link->bus;
    if (link->is_up) {
        log_warning("the bus is gone; tried again until it is there");
        link->n_failures++;
        link->is_up = false;
        link->handlers->on_down(link->userdata);
    }
    drop(link);
    if (was_tried) {
        try_later(link, -ECONNRESET);
        return 0;
    }
    int r = open_bus(link);
    if (r < 0) {
        drop(link);
        try_later(link, r);
    }
    return 0;
}

int bus_link_new(sd_event *event, const char *address, const BusLinkHandlers *handlers,
        void *userdata, BusLink **ret_link)
{
    _cleanup_(bus_link_freep) BusLink *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    link->event = sd_event_ref(event);
    link->handlers = handlers;
    link->userdata = userdata;
    /* sd_bus_open_system() would be as good, but for the signal that says that it is there. */
    link->address = strdup(address ?: getenv("DBUS_SYSTEM_BUS_ADDRESS") ?: SYSTEM_BUS_ADDRESS);
    if (!link->address)
        return -ENOMEM;
    int r = sd_event_add_time_relative(event, &link->timer, CLOCK_BOOTTIME, 0, 0, on_try, link);
    if (r < 0)
        return r;
    *ret_link = TAKE_PTR(link);
    return 0;
}

void bus_link_free(BusLink *link)
{
    if (!link)
        return;
    sd_event_source_disable_unref(link->timer);
    if (link->bus)
        sd_bus_flush(link->bus);
    drop(link);
    sd_event_unref(link->event);
    free(link->address);
    free(link);
}
