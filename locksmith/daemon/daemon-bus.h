/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The daemon on D-Bus; the contract is in locksmith-bus.h. */

#include <systemd/sd-bus.h>

#include "common/cleanup.h"
#include "locksmith/daemon/locksmith.h"

typedef struct DaemonBus DaemonBus;

/* Shows locksmith (borrowed) on the bus (referenced) and asks for the name. on_taken: another
 * program has it; once, never from inside _new. Nothing blocks.
 * Errors: -ENOMEM, errno of sd-bus. */
int daemon_bus_new(sd_bus *bus, Locksmith *locksmith, void (*on_taken)(void *userdata),
        void *userdata, DaemonBus **ret_bus);
void daemon_bus_free(DaemonBus *bus);
DEFINE_CLEANUP(DaemonBus *, daemon_bus_free);

/* Something in the status is another. */
void daemon_bus_tell(DaemonBus *bus);
