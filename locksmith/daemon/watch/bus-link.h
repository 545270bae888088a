/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A connection to the bus that comes and goes: made again with back-off for as long as it takes.
 * Whatever lives on a connection is made in on_up and released in on_down. Nothing blocks. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct BusLink BusLink;

typedef struct {
    void (*on_up)(sd_bus *bus, void *userdata); /* inside, until on_down */
    void (*on_down)(void *userdata);            /* after each on_up at most once */
} BusLinkHandlers;

/* address: NULL for the system bus; copied. handlers is borrowed for the link's life; never called
 * from inside _new. Freeing calls none. Errors: -ENOMEM, errno of sd-event. */
int bus_link_new(sd_event *event, const char *address, const BusLinkHandlers *handlers,
        void *userdata, BusLink **ret_link);
void bus_link_free(BusLink *link);
DEFINE_CLEANUP(BusLink *, bus_link_free);
