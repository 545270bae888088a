/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether systemd's boot-complete.target is active: for boot-gate.c, which goes on from there. */

#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

#define BOOT_COMPLETE_UNIT "boot-complete.target"

typedef struct BootComplete BootComplete;

typedef enum {
    BOOT_COMPLETE_ASKING,     /* systemd has not answered yet, or not with the unit's state */
    BOOT_COMPLETE_WAITING,    /* not active (yet) */
    BOOT_COMPLETE_FAILED,     /* its start was tried and failed */
    BOOT_COMPLETE_NO_SYSTEMD, /* nobody has systemd's name on the bus */
    BOOT_COMPLETE_NO_UNIT,    /* systemd knows no such unit, or it is masked */
    BOOT_COMPLETE_ACTIVE,     /* nothing is asked any more */
} BootCompleteState;

/* bus is referenced and attached to event by its owner. on_change: state or text is another; never
 * from inside _new; freeing the object inside is allowed. Errors: -ENOMEM, errno of sd-bus. */
int boot_complete_new(sd_event *event, sd_bus *bus, void (*on_change)(void *userdata),
        void *userdata, BootComplete **ret_complete);
void boot_complete_free(BootComplete *complete);
DEFINE_CLEANUP(BootComplete *, boot_complete_free);

BootCompleteState boot_complete_state(const BootComplete *complete);

/* One line for a person; inside, until the next turn of the loop. */
const char *boot_complete_text(const BootComplete *complete);

/* Since when it is active (CLOCK_MONOTONIC); 0: not known. */
uint64_t boot_complete_since_usec(const BootComplete *complete);
