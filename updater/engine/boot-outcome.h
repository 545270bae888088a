/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What became of the slot that was chosen before this start of the daemon (promise 8). Pure. */

#include <stdbool.h>

#include "updater/engine/engine-state.h"

typedef enum {
    BOOT_NOTHING_PENDING,
    BOOT_STILL_PENDING, /* the machine has not rebooted since: the reboot is still to come */
    BOOT_NEVER_FLIPPED, /* power or the daemon went before the flip: to be installed again */
    BOOT_INTO_PENDING,  /* the machine runs what was chosen */
    BOOT_FELL_BACK,     /* the machine rebooted and came up in another slot */
    BOOT_UNKNOWN,       /* it rebooted, but it cannot be told what runs: nobody is to blame */
    BOOT_WAS_REPLACED,  /* the slot is being overwritten by a newer version */
} BootOutcome;

/* What is known now. */
typedef struct {
    const char *boot_id;       /* of this boot; "" when not known, which is never another boot */
    const char *running_label; /* "" when not known */
    bool is_choosable;         /* the pending slot's priority is above 0 */
} BootFacts;

BootOutcome boot_outcome_of(const EngineState *state, const BootFacts *facts);
