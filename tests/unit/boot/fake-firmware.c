/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/fake-firmware.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static FakeFirmware *upcast(BootFirmware *firmware)
{
    return (FakeFirmware *)firmware;
}

static void note(FakeFirmware *fake, const char *format, ...) _printf_(2, 3);
static void note(FakeFirmware *fake, const char *format, ...)
{
    size_t n = strlen(fake->trace);
    va_list arguments;
    if (fake->is_over)
        return;
    va_start(arguments, format);
    vsnprintf(fake->trace + n, sizeof(fake->trace) - n, format, arguments);
    va_end(arguments);
    ck_assert_uint_lt(strlen(fake->trace) + 1, sizeof(fake->trace));
}

void fake_firmware_read_bits(const uint8_t *content, uint32_t sector_bytes, uint64_t n_sectors,
        char ret_text[static FAKE_STATE_BYTES])
{
    Recorder view;
    size_t n_slots, n = 0;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    recorder_view(&view, content, sector_bytes, n_sectors);
    if (slot_disk_new(&view.device, NULL, &disk, NULL) < 0) {
        snprintf(ret_text, FAKE_STATE_BYTES, "no table");
        return;
    }
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    for (size_t i = 0; i < n_slots && n < FAKE_STATE_BYTES; i++)
        n += (size_t)snprintf(ret_text + n, FAKE_STATE_BYTES - n, "%s[%s %u %u %s %u]",
                i > 0 ? " " : "", slots[i].label, slots[i].priority, slots[i].tries,
                slots[i].successful ? "good" : "-", slots[i].starts);
    ck_assert_uint_lt(n, FAKE_STATE_BYTES);
}

/* What is on the disk now, for the trace; it is kept. */
static const char *state(FakeFirmware *fake)
{
    static char text[FAKE_STATE_BYTES];
    const BlockDevice *device = &fake->disk->device;
    fake_firmware_read_bits(fake->disk->cache, device->sector_bytes, device->n_sectors, text);
    if (fake->is_over)
        return text;
    if (fake->n_states == 0 || strcmp(fake->states[fake->n_states - 1], text) != 0) {
        ck_assert_uint_lt(fake->n_states, FAKE_STATES_MAX);
        memcpy(fake->states[fake->n_states++], text, sizeof(text));
    }
    return text;
}

static bool names(const char *labels, const char *label)
{
    size_t n = strlen(label);
    for (const char *at = labels; at && *at; at += strspn(at, " ")) {
        size_t n_word = strcspn(at, " ");
        if (n_word == n && strncmp(at, label, n) == 0)
            return true;
        at += n_word;
    }
    return false;
}

static void fake_say(BootFirmware *firmware, const char *line)
{
    FakeFirmware *fake = upcast(firmware);
    ck_assert_ptr_null(strpbrk(line, "\r\n\t\033"));
    state(fake);
    note(fake, "say: %s\n", line);
}

static size_t fake_find_others(
        BootFirmware *firmware, BlockDevice *ret_disks[static BOOT_DISKS_MAX])
{
    FakeFirmware *fake = upcast(firmware);
    fake->n_searches++;
    for (size_t i = 0; i < fake->n_others; i++)
        ret_disks[i] = &fake->others[i].device;
    return fake->n_others;
}

static void *fake_allocate(BootFirmware *firmware, size_t n_bytes)
{
    FakeFirmware *fake = upcast(firmware);
    if (fake->has_no_memory)
        return NULL;
    void *memory = aligned_alloc(4096, (n_bytes + 4095) / 4096 * 4096);
    ck_assert_ptr_nonnull(memory);
    fake->n_allocated += n_bytes;
    return memory;
}

static void fake_release(BootFirmware *firmware, void *memory, size_t n_bytes)
{
    FakeFirmware *fake = upcast(firmware);
    ck_assert_uint_ge(fake->n_allocated, n_bytes);
    fake->n_allocated -= n_bytes;
    free(memory);
}

static void fake_arm_watchdog(BootFirmware *firmware)
{
    upcast(firmware)->is_watched = true;
}

/* A machine that hangs in what follows resets itself; and each such thing has all of the time. */
static void check_watchdog(FakeFirmware *fake)
{
    ck_assert(fake->is_watched);
    fake->is_watched = false;
}

/* What the firmware says to an image. */
static LoadResult judge(FakeFirmware *fake, const char *label, ErrorText *error)
{
    if (fake->is_over) /* the chooser does not know that it is */
        return LOAD_HINDERED;
    if (names(fake->refused, label)) {
        error_say(error, 0, "the firmware does not want it");
        return LOAD_REFUSED;
    }
    if (names(fake->hindered, label)) {
        error_say(error, 0, "out of resources");
        return LOAD_HINDERED;
    }
    snprintf(fake->loaded, sizeof(fake->loaded), "%s", label);
    return LOAD_DONE;
}

/* What the trace says of the disk is on the medium. */
static void check_flushed(const FakeFirmware *fake)
{
    const Recorder *disk = fake->disk;
    ck_assert(disk->n_steps == 0 || disk->steps[disk->n_steps - 1].is_flush ||
              disk->n_steps == disk->n_steps_allowed);
}

static LoadResult fake_load(BootFirmware *firmware, const Slot *slot, const void *data,
        size_t n_bytes, ErrorText *error)
{
    FakeFirmware *fake = upcast(firmware);
    check_flushed(fake);
    check_watchdog(fake);
    note(fake, "load: %s, %zu bytes; %s\n", (const char *)data, n_bytes, state(fake));
    return judge(fake, slot->label, error);
}

static LoadResult fake_load_file(BootFirmware *firmware, const char *name, ErrorText *error)
{
    FakeFirmware *fake = upcast(firmware);
    check_flushed(fake);
    check_watchdog(fake);
    note(fake, "load file: %s; %s\n", name, state(fake));
    return judge(fake, name, error);
}

static int fake_announce(BootFirmware *firmware, const char *partuuid)
{
    FakeFirmware *fake = upcast(firmware);
    note(fake, "announce: %s\n", partuuid);
    return fake->cannot_announce ? -EIO : 0;
}

/* What runs on leaves nothing for the chooser to do, which is told here by a disk that takes no
 * more writes. */
static void fake_start(BootFirmware *firmware, ErrorText *error)
{
    FakeFirmware *fake = upcast(firmware);
    check_watchdog(fake);
    note(fake, "start: %s; %s\n", fake->loaded, state(fake));
    ck_assert_uint_eq(fake->n_allocated, 0);
    error_say(error, 0, "aborted");
    if (names(fake->coming_back, fake->loaded))
        return;
    fake->is_over = true;
    fake->disk->device.is_writable = false;
}

static const BootFirmwareOperations OPERATIONS = {
        .say = fake_say,
        .find_others = fake_find_others,
        .allocate = fake_allocate,
        .release = fake_release,
        .arm_watchdog = fake_arm_watchdog,
        .load = fake_load,
        .load_file = fake_load_file,
        .announce = fake_announce,
        .start = fake_start,
};

void fake_firmware_init(FakeFirmware *fake, Recorder *disk)
{
    *fake = (FakeFirmware){.base = {&OPERATIONS}, .disk = disk};
}
