/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether an update waits for its reboot, as the owner of com.coreos.update1 on the bus says: ours
 * or another update_engine with the same old interface. Asked when somebody takes the name, kept up
 * by StatusUpdate, whose sender is checked: everybody on the bus can send such a signal. Nothing
 * blocks. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct UpdateSignal UpdateSignal;

typedef enum {
    UPDATE_UNKNOWN, /* nobody has the name, or its owner has not answered */
    UPDATE_NONE,
    UPDATE_WAITS,
} UpdateState;

typedef struct {
    UpdateState state;
    const char *version; /* that waits, "" not known; inside, until the next turn of the loop */
} UpdateFacts;

/* bus is referenced, and attached to event by its owner; a bus that reconnects needs a new one.
 * on_change: state or version is another; never from inside _new; freeing it inside is allowed.
 * Errors: -ENOMEM, errno of sd-bus. */
int update_signal_new(sd_event *event, sd_bus *bus, void (*on_change)(void *userdata),
        void *userdata, UpdateSignal **ret_signal);
void update_signal_free(UpdateSignal *signal);
DEFINE_CLEANUP(UpdateSignal *, update_signal_free);

UpdateFacts update_signal_facts(const UpdateSignal *signal);

/* Asks again, because update_engine's ResetStatus sends no signal. on_done: once, never from
 * inside, when the facts are those of now, or are not known within 25 s; a second call takes the
 * place of the first. Errors: -ENOMEM, errno of sd-bus. */
int update_signal_refresh(UpdateSignal *signal, void (*on_done)(void *userdata));

/* What a status of update_engine means: whether operation is the one that waits for a reboot, and
 * into ret_version of n_bytes the version as it can be shown, "" for "0.0.0", which stands for none
 * given. Pure. */
UpdateState update_signal_understand(
        const char *operation, const char *version, char *ret_version, size_t n_bytes);
