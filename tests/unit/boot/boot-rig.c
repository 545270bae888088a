/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/boot-rig.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

const DiskPlan RIG_PLAN = {
        .parts = {
                {.label = "EFI-SYSTEM", .is_other_type = true},
                {.label = "USR-A",
                        .priority = 1,
                        .successful = true,
                        .n_sectors = RIG_SLOT_SECTORS},
                {.label = "USR-B", .priority = 2, .tries = 3, .n_sectors = RIG_SLOT_SECTORS},
        }};

static void make_kernel(const char *label, uint8_t ret_kernel[static RIG_KERNEL_BYTES])
{
    memset(ret_kernel, 0x5a, RIG_KERNEL_BYTES);
    snprintf((char *)ret_kernel, RIG_KERNEL_BYTES, "kernel of %s", label);
}

SlotTrailer boot_rig_usual_trailer(const char *label)
{
    uint8_t kernel[RIG_KERNEL_BYTES];
    make_kernel(label, kernel);
    return (SlotTrailer){
            .fs_bytes = RIG_KERNEL_OFFSET,
            .uki_offset = RIG_KERNEL_OFFSET,
            .uki_bytes = RIG_KERNEL_BYTES,
            .uki_sha256 = sha256_of(kernel, sizeof(kernel)),
            .product = "demo",
            .version = "2.0",
    };
}

static uint64_t get64(const uint8_t *at)
{
    Le64 raw;
    memcpy(&raw, at, sizeof(raw));
    return le64_get(raw);
}

uint8_t *boot_rig_slot(BootRig *rig, uint32_t index, size_t *ret_n_bytes)
{
    const uint8_t *entry = disk_entry(&rig->made, false, index);
    uint64_t first = get64(entry + 32), last = get64(entry + 40);
    *ret_n_bytes = (size_t)(last - first + 1) * rig->made.plan.sector_bytes;
    return rig->made.data + first * rig->made.plan.sector_bytes;
}

uint8_t *boot_rig_trailer(BootRig *rig, uint32_t index)
{
    size_t n_bytes;
    uint8_t *slot = boot_rig_slot(rig, index, &n_bytes);
    return slot + n_bytes - SLOT_TRAILER_BYTES;
}

void boot_rig_put_trailer(BootRig *rig, uint32_t index, const SlotTrailer *trailer)
{
    slot_trailer_make(trailer, boot_rig_trailer(rig, index));
}

void boot_rig_init(BootRig *rig, const DiskPlan *plan)
{
    *rig = (BootRig){0};
    disk_make(plan, &rig->made);
    for (uint32_t i = 0; i < ELEMENTS(plan->parts) && plan->parts[i].label; i++) {
        size_t n_bytes;
        uint8_t *slot = boot_rig_slot(rig, i, &n_bytes);
        if (plan->parts[i].is_other_type || n_bytes < 4 * 4096)
            continue;
        SlotTrailer trailer = boot_rig_usual_trailer(plan->parts[i].label);
        make_kernel(plan->parts[i].label, slot + RIG_KERNEL_OFFSET);
        boot_rig_put_trailer(rig, i, &trailer);
    }
    fake_firmware_init(&rig->fake, &rig->recorder);
}

void boot_rig_done(BootRig *rig)
{
    if (rig->recorder.cache)
        recorder_done(&rig->recorder);
    disk_unmake(&rig->made);
}

void boot_rig_begin(BootRig *rig)
{
    recorder_init(&rig->recorder, &rig->made);
}

void boot_rig_run(BootRig *rig)
{
    if (!rig->recorder.cache)
        boot_rig_begin(rig);
    BlockDevice *own = &rig->recorder.device;
    chooser_run(&rig->fake.base, &own);
    /* What was used is freed, once; what was not is still the caller's. */
    ck_assert_uint_eq(rig->recorder.n_frees, own ? 0 : 1);
    ck_assert_uint_eq(rig->fake.n_allocated, 0);
}

void boot_rig_expect(BootRig *rig, const char *expected_trace)
{
    boot_rig_run(rig);
    ck_assert_str_eq(rig->fake.trace, expected_trace);
}
