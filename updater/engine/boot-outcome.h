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
    BOOT_NOT_GOOD_YET,  /* it runs it since an earlier start; nobody has marked it good so far */
    BOOT_FELL_BACK,     /* the machine came up in another slot, at once or before it was good */
    BOOT_IS_GOOD,       /* it booted and was marked good: its story ends */
    BOOT_UNKNOWN,       /* it cannot be told what runs, or what the table says: nothing is judged */
    BOOT_WAS_REPLACED,  /* the slot is being overwritten by a newer version, or was withdrawn */
} BootOutcome;

/* What is known now. */
typedef struct {
    const char *boot_id;       /* of this boot; "" when not known, which is never another boot */
    const char *running_label; /* "" when not known */
    /* Of the pending slot: */
    bool is_in_table; /* the table could be read and has it; without this the rest is false */
    bool is_foremost; /* its priority is above that of all others: the flip is in the table */
    bool is_good;     /* marked successful */
} BootFacts;

BootOutcome boot_outcome_of(const EngineState *state, const BootFacts *facts);
