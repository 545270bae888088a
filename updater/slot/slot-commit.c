/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-commit.h"

#include <errno.h>

static int find_again(const SlotDisk *disk, const char *disk_path, const Slot *slot,
        size_t *ret_index, ErrorText *error)
{
    size_t index = slot_disk_find_unique(disk, &slot->unique);
    if (index == SLOT_NONE)
        return error_say(error, -ESTALE, "the slot %s is gone from the partition table of %s",
                slot->label, disk_path);
    const Slot *now = &slot_disk_slots(disk, &(size_t){0})[index];
    if (now->offset_bytes != slot->offset_bytes || now->size_bytes != slot->size_bytes)
        return error_say(error, -ESTALE, "the slot %s was moved on %s during the install",
                slot->label, disk_path);
    *ret_index = index;
    return 0;
}

static bool is_touched(const SlotDisk *disk, size_t index)
{
    const Slot *slot = &slot_disk_slots(disk, &(size_t){0})[index];
    return slot->priority != 0 || slot->tries != 0 || slot->successful;
}

int slot_commit(const char *disk_path, const Slot *slot, unsigned tries, bool may_be_flipped,
        ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(disk_path, true, NULL, 0, &disk, error);
    if (r < 0)
        return r;
    size_t index = SLOT_NONE;
    r = find_again(disk, disk_path, slot, &index, error);
    if (r < 0)
        return r;
    if (!may_be_flipped && is_touched(disk, index))
        return error_say(error, -ESTALE,
                "someone made the slot %s bootable during the install: it is not flipped",
                slot->label);
    return slot_disk_flip(disk, index, tries, error);
}

int slot_commit_undo(const char *disk_path, const Slot *slot, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    size_t index = SLOT_NONE;
    int r = slot_disk_open(disk_path, true, NULL, 0, &disk, error);
    if (r >= 0)
        r = find_again(disk, disk_path, slot, &index, error);
    if (r < 0 || !is_touched(disk, index))
        return r;
    r = slot_disk_invalidate(disk, index, error);
    return r < 0 ? r : 1;
}
