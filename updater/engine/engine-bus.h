/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine on D-Bus; the contract is in bus-names.h. */

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/engine/engine.h"

typedef struct EngineBus EngineBus;

/* Connects to the bus at address, NULL: the system bus. When the connection ends later, the loop
 * exits with EXIT_FAILURE. operator_name: a user who may call AttemptUpdate and ResetStatus besides
 * root; NULL or one that does not exist: nobody. event is referenced. Blocks until the bus has
 * answered. Errors: errno, with error. */
int engine_bus_new(sd_event *event, const char *address, const char *operator_name,
        EngineBus **ret_bus, ErrorText *error);

/* The engine must have been freed before. */
void engine_bus_free(EngineBus *bus);
DEFINE_CLEANUP(EngineBus *, engine_bus_free);

/* What the engine is to be made with, its userdata being the bus. */
extern const EngineObserver engine_bus_observer;

/* Shows engine (borrowed) and takes the name. Errors: -EEXIST another has the name, errno. */
int engine_bus_serve(EngineBus *bus, Engine *engine, ErrorText *error);
