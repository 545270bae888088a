/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-disk.h"

#include <errno.h>
#include <string.h>

/* A change is made on the bits of all slots in memory (boot-choice.h), put into the entries, and
 * written by gpt_disk_write(). The list of slots is made anew from the table after it, so that it
 * always tells what the table says. */

struct SlotDisk {
    BlockDevice *device; /* owned */
    GptDisk *gpt;
    Guid type;
    Slot *slots;
    BootBits *bits; /* those of the slots, for boot-choice.h */
    size_t n_slots;
};

static void set_bits(SlotDisk *disk, size_t slot, BootBits bits)
{
    disk->bits[slot] = bits;
    disk->slots[slot].priority = bits.priority;
    disk->slots[slot].tries = bits.tries;
    disk->slots[slot].successful = bits.successful;
    disk->slots[slot].starts = bits.starts;
}

static void add_slot(SlotDisk *disk, const GptHeader *header, uint32_t index)
{
    const GptEntry *entry = gpt_disk_entry(disk->gpt, index);
    uint64_t first = le64_get(entry->first_lba), last = le64_get(entry->last_lba);
    Slot *slot = &disk->slots[disk->n_slots];
    *slot = (Slot){
            .unique = entry->unique,
            .entry = index,
            .offset_bytes = first * header->geometry.sector_bytes,
            .size_bytes = (last - first + 1) * header->geometry.sector_bytes,
    };
    gpt_entry_label(entry, slot->label);
    set_bits(disk, disk->n_slots++, boot_bits_get(le64_get(entry->attributes)));
}

static bool is_slot(const SlotDisk *disk, uint32_t index)
{
    return guid_equal(&gpt_disk_entry(disk->gpt, index)->type, &disk->type);
}

static int read_slots(SlotDisk *disk)
{
    const GptHeader *header = gpt_disk_header(disk->gpt);
    size_t n_slots = 0;
    for (uint32_t i = 0; i < header->n_entries; i++)
        n_slots += is_slot(disk, i);
    disk->slots = calloc(n_slots + 1, sizeof(*disk->slots));
    disk->bits = calloc(n_slots + 1, sizeof(*disk->bits));
    if (!disk->slots || !disk->bits)
        return -ENOMEM;
    for (uint32_t i = 0; i < header->n_entries; i++)
        if (is_slot(disk, i))
            add_slot(disk, header, i);
    return 0;
}

/* What names a slot must name one. */
static int check_slots(const SlotDisk *disk, ErrorText *error)
{
    const char *name = disk->device->name;
    if (disk->n_slots == 0) {
        char type[GUID_TEXT_CHARS + 1];
        guid_to_text(&disk->type, type);
        return error_say(error, -ENXIO, "%s has no slot: no partition is of type %s", name, type);
    }
    for (size_t i = 1; i < disk->n_slots; i++)
        for (size_t k = 0; k < i; k++) {
            const Slot *a = &disk->slots[k], *b = &disk->slots[i];
            if (strcmp(a->label, b->label) == 0)
                return error_say(error, -ENOTUNIQ,
                        "%s has two slots labelled '%s', partitions %u and %u; rename one", name,
                        a->label, a->entry + 1, b->entry + 1);
            if (guid_equal(&a->unique, &b->unique))
                return error_say(error, -ENOTUNIQ,
                        "%s: the slots '%s' and '%s' have the same PARTUUID; change one", name,
                        a->label, b->label);
        }
    return 0;
}

/* A reader without a lock may have met a writer at work: what looks damaged is read once more
 * when no one writes. */
static int read_table(BlockDevice *device, GptDisk **ret_gpt, ErrorText *error)
{
    const BlockDeviceOperations *operations = device->operations;
    _cleanup_(gpt_disk_freep) GptDisk *gpt = NULL;
    int r = gpt_disk_new(device, &gpt, error);
    bool is_in_doubt = r == -ENOMEDIUM || (r >= 0 && gpt_disk_health(gpt) != TABLE_GOOD);

    if (is_in_doubt && !device->is_writable && operations->lock_for_reading &&
            operations->lock_for_reading(device) >= 0) {
        gpt_disk_free(TAKE_PTR(gpt));
        r = gpt_disk_new(device, &gpt, error);
        operations->unlock(device);
    }
    if (r < 0)
        return r;
    *ret_gpt = TAKE_PTR(gpt);
    return 0;
}

int slot_disk_new(BlockDevice *device, const Guid *type, SlotDisk **ret_disk, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return error_say(error, -ENOMEM, "out of memory");
    disk->type = type ? *type : GUID_TYPE_SLOT;
    int r = read_table(device, &disk->gpt, error);
    if (r < 0)
        return r;
    r = read_slots(disk);
    if (r < 0)
        return error_say(error, r, "out of memory");
    disk->device = device;
    r = check_slots(disk, error);
    if (r < 0) {
        disk->device = NULL; /* stays the caller's */
        return r;
    }
    *ret_disk = TAKE_PTR(disk);
    return 0;
}

void slot_disk_free(SlotDisk *disk)
{
    if (!disk)
        return;
    gpt_disk_free(disk->gpt);
    block_device_free(disk->device);
    free(disk->slots);
    free(disk->bits);
    free(disk);
}

const Slot *slot_disk_slots(const SlotDisk *disk, size_t *ret_n_slots)
{
    *ret_n_slots = disk->n_slots;
    return disk->slots;
}

size_t slot_disk_find(const SlotDisk *disk, const char *label)
{
    for (size_t i = 0; i < disk->n_slots; i++)
        if (strcmp(disk->slots[i].label, label) == 0)
            return i;
    return SLOT_NONE;
}

size_t slot_disk_find_unique(const SlotDisk *disk, const Guid *unique)
{
    for (size_t i = 0; i < disk->n_slots; i++)
        if (guid_equal(&disk->slots[i].unique, unique))
            return i;
    return SLOT_NONE;
}

size_t slot_disk_find_offset(const SlotDisk *disk, uint64_t offset_bytes)
{
    for (size_t i = 0; i < disk->n_slots; i++)
        if (disk->slots[i].offset_bytes == offset_bytes)
            return i;
    return SLOT_NONE;
}

BlockDevice *slot_disk_device(const SlotDisk *disk)
{
    return disk->device;
}

TableHealth slot_disk_health(const SlotDisk *disk)
{
    return gpt_disk_health(disk->gpt);
}

GptFault slot_disk_primary_fault(const SlotDisk *disk)
{
    return gpt_disk_primary_fault(disk->gpt);
}

GptFault slot_disk_backup_fault(const SlotDisk *disk)
{
    return gpt_disk_backup_fault(disk->gpt);
}

uint32_t slot_disk_sector_bytes(const SlotDisk *disk)
{
    return disk->device->sector_bytes;
}

size_t slot_disk_next(const SlotDisk *disk)
{
    return boot_choice_next(disk->bits, disk->n_slots);
}

static int check_slot(const SlotDisk *disk, size_t slot, ErrorText *error)
{
    if (slot < disk->n_slots)
        return 0;
    return error_say(error, -EINVAL, "%s has no such slot", disk->device->name);
}

static int check_tries(unsigned tries, ErrorText *error)
{
    if (tries >= 1 && tries <= SLOT_TRIES_MAX)
        return 0;
    return error_say(
            error, -EINVAL, "%u is no number of tries; 1 to %d would do", tries, SLOT_TRIES_MAX);
}

/* Begins a change of a slot: *ret_bits is a copy of all slots' bits, to be changed and given to
 * write_bits(). */
static int begin_change(const SlotDisk *disk, size_t slot, BootBits **ret_bits, ErrorText *error)
{
    int r = check_slot(disk, slot, error);
    if (r < 0)
        return r;
    BootBits *bits = calloc(disk->n_slots, sizeof(*bits));
    if (!bits)
        return error_say(error, -ENOMEM, "out of memory");
    memcpy(bits, disk->bits, disk->n_slots * sizeof(*bits));
    *ret_bits = bits;
    return 0;
}

static int write_bits(SlotDisk *disk, const BootBits *bits, ErrorText *error)
{
    if (!disk->device->is_writable)
        return error_say(error, -EROFS, "%s was opened for reading only", disk->device->name);
    for (size_t i = 0; i < disk->n_slots; i++) {
        uint32_t entry = disk->slots[i].entry;
        uint64_t attributes = le64_get(gpt_disk_entry(disk->gpt, entry)->attributes);
        gpt_disk_set_attributes(disk->gpt, entry, boot_bits_put(attributes, bits[i]));
    }
    int r = gpt_disk_write(disk->gpt, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < disk->n_slots; i++)
        set_bits(disk, i, bits[i]);
    return 0;
}

int slot_disk_repair(SlotDisk *disk, ErrorText *error)
{
    return write_bits(disk, disk->bits, error);
}

int slot_disk_spend_try_of(SlotDisk *disk, size_t slot, ErrorText *error)
{
    _cleanup_free_ BootBits *bits = NULL;
    int r = begin_change(disk, slot, &bits, error);
    if (r < 0)
        return r;
    boot_choice_spend(bits, disk->n_slots, slot);
    return write_bits(disk, bits, error);
}

int slot_disk_spend_try(SlotDisk *disk, size_t *ret_slot, ErrorText *error)
{
    size_t chosen = slot_disk_next(disk);
    if (chosen == SLOT_NONE)
        return error_say(error, -ENOENT,
                "%s has no slot that could boot: none has a priority and is successful or has "
                "tries left; prioritize one",
                disk->device->name);
    int r = slot_disk_spend_try_of(disk, chosen, error);
    if (r < 0)
        return r;
    *ret_slot = chosen;
    return 0;
}

int slot_disk_invalidate(SlotDisk *disk, size_t slot, ErrorText *error)
{
    _cleanup_free_ BootBits *bits = NULL;
    int r = begin_change(disk, slot, &bits, error);
    if (r < 0)
        return r;
    boot_choice_invalidate(bits, slot);
    return write_bits(disk, bits, error);
}

int slot_disk_flip(SlotDisk *disk, size_t slot, unsigned tries, ErrorText *error)
{
    _cleanup_free_ BootBits *bits = NULL;
    int r = check_tries(tries, error);
    if (r >= 0)
        r = begin_change(disk, slot, &bits, error);
    if (r < 0)
        return r;
    boot_choice_flip(bits, disk->n_slots, slot, tries);
    return write_bits(disk, bits, error);
}

int slot_disk_prioritize(SlotDisk *disk, size_t slot, unsigned tries, ErrorText *error)
{
    _cleanup_free_ BootBits *bits = NULL;
    int r = check_tries(tries, error);
    if (r >= 0)
        r = begin_change(disk, slot, &bits, error);
    if (r < 0)
        return r;
    boot_choice_prioritize(bits, disk->n_slots, slot, tries);
    return write_bits(disk, bits, error);
}

int slot_disk_mark_good(SlotDisk *disk, size_t slot, ErrorText *error)
{
    _cleanup_free_ BootBits *bits = NULL;
    int r = begin_change(disk, slot, &bits, error);
    if (r < 0)
        return r;
    boot_choice_mark_good(bits, slot);
    return write_bits(disk, bits, error);
}

int slot_disk_mark_bad(SlotDisk *disk, size_t slot, ErrorText *error)
{
    _cleanup_free_ BootBits *bits = NULL;
    int r = begin_change(disk, slot, &bits, error);
    if (r < 0)
        return r;
    boot_choice_invalidate(bits, slot);
    if (boot_choice_next(bits, disk->n_slots) == SLOT_NONE)
        return error_say(error, -EPERM,
                "no other slot than '%s' could boot; make another good or prioritize it first",
                disk->slots[slot].label);
    return write_bits(disk, bits, error);
}
