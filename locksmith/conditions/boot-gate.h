/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether this boot was declared good: systemd's boot-complete.target is active, then a delay, then
 * the administrator's check command ends well. Waits for as long as it takes; what it waits for can
 * be seen. Logs the check's output and nothing else. Nothing blocks but fork. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

#define BOOT_GATE_UNIT "boot-complete.target"

typedef struct BootGate BootGate;

typedef enum {
    BOOT_GATE_ASKING,       /* systemd has not answered yet */
    BOOT_GATE_WAITING,      /* the target is not active (yet) */
    BOOT_GATE_FAILED,       /* its start was tried and failed; active later all the same: goes on */
    BOOT_GATE_NO_SYSTEMD,   /* nobody has systemd's name on the bus: decide; looked at again when
                             * somebody takes it */
    BOOT_GATE_NO_UNIT,      /* systemd knows no such unit, or it is masked: decide */
    BOOT_GATE_DELAYED,      /* the delay runs */
    BOOT_GATE_CHECKING,     /* the command runs */
    BOOT_GATE_CHECK_FAILED, /* it said no; runs again after check_retry_usec */
    BOOT_GATE_GOOD,         /* stays so */
} BootGateState;

const char *boot_gate_state_name(BootGateState state);

typedef struct {
    bool waits_for_target; /* false: the delay begins at once, and bus is not used */
    uint64_t delay_usec;   /* from when the target became active */
    const char *check;     /* for /bin/sh -c, "" none; its output goes to the log */
    uint64_t check_timeout_usec;
    uint64_t check_retry_usec; /* from its end to its next start */
} BootGateOptions;

/* bus is referenced and attached to event by its owner; NULL when waits_for_target is false, or
 * when there is no bus (BOOT_GATE_NO_SYSTEMD then). A bus that reconnects needs a new gate.
 * options is borrowed for the call. on_change: state or text is another; never from inside _new;
 * freeing the gate inside is allowed.
 * Errors: -ENOMEM, errno of sd-bus and sd-event. */
int boot_gate_new(sd_event *event, sd_bus *bus, const BootGateOptions *options,
        void (*on_change)(void *userdata), void *userdata, BootGate **ret_gate);
void boot_gate_free(BootGate *gate);
DEFINE_CLEANUP(BootGate *, boot_gate_free);

BootGateState boot_gate_state(const BootGate *gate);

/* One line for a person; inside, until the next turn of the loop. */
const char *boot_gate_text(const BootGate *gate);
