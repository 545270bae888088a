/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A dbus-daemon of the test's own, and connections to it in the test's event loop. */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct PrivateBus PrivateBus;

/* Starts it and waits until it listens. Aborts the test on failure. */
PrivateBus *private_bus_new(void);
void private_bus_free(PrivateBus *bus); /* ends it */
DEFINE_CLEANUP(PrivateBus *, private_bus_free);

/* A new connection, attached to event. */
sd_bus *private_bus_connect(const PrivateBus *bus, sd_event *event);

/* Runs the loop until every message that connection has sent or was sent so far is handled. */
void private_bus_settle(sd_event *event, sd_bus *connection);

/* Runs the loop until is_so(userdata); fails the test after 20 s in which nothing happens. */
void private_bus_run_until(sd_event *event, bool (*is_so)(void *userdata), void *userdata);

/* Takes the name for the connection. */
void private_bus_own(sd_bus *connection, const char *name);
