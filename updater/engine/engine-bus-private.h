/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of EngineBus, shared by engine-bus.c and engine-bus-methods.c alone. */

#include <systemd/sd-bus.h>

#include "updater/engine/engine-bus.h"

struct EngineBus {
    sd_event *event;
    sd_bus *bus;
    sd_bus_slot *manager_slot;
    sd_bus_slot *flipside_slot;
    Engine *engine;          /* NULL until served */
    uid_t operator_uid;      /* 0: root alone */
    sd_bus_message *waiting; /* the call that on_finished answers */
    const char *sent_status; /* of the last StatusUpdate; static text */
    int sent_percent;
    uint64_t sent_usec; /* CLOCK_MONOTONIC */
};

/* The two interfaces; their userdata is the EngineBus, which has an engine by then. */
extern const sd_bus_vtable engine_bus_manager_vtable[];
extern const sd_bus_vtable engine_bus_flipside_vtable[];

/* Appends the tuple of GetStatus and StatusUpdate. Errors: of sd_bus_message_append. */
int engine_bus_append_status(sd_bus_message *message, const EngineStatus *status);
