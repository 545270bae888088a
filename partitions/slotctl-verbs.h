/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of slotctl, for common/verbs.h: each returns the program's exit code; context is a
 * SlotctlOptions. */

#include <stdbool.h>
#include <stdint.h>

#include "partitions/guid.h"

#define SLOTCTL "slotctl"

enum {
    EXIT_TABLE_DAMAGED = 3, /* one copy of the partition table is damaged, the other serves */
    EXIT_NONE_USABLE = 4,   /* no slot could boot */
    EXIT_ROTTEN = 5,        /* a slot does not hold what its trailer says */
    EXIT_UNVERIFIABLE = 6,  /* a slot has nothing to be verified by */
    EXIT_NOT_TOLD = 7,      /* boot-slot: nothing names the slot that was started */
    EXIT_NOT_THERE = 8,     /* boot-slot: no disk has it */
    EXIT_NOT_TRUSTED = 9,   /* boot-slot: its trailer is not what the command line vouches for */
    EXIT_NOT_GOOD = 10,     /* is-good: the slot is not marked good */
};

typedef struct {
    const char *disk; /* NULL: the one of the running system */
    const char *slot; /* label or PARTUUID; NULL: not named */
    const char *root; /* for running_slot_find() */
    bool has_type;
    Guid type;
    unsigned tries;
    bool spend;
    uint64_t wait_usec;
    bool json;
} SlotctlOptions;

int slotctl_status(int argc, char **argv, void *context);
int slotctl_next(int argc, char **argv, void *context);
int slotctl_prioritize(int argc, char **argv, void *context);
int slotctl_is_good(int argc, char **argv, void *context);
int slotctl_mark_good(int argc, char **argv, void *context);
int slotctl_mark_bad(int argc, char **argv, void *context);
int slotctl_verify(int argc, char **argv, void *context);
int slotctl_repair(int argc, char **argv, void *context);
int slotctl_boot_slot(int argc, char **argv, void *context);
