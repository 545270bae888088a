/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A disk with slots that hold a kernel and a trailer, and the firmware that the boot chooser runs
 * on. A test damages what it wants to see refused, runs it, and compares the trace. */

#include "partitions/slot-trailer.h"
#include "tests/unit/boot/fake-firmware.h"

#define RIG_KERNEL_BYTES 5000
#define RIG_KERNEL_OFFSET 4096
#define RIG_SLOT_SECTORS 40 /* of 512 bytes */

typedef struct {
    MadeDisk made; /* to be changed before boot_rig_run() */
    Recorder recorder;
    FakeFirmware fake;
} BootRig;

/* USR-A is good, USR-B is new and comes first. Their PARTUUIDs are 41414141-... and 42424242-... */
extern const DiskPlan RIG_PLAN;

/* Makes a disk; each of its slots holds "kernel of LABEL" and a trailer (demo 2.0). The firmware
 * can be told what goes wrong once this is done. boot_rig_done() frees it. */
void boot_rig_init(BootRig *rig, const DiskPlan *plan);
void boot_rig_done(BootRig *rig);

/* The bytes of a partition, by its index in the plan, and where its trailer is. */
uint8_t *boot_rig_slot(BootRig *rig, uint32_t index, size_t *ret_n_bytes);
uint8_t *boot_rig_trailer(BootRig *rig, uint32_t index);

/* The trailer that it was given; and gives it another. */
SlotTrailer boot_rig_usual_trailer(const char *label);
void boot_rig_put_trailer(BootRig *rig, uint32_t index, const SlotTrailer *trailer);

/* Lets the recorder begin with the disk as it is now; boot_rig_run() does it where it was not. */
void boot_rig_begin(BootRig *rig);

/* Runs the chooser on the disk. */
void boot_rig_run(BootRig *rig);

/* Runs it, and compares all that was done. */
void boot_rig_expect(BootRig *rig, const char *expected_trace);
