/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/chooser.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/printable.h"
#include "partitions/slot-trailer.h"

#define LINE_BYTES (sizeof(ErrorText) + 256)

typedef struct {
    BootFirmware *firmware;
    SlotDisk *disk;
    const Slot *slots; /* inside disk */
    size_t n_slots;
    BootBits *bits;       /* what is chosen from */
    bool *is_passed_over; /* was tried in this start */
    bool is_unwritable;   /* tries cannot be spent */
} Chooser;

static void say(BootFirmware *firmware, const char *format, ...) _printf_(2, 3);
static void say(BootFirmware *firmware, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    printable_vformat(line, sizeof(line), format, arguments);
    va_end(arguments);
    firmware->operations->say(firmware, line);
}

/* Reads the table of a disk; *device is NULL afterwards where it has slots. */
static int open_disk(BlockDevice **device, SlotDisk **ret_disk, ErrorText *error)
{
    int r = slot_disk_new(*device, NULL, ret_disk, error);
    if (r >= 0)
        *device = NULL;
    return r;
}

/* The one of the disks that has slots. */
static int pick_disk(
        BootFirmware *firmware, BlockDevice **disks, size_t n_disks, SlotDisk **ret_disk)
{
    _cleanup_(slot_disk_freep) SlotDisk *found = NULL;
    for (size_t i = 0; i < n_disks; i++) {
        SlotDisk *disk;
        ErrorText error;
        int r = open_disk(&disks[i], &disk, &error);
        if (r == -ENXIO || r == -ENOMEDIUM)
            continue;
        if (r < 0) {
            say(firmware, "%s", error.line);
            continue;
        }
        if (found) {
            say(firmware, "%s and %s both have slots; start from the ESP of the one that is meant",
                    slot_disk_device(found)->name, slot_disk_device(disk)->name);
            slot_disk_free(disk);
            return -ENOTUNIQ;
        }
        found = disk;
    }
    if (!found)
        return -ENXIO;
    *ret_disk = TAKE_PTR(found);
    return 0;
}

static int search_others(BootFirmware *firmware, SlotDisk **ret_disk)
{
    BlockDevice *disks[BOOT_DISKS_MAX];
    size_t n_disks = firmware->operations->find_others(firmware, disks);
    int r = pick_disk(firmware, disks, n_disks, ret_disk);
    for (size_t i = 0; i < n_disks; i++)
        block_device_freep(&disks[i]);
    return r;
}

static int find_disk(BootFirmware *firmware, BlockDevice **own, SlotDisk **ret_disk)
{
    ErrorText error = {"the disk that this was started from is not known"};
    int r = *own ? open_disk(own, ret_disk, &error) : -ENXIO;
    if (r != -ENXIO && r != -ENOMEDIUM) {
        if (r < 0)
            say(firmware, "%s", error.line);
        return r;
    }
    r = search_others(firmware, ret_disk);
    if (r == -ENXIO)
        say(firmware, "%s; and no other disk has slots", error.line);
    return r;
}

/* The best slot that was not tried yet in this start. */
static size_t choose(Chooser *chooser)
{
    for (size_t i = 0; i < chooser->n_slots; i++) {
        const Slot *slot = &chooser->slots[i];
        chooser->bits[i] = (BootBits){
                .priority = chooser->is_passed_over[i] ? 0 : slot->priority,
                .tries = chooser->is_unwritable ? 0 : slot->tries,
                .successful = slot->successful,
                .starts = slot->starts,
        };
    }
    return boot_choice_next(chooser->bits, chooser->n_slots);
}

/* Says what was wrong with the table before it was written. */
static void say_repaired(
        BootFirmware *firmware, TableHealth health, GptFault primary, GptFault backup)
{
    switch (health) {
    case TABLE_GOOD:
    case TABLE_UNREADABLE:
        return;
    case TABLE_PRIMARY_BAD:
        say(firmware, "the primary copy of the partition table %s; it is rebuilt from the backup",
                gpt_fault_text(primary));
        return;
    case TABLE_BACKUP_BAD:
        say(firmware, "the backup copy of the partition table %s; it is rebuilt from the primary",
                gpt_fault_text(backup));
        return;
    case TABLE_COPIES_DIFFER:
        say(firmware,
                "the copies of the partition table differ; the backup is rebuilt from the primary");
        return;
    }
}

static void say_chosen(const Chooser *chooser, const Slot *slot)
{
    if (!chooser->is_unwritable && slot->tries > 0)
        say(chooser->firmware, "%s is chosen: priority %u, tries %u, of which one is spent now",
                slot->label, slot->priority, slot->tries);
    else
        say(chooser->firmware,
                "%s is chosen: priority %u, successful, started %u times since it was marked good",
                slot->label, slot->priority, slot->starts);
}

/* Spends a try of the chosen slot. False: it must not be started. */
static bool spend(Chooser *chooser, size_t index)
{
    SlotDisk *disk = chooser->disk;
    TableHealth health = slot_disk_health(disk);
    GptFault primary = slot_disk_primary_fault(disk), backup = slot_disk_backup_fault(disk);
    ErrorText error;

    if (chooser->is_unwritable)
        return true;
    if (slot_disk_spend_try_of(disk, index, &error) >= 0) {
        say_repaired(chooser->firmware, health, primary, backup);
        return true;
    }
    chooser->is_unwritable = true;
    say(chooser->firmware, "%s; so no try can be spent, and only a successful slot may boot",
            error.line);
    return chooser->slots[index].successful;
}

static int read_slot(const Chooser *chooser, const Slot *slot, uint64_t offset_bytes,
        size_t n_bytes, void *ret_data)
{
    BlockDevice *device = slot_disk_device(chooser->disk);
    Lba first = lba((slot->offset_bytes + offset_bytes) / device->sector_bytes);
    return block_device_read(device, first, n_bytes / device->sector_bytes, ret_data);
}

static LoadResult refuse(ErrorText *error, const char *reason)
{
    error_say(error, 0, "%s", reason);
    return LOAD_REFUSED;
}

/* Reads the image to memory, n_bytes of whole sectors, checked before the firmware sees it. */
static LoadResult load_checked(const Chooser *chooser, const Slot *slot, const SlotTrailer *trailer,
        void *memory, size_t n_bytes, ErrorText *error)
{
    if (read_slot(chooser, slot, trailer->uki_offset, n_bytes, memory) < 0)
        return refuse(error, "its kernel image cannot be read");
    Sha256 sum = sha256_of(memory, (size_t)trailer->uki_bytes);
    if (memcmp(sum.bytes, trailer->uki_sha256.bytes, SHA256_BYTES) != 0)
        return refuse(error, "its kernel image has a wrong checksum");
    return chooser->firmware->operations->load(
            chooser->firmware, slot, memory, (size_t)trailer->uki_bytes, error);
}

static LoadResult load_uki(
        const Chooser *chooser, const Slot *slot, const SlotTrailer *trailer, ErrorText *error)
{
    BootFirmware *firmware = chooser->firmware;
    uint32_t sector_bytes = slot_disk_sector_bytes(chooser->disk);
    /* At most SLOT_TRAILER_UKI_MAX_BYTES, and the slot goes on for a trailer's length. */
    size_t n_bytes = (size_t)(u64_div_round_up(trailer->uki_bytes, sector_bytes) * sector_bytes);
    void *memory = firmware->operations->allocate(firmware, n_bytes);
    if (!memory) {
        error_say(error, 0, "there is no memory for its kernel image of %zu bytes", n_bytes);
        return LOAD_HINDERED;
    }
    LoadResult result = load_checked(chooser, slot, trailer, memory, n_bytes, error);
    firmware->operations->release(firmware, memory, n_bytes);
    return result;
}

/* A label becomes part of a path, so it has to be a plain name. */
static bool is_file_name(const char *label)
{
    for (const char *c = label; *c; c++)
        if (!((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
                    *c == '-' || *c == '_' || (*c == '.' && c != label)))
            return false;
    return label[0] != '\0';
}

/* Loads the slot's image; *ret_trailer stays empty where it has none of its own. */
static LoadResult load(
        const Chooser *chooser, const Slot *slot, SlotTrailer *ret_trailer, ErrorText *error)
{
    BootFirmware *firmware = chooser->firmware;
    uint8_t block[SLOT_TRAILER_BYTES];
    TrailerFault fault = TRAILER_ABSENT;
    if (slot->size_bytes >= sizeof(block)) {
        if (read_slot(chooser, slot, slot->size_bytes - sizeof(block), sizeof(block), block) < 0)
            return refuse(error, "its trailer cannot be read");
        fault = slot_trailer_parse(block, slot->size_bytes, ret_trailer);
    }
    if (fault != TRAILER_VALID && fault != TRAILER_ABSENT) {
        error_say(error, 0, "its trailer %s", slot_trailer_fault_text(fault));
        return LOAD_REFUSED;
    }
    if (fault == TRAILER_VALID && ret_trailer->uki_bytes > 0)
        return load_uki(chooser, slot, ret_trailer, error);
    if (!is_file_name(slot->label))
        return refuse(error, "it has no kernel image, and its label is no name for a file");
    return firmware->operations->load_file(firmware, slot->label, error);
}

/* Takes the priority of a slot that cannot be loaded. */
static void demote(Chooser *chooser, size_t index, const ErrorText *reason)
{
    const char *label = chooser->slots[index].label;
    ErrorText error = {"the disk cannot be written"};
    int r = chooser->is_unwritable ? -EROFS : slot_disk_mark_bad(chooser->disk, index, &error);
    if (r >= 0)
        say(chooser->firmware, "%s cannot be loaded: %s; it does not boot until it is prioritized",
                label, reason->line);
    else if (r == -EPERM)
        say(chooser->firmware,
                "%s cannot be loaded: %s; it keeps its priority, as no other slot could boot",
                label, reason->line);
    else
        say(chooser->firmware, "%s cannot be loaded: %s; its priority stays: %s", label,
                reason->line, error.line);
    if (r < 0 && r != -EPERM)
        chooser->is_unwritable = true;
}

static void start(const Chooser *chooser, const Slot *slot, const SlotTrailer *trailer)
{
    BootFirmware *firmware = chooser->firmware;
    char partuuid[GUID_TEXT_CHARS + 1];
    ErrorText error = {0};
    guid_to_text(&slot->unique, partuuid);
    if (firmware->operations->announce(firmware, partuuid) < 0)
        say(firmware, "the variable with the slot's name cannot be set; the system may not find %s",
                slot->label);
    if (trailer->product[0])
        say(firmware, "%s is started: %s %s", slot->label, trailer->product, trailer->version);
    else
        say(firmware, "%s is started: \\EFI\\flipside\\%s.efi", slot->label, slot->label);
    firmware->operations->arm_watchdog(firmware);
    firmware->operations->start(firmware, &error);
    say(firmware, "%s came back: %s", slot->label, error.line);
}

static void try_slot(Chooser *chooser, size_t index)
{
    const Slot *slot = &chooser->slots[index];
    SlotTrailer trailer = {0};
    ErrorText error = {0};
    say_chosen(chooser, slot);
    chooser->firmware->operations->arm_watchdog(chooser->firmware);
    if (!spend(chooser, index))
        return;
    switch (load(chooser, slot, &trailer, &error)) {
    case LOAD_DONE:
        start(chooser, slot, &trailer);
        return;
    case LOAD_REFUSED:
        demote(chooser, index, &error);
        return;
    case LOAD_HINDERED:
        say(chooser->firmware, "%s cannot be loaded: %s", slot->label, error.line);
        return;
    }
}

void chooser_run(BootFirmware *firmware, BlockDevice **own)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (find_disk(firmware, own, &disk) < 0)
        return;
    Chooser chooser = {.firmware = firmware, .disk = disk};
    chooser.slots = slot_disk_slots(disk, &chooser.n_slots);
    _cleanup_free_ BootBits *bits = calloc(chooser.n_slots, sizeof(*bits));
    _cleanup_free_ bool *is_passed_over = calloc(chooser.n_slots, sizeof(*is_passed_over));
    if (!bits || !is_passed_over) {
        say(firmware, "out of memory");
        return;
    }
    chooser.bits = bits;
    chooser.is_passed_over = is_passed_over;

    for (;;) {
        size_t slot = choose(&chooser);
        if (slot == SLOT_NONE)
            break;
        is_passed_over[slot] = true;
        try_slot(&chooser, slot);
    }
    say(firmware, "%s has no slot left that could boot", slot_disk_device(disk)->name);
}
