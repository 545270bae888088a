/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a verb of slotctl works on: the disk, the slot that runs, the slot that was named. All calls
 * block. */

#include <stdbool.h>
#include <stddef.h>

#include "partitions/slot-disk.h"
#include "partitions/slotctl-verbs.h"

typedef struct {
    const SlotctlOptions *options; /* borrowed */
    char *path;
    SlotDisk *disk;
    size_t running; /* SLOT_NONE where it is not on this disk, or not known */
    size_t slot;    /* the one that was named, or SLOT_NONE */
} SlotctlTarget;

/* Opens the disk that was named, or the one of the running system, and finds the slot that was
 * named. *target is to be ended by _done in any case. Errors: of slot_disk_open, -ENOENT no such
 * slot, errno; with error. */
int slotctl_target_open(
        const SlotctlOptions *options, bool writable, SlotctlTarget *target, ErrorText *error);
void slotctl_target_done(SlotctlTarget *target);

/* The verb's SLOT argument stands for --slot. Errors: -EINVAL, said on stderr. */
int slotctl_target_take_slot(int argc, char **argv, SlotctlOptions *options, bool is_needed);

/* A slot of the disk, inside target. */
const Slot *slotctl_target_slot(const SlotctlTarget *target, size_t slot);

/* Says on stderr what is wrong with the table, if anything is. Returns the exit code. */
int slotctl_target_judge_table(const SlotctlTarget *target);

/* Says on stderr that no slot could boot. Returns the exit code. */
int slotctl_target_none_usable(const SlotctlTarget *target);

/* Says the line on stderr. Returns the exit code. */
int slotctl_fail(const ErrorText *error);
