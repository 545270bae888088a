/* SPDX-License-Identifier: Apache-2.0 */

/* A small disk out of any bytes: it is read, changed and read again. Whatever was accepted must
 * stay what it was, but for the bits that were changed.
 *
 * The first byte: bit 0 sectors of 4096 bytes instead of 512; bit 1 the checksums of both copies
 * are made right first, so that what is behind them is reached; bit 2 the disk is longer by 20
 * sectors. The rest is the disk. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "partitions/slot-disk.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES ((size_t)256 * 1024)

static void require(bool holds)
{
    if (!holds)
        abort();
}

typedef struct {
    BlockDevice device;
    uint8_t *data; /* borrowed */
} Memory;

static int memory_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data)
{
    memcpy(ret_data, ((Memory *)device)->data + first.n * device->sector_bytes,
            n_sectors * device->sector_bytes);
    return 0;
}

static int memory_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data)
{
    memcpy(((Memory *)device)->data + first.n * device->sector_bytes, data,
            n_sectors * device->sector_bytes);
    return 0;
}

static int memory_flush(BlockDevice *device)
{
    (void)device;
    return 0;
}

static void memory_free(BlockDevice *device)
{
    (void)device;
}

static const BlockDeviceOperations MEMORY = {
        .read = memory_read,
        .write = memory_write,
        .flush = memory_flush,
        .free = memory_free,
};

/* Makes the checksums of a copy right, as far as its sizes are possible at all. */
static void seal(uint8_t *data, size_t n_bytes, size_t sector_bytes, size_t at)
{
    GptRawHeader raw;
    memcpy(&raw, data + at, sizeof(raw));
    size_t header_bytes = le32_get(raw.header_bytes);
    uint64_t array_bytes, start;
    if (u64_mul(le32_get(raw.n_entries), le32_get(raw.entry_bytes), &array_bytes) &&
            u64_mul(le64_get(raw.entries_lba), sector_bytes, &start) && start <= n_bytes &&
            array_bytes <= n_bytes - start)
        raw.entries_crc = le32(gpt_crc32(data + start, (size_t)array_bytes));
    raw.header_crc = le32(0);
    memcpy(data + at, &raw, sizeof(raw));
    if (header_bytes < sizeof(raw) || header_bytes > sector_bytes)
        return;
    raw.header_crc = le32(gpt_crc32(data + at, header_bytes));
    memcpy(data + at, &raw, sizeof(raw));
}

static void check_slot(const Slot *slot, size_t n_bytes)
{
    uint64_t end;
    require(u64_add(slot->offset_bytes, slot->size_bytes, &end) && end <= n_bytes);
    require(slot->size_bytes > 0 && slot->priority <= 15 && slot->tries <= 15);
    require(strlen(slot->label) < SLOT_LABEL_BYTES);
}

static bool slots_equal(const Slot *a, const Slot *b)
{
    return strcmp(a->label, b->label) == 0 && guid_equal(&a->unique, &b->unique) &&
           a->entry == b->entry && a->offset_bytes == b->offset_bytes &&
           a->size_bytes == b->size_bytes && a->priority == b->priority && a->tries == b->tries &&
           a->successful == b->successful;
}

/* Both list the same. */
static void compare(const SlotDisk *disk, const SlotDisk *again)
{
    size_t n_slots, n_again;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    const Slot *found = slot_disk_slots(again, &n_again);
    require(n_again == n_slots);
    for (size_t i = 0; i < n_slots; i++)
        require(slots_equal(&slots[i], &found[i]));
}

/* Flips each slot and looks at the disk again with fresh eyes. */
static void change(Memory *memory, size_t n_bytes)
{
    SlotDisk *disk = NULL, *again = NULL;
    ErrorText error;
    if (slot_disk_new(&memory->device, NULL, &disk, &error) < 0) {
        require(memchr(error.line, '\0', sizeof(error.line)) && error.line[0]);
        return;
    }
    size_t n_slots;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    require(n_slots > 0);
    for (size_t i = 0; i < n_slots; i++)
        check_slot(&slots[i], n_bytes);

    for (size_t i = 0; i < n_slots && i < 3; i++) {
        int r = slot_disk_flip(disk, i, 3, &error);
        if (r == -ENOSPC)
            break;
        require(r == 0 && slot_disk_next(disk) == i && slot_disk_health(disk) == TABLE_GOOD);
        require(slot_disk_new(&memory->device, NULL, &again, &error) == 0);
        require(slot_disk_health(again) == TABLE_GOOD && slot_disk_next(again) == i);
        compare(disk, again);
        slot_disk_free(again);
    }
    slot_disk_free(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < 1 || n_bytes > MAX_BYTES)
        return -1;
    uint8_t mode = data[0];
    size_t sector_bytes = mode & 1 ? 4096 : 512;
    size_t n_used = (n_bytes - 1) / sector_bytes * sector_bytes;
    size_t n_disk = n_used + (mode & 4 ? 20 * sector_bytes : 0);
    uint8_t *disk = calloc(1, n_disk + 1);
    require(disk);
    memcpy(disk, data + 1, n_used);
    if (mode & 2 && n_used >= 3 * sector_bytes) {
        seal(disk, n_used, sector_bytes, sector_bytes);
        seal(disk, n_used, sector_bytes, n_used - sector_bytes);
    }
    Memory memory = {.device =
                             {
                                     .operations = &MEMORY,
                                     .name = "memory",
                                     .sector_bytes = (uint32_t)sector_bytes,
                                     .n_sectors = n_disk / sector_bytes,
                                     .is_writable = true,
                             },
            .data = disk};
    change(&memory, n_disk);
    free(disk);
    return 0;
}
