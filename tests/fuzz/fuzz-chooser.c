/* SPDX-License-Identifier: Apache-2.0 */

/* The boot chooser on a disk out of any bytes, with a firmware that answers as the input says. It
 * comes to an end; it starts each slot at most once, and none that may not boot; a try is spent on
 * the disk before the slot is started; and it writes nowhere but where the two copies of the table
 * are.
 *
 * The first byte: bit 0 sectors of 4096 bytes instead of 512; bit 1 the checksums of both copies
 * are made right first, and then those of the slots' trailers and kernels (bit 2); bit 3 the disk
 * is read-only; bit 4 it is huge: in its middle, between the input's halves, lie 2^50 sectors of
 * zeros. The second byte: how many writes succeed, 255 for all. Eight bytes: the firmware's answers
 * to the first loads, 0 to 3 as in `Answer`; then as the last. The rest is the disk. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "partitions/boot/chooser.h"
#include "partitions/slot-trailer.h"
#include "tests/fuzz/fuzz.h"

#define HEAD_BYTES 10
#define MAX_BYTES ((size_t)256 * 1024)
#define GAP_SECTORS (UINT64_C(1) << 50)
#define MEMORY_MAX_BYTES ((size_t)1 << 20)
#define SLOTS_MAX 64 /* that are looked at here */

enum { SECTORS_OF_4096 = 1, SEAL_TABLE = 2, SEAL_SLOTS = 4, READ_ONLY = 8, HUGE_DISK = 16 };

typedef enum { ANSWER_COMES_BACK, ANSWER_RUNS_ON, ANSWER_REFUSED, ANSWER_HINDERED } Answer;

typedef struct {
    BootFirmware base;
    BlockDevice device;
    uint8_t *data;
    uint64_t n_data_sectors, n_front_sectors;
    size_t n_writes_left;
    Lba first_usable, last_usable;

    const uint8_t *answers;
    size_t n_loads;
    Answer answer; /* to what was loaded last */
    char loaded[SLOT_LABEL_BYTES];
    size_t n_allocated;
    bool has_failed; /* a write */
    bool is_over;

    /* Before the chooser ran. */
    Slot slots[SLOTS_MAX];
    size_t n_slots;
    bool is_started[SLOTS_MAX];
} Machine;

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* The disk. */

static Machine *machine_of(BlockDevice *device)
{
    return (Machine *)((uint8_t *)device - offsetof(Machine, device));
}

/* The bytes of a sector, or NULL in the gap. */
static uint8_t *sector_at(Machine *machine, uint64_t sector)
{
    uint64_t n_gap = machine->device.n_sectors - machine->n_data_sectors;
    if (sector >= machine->n_front_sectors) {
        if (sector - machine->n_front_sectors < n_gap)
            return NULL;
        sector -= n_gap;
    }
    return machine->data + sector * machine->device.sector_bytes;
}

static int disk_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data)
{
    size_t n = device->sector_bytes;
    for (size_t i = 0; i < n_sectors; i++) {
        const uint8_t *from = sector_at(machine_of(device), first.n + i);
        if (from)
            memcpy((uint8_t *)ret_data + i * n, from, n);
        else
            memset((uint8_t *)ret_data + i * n, 0, n);
    }
    return 0;
}

static int disk_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data)
{
    Machine *machine = machine_of(device);
    size_t n = device->sector_bytes;
    require(!machine->is_over && device->is_writable && n_sectors > 0);
    require(first.n >= 1 && first.n + n_sectors <= device->n_sectors);
    require(first.n + n_sectors <= machine->first_usable.n || first.n > machine->last_usable.n);
    machine->has_failed = machine->has_failed || machine->n_writes_left == 0;
    if (machine->has_failed)
        return -EIO;
    machine->n_writes_left -= machine->n_writes_left < UINT8_MAX;
    for (size_t i = 0; i < n_sectors; i++) {
        uint8_t *to = sector_at(machine, first.n + i);
        if (to)
            memcpy(to, (const uint8_t *)data + i * n, n);
    }
    return 0;
}

static int disk_flush(BlockDevice *device)
{
    return machine_of(device)->has_failed ? -EIO : 0;
}

static void disk_free(BlockDevice *device)
{
    (void)device;
}

static const BlockDeviceOperations DISK = {
        .read = disk_read,
        .write = disk_write,
        .flush = disk_flush,
        .free = disk_free,
};

/* The firmware. */

static Machine *upcast(BootFirmware *firmware)
{
    return (Machine *)firmware;
}

static void say(BootFirmware *firmware, const char *line)
{
    (void)firmware;
    for (const char *c = line; *c; c++)
        require((unsigned char)*c >= ' ' && *c != 0x7f);
}

static size_t find_others(BootFirmware *firmware, BlockDevice *ret_disks[static BOOT_DISKS_MAX])
{
    (void)firmware;
    (void)ret_disks;
    return 0;
}

static void *allocate(BootFirmware *firmware, size_t n_bytes)
{
    if (n_bytes > MEMORY_MAX_BYTES)
        return NULL;
    upcast(firmware)->n_allocated += n_bytes;
    return malloc(n_bytes);
}

static void release(BootFirmware *firmware, void *memory, size_t n_bytes)
{
    upcast(firmware)->n_allocated -= n_bytes;
    free(memory);
}

static void arm_watchdog(BootFirmware *firmware)
{
    (void)firmware;
}

static LoadResult answer(Machine *machine, const char *label, ErrorText *error)
{
    machine->answer = machine->answers[MIN(machine->n_loads, 7U)] & 3;
    machine->n_loads++;
    require(machine->n_loads <= machine->n_slots);
    if (machine->is_over)
        return LOAD_HINDERED;
    memcpy(machine->loaded, label, strlen(label) + 1);
    error_say(error, 0, "no");
    return machine->answer == ANSWER_REFUSED    ? LOAD_REFUSED
           : machine->answer == ANSWER_HINDERED ? LOAD_HINDERED
                                                : LOAD_DONE;
}

static LoadResult load(BootFirmware *firmware, const Slot *slot, const void *data, size_t n_bytes,
        ErrorText *error)
{
    Sha256 sum = sha256_of(data, n_bytes);
    require(n_bytes > 0 && n_bytes <= slot->size_bytes && sizeof(sum) > 0);
    return answer(upcast(firmware), slot->label, error);
}

static LoadResult load_file(BootFirmware *firmware, const char *name, ErrorText *error)
{
    require(name[0] && name[0] != '.' && !strpbrk(name, "/\\:*?\"<>| "));
    return answer(upcast(firmware), name, error);
}

static int announce(BootFirmware *firmware, const char *partuuid)
{
    require(strlen(partuuid) == GUID_TEXT_CHARS);
    return upcast(firmware)->answers[0] & 4 ? -EIO : 0;
}

static size_t find(const Slot *slots, size_t n_slots, const char *label)
{
    for (size_t i = 0; i < n_slots; i++)
        if (strcmp(slots[i].label, label) == 0)
            return i;
    abort();
}

/* The slot's bits as they were before the chooser ran, and as the disk has them now. */
static void check_started(const Slot *before, const Slot *now)
{
    bool is_spent = before->tries > 0 ? now->tries == before->tries - 1
                                      : now->starts > 0 && now->starts != before->starts;
    require(before->priority > 0 && (before->tries > 0 || before->successful));
    require(now->priority == before->priority && now->successful == before->successful);
    require(is_spent || before->successful); /* a disk that cannot be written */
}

static void start(BootFirmware *firmware, ErrorText *error)
{
    Machine *machine = upcast(firmware);
    SlotDisk *disk = NULL;
    size_t n_slots, i = find(machine->slots, machine->n_slots, machine->loaded);
    require(slot_disk_new(&machine->device, NULL, &disk, NULL) == 0);
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    check_started(&machine->slots[i], &slots[find(slots, n_slots, machine->loaded)]);
    slot_disk_free(disk);
    require(!machine->is_started[i] && machine->n_allocated == 0);
    machine->is_started[i] = true;
    error_say(error, 0, "came back");
    if (machine->answer == ANSWER_RUNS_ON) {
        machine->is_over = true;
        machine->device.is_writable = false;
    }
}

static const BootFirmwareOperations FIRMWARE = {
        .say = say,
        .find_others = find_others,
        .allocate = allocate,
        .release = release,
        .arm_watchdog = arm_watchdog,
        .load = load,
        .load_file = load_file,
        .announce = announce,
        .start = start,
};

/* Makes the checksums of a copy right, as far as its sizes are possible at all. */
static void seal_copy(Machine *machine, uint64_t lba)
{
    GptRawHeader raw;
    uint64_t array_bytes, n = machine->device.sector_bytes;
    uint8_t *sector = sector_at(machine, lba);
    memcpy(&raw, sector, sizeof(raw));
    size_t header_bytes = le32_get(raw.header_bytes);
    uint64_t first = le64_get(raw.entries_lba);
    uint8_t *array = first < machine->device.n_sectors ? sector_at(machine, first) : NULL;
    if (array && u64_mul(le32_get(raw.n_entries), le32_get(raw.entry_bytes), &array_bytes) &&
            array_bytes <= machine->n_data_sectors * n - (uint64_t)(array - machine->data))
        raw.entries_crc = le32(gpt_crc32(array, (size_t)array_bytes));
    raw.header_crc = le32(0);
    memcpy(sector, &raw, sizeof(raw));
    if (header_bytes < sizeof(raw) || header_bytes > n)
        return;
    raw.header_crc = le32(gpt_crc32(sector, header_bytes));
    memcpy(sector, &raw, sizeof(raw));
}

/* Makes the checksums of the slot's trailer and kernel right. */
static void seal_slot(Machine *machine, const Slot *slot)
{
    uint64_t n = machine->device.sector_bytes, end = slot->offset_bytes + slot->size_bytes;
    SlotTrailerRaw raw;
    if (slot->size_bytes < sizeof(raw))
        return;
    uint8_t *trailer = sector_at(machine, (end - sizeof(raw)) / n);
    if (!trailer || trailer + sizeof(raw) > machine->data + machine->n_data_sectors * n)
        return;
    memcpy(&raw, trailer, sizeof(raw));
    uint64_t offset = le64_get(raw.uki_offset), n_bytes = le64_get(raw.uki_bytes);
    if (offset < slot->size_bytes && n_bytes > 0 && n_bytes <= MEMORY_MAX_BYTES) {
        const uint8_t *kernel = sector_at(machine, (slot->offset_bytes + offset) / n);
        if (kernel && n_bytes <= (size_t)(machine->data + machine->n_data_sectors * n - kernel))
            memcpy(raw.uki_sha256, sha256_of(kernel, (size_t)n_bytes).bytes, SHA256_BYTES);
    }
    Sha256 sum = sha256_of(&raw, offsetof(SlotTrailerRaw, sha256));
    memcpy(raw.sha256, sum.bytes, SHA256_BYTES);
    memcpy(trailer, &raw, sizeof(raw));
}

/* Notes what the disk holds; false when it has no slots, or more than are looked at. */
static bool look(Machine *machine, bool are_slots_sealed)
{
    SlotDisk *disk = NULL;
    GptDisk *gpt = NULL;
    if (gpt_disk_new(&machine->device, &gpt, NULL) < 0)
        return false;
    machine->first_usable = gpt_disk_header(gpt)->first_usable;
    machine->last_usable = gpt_disk_header(gpt)->last_usable;
    gpt_disk_free(gpt);
    if (slot_disk_new(&machine->device, NULL, &disk, NULL) < 0)
        return false;
    const Slot *slots = slot_disk_slots(disk, &machine->n_slots);
    bool is_seen = machine->n_slots <= SLOTS_MAX;
    for (size_t i = 0; is_seen && i < machine->n_slots; i++) {
        machine->slots[i] = slots[i];
        if (are_slots_sealed)
            seal_slot(machine, &slots[i]);
    }
    slot_disk_free(disk);
    return is_seen;
}

static void run(Machine *machine, uint8_t mode)
{
    if (mode & SEAL_TABLE) {
        seal_copy(machine, GPT_PRIMARY_LBA);
        seal_copy(machine, machine->device.n_sectors - 1);
    }
    bool has_slots = look(machine, mode & SEAL_SLOTS);
    BlockDevice *own = &machine->device;
    if (!has_slots && machine->n_slots > 0)
        return;
    chooser_run(&machine->base, &own);
    require(has_slots == !own && machine->n_allocated == 0);
    SlotDisk *disk = NULL;
    require(!has_slots || slot_disk_new(&machine->device, NULL, &disk, NULL) == 0);
    slot_disk_free(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < HEAD_BYTES || n_bytes > MAX_BYTES)
        return -1;
    uint8_t mode = data[0];
    uint32_t sector_bytes = mode & SECTORS_OF_4096 ? 4096 : 512;
    size_t n_sectors = (n_bytes - HEAD_BYTES) / sector_bytes;
    if (n_sectors < 3)
        return -1;
    Machine *machine = calloc(1, sizeof(*machine));
    require(machine);
    *machine = (Machine){
            .base = {&FIRMWARE},
            .device = {.operations = &DISK,
                    .name = "disk",
                    .sector_bytes = sector_bytes,
                    .n_sectors = n_sectors + (mode & HUGE_DISK ? GAP_SECTORS : 0),
                    .is_writable = !(mode & READ_ONLY)},
            .data = malloc(n_sectors * sector_bytes),
            .n_data_sectors = n_sectors,
            .n_front_sectors = (n_sectors + 1) / 2,
            .n_writes_left = data[1],
            .answers = data + 2,
    };
    require(machine->data);
    memcpy(machine->data, data + HEAD_BYTES, n_sectors * sector_bytes);
    run(machine, mode);
    free(machine->data);
    free(machine);
    return 0;
}
