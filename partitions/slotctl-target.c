/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slotctl-target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/verbs.h"
#include "partitions/running-slot.h"

#define MOUNT_POINT "/usr"

void slotctl_target_done(SlotctlTarget *target)
{
    free(target->path);
    slot_disk_free(target->disk);
}

int slotctl_fail(const ErrorText *error)
{
    fprintf(stderr, SLOTCTL ": %s\n", error->line);
    return EXIT_FAILURE;
}

static int find_slot(SlotctlTarget *target, const char *name, ErrorText *error)
{
    Guid unique;
    size_t slot = slot_disk_find(target->disk, name);
    if (slot == SLOT_NONE && guid_from_text(name, &unique) >= 0)
        slot = slot_disk_find_unique(target->disk, &unique);
    if (slot != SLOT_NONE) {
        target->slot = slot;
        return 0;
    }
    size_t n_slots;
    const Slot *slots = slot_disk_slots(target->disk, &n_slots);
    char names[256] = "";
    for (size_t i = 0, n = 0; i < n_slots && n < sizeof(names); i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", slots[i].label);
    return error_say(error, -ENOENT, "%s has no slot '%s'; it has %s", target->path, name, names);
}

int slotctl_target_open(
        const SlotctlOptions *options, bool writable, SlotctlTarget *target, ErrorText *error)
{
    RunningSlot running;
    int found = running_slot_find(options->root, MOUNT_POINT, &running, error);
    if (!options->disk && found < 0)
        return error_say(error, found,
                "the running system's disk is not known: " MOUNT_POINT
                " is on no single partition; name the disk with --disk");
    target->options = options;
    target->path = strdup(options->disk ? options->disk : running.disk_path);
    if (!target->path)
        return error_say(error, -ENOMEM, "out of memory");
    const Guid *type = options->has_type ? &options->type : NULL;
    int r = slot_disk_open(target->path, writable, type, 0, &target->disk, error);
    if (r < 0)
        return r;
    target->running = found >= 0 ? running_slot_index(&running, target->disk) : SLOT_NONE;
    target->slot = SLOT_NONE;
    return options->slot ? find_slot(target, options->slot, error) : 0;
}

int slotctl_target_take_slot(int argc, char **argv, SlotctlOptions *options, bool is_needed)
{
    if (argc > 1 && options->slot) {
        verbs_usage_error(
                SLOTCTL, "the slot is given twice, '%s' and '%s'", options->slot, argv[1]);
        return -EINVAL;
    }
    if (argc > 1)
        options->slot = argv[1];
    if (is_needed && !options->slot) {
        verbs_usage_error(SLOTCTL, "%s needs to know which slot", argv[0]);
        return -EINVAL;
    }
    return 0;
}

const Slot *slotctl_target_slot(const SlotctlTarget *target, size_t slot)
{
    size_t n_slots;
    return &slot_disk_slots(target->disk, &n_slots)[slot];
}

static void say_damaged(
        const SlotctlTarget *target, const char *copy, GptFault fault, const char *other)
{
    fprintf(stderr,
            SLOTCTL ": %s: the %s copy of the partition table %s; the %s serves; run '" SLOTCTL
                    " repair'\n",
            target->path, copy, gpt_fault_text(fault), other);
}

int slotctl_target_judge_table(const SlotctlTarget *target)
{
    switch (slot_disk_health(target->disk)) {
    case TABLE_GOOD:
    case TABLE_UNREADABLE: /* such a target cannot be opened */
        return EXIT_SUCCESS;
    case TABLE_PRIMARY_BAD:
        say_damaged(target, "primary", slot_disk_primary_fault(target->disk), "backup");
        break;
    case TABLE_BACKUP_BAD:
        say_damaged(target, "backup", slot_disk_backup_fault(target->disk), "primary");
        break;
    case TABLE_COPIES_DIFFER:
        fprintf(stderr,
                SLOTCTL ": %s: the copies of the partition table differ, as after a power cut; the "
                        "primary counts; run '" SLOTCTL " repair'\n",
                target->path);
        break;
    }
    return EXIT_TABLE_DAMAGED;
}

int slotctl_target_none_usable(const SlotctlTarget *target)
{
    fprintf(stderr,
            SLOTCTL ": %s: no slot could boot: none has a priority and is successful or has tries "
                    "left; prioritize one\n",
            target->path);
    return EXIT_NONE_USABLE;
}
