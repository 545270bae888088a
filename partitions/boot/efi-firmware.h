/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The firmware that the chooser runs on (chooser.h). */

#include "partitions/boot/chooser.h"
#include "partitions/boot/uefi.h"

typedef struct {
    BootFirmware base;
    EfiSystemTable *system;
    EfiHandle self; /* the chooser's own image */
    EfiHandle esp;  /* the partition that it came from, or NULL */
    EfiHandle loaded;
} EfiFirmware;

/* Sets *ret_firmware up; system and self are borrowed. */
void efi_firmware_begin(EfiSystemTable *system, EfiHandle self, EfiFirmware *ret_firmware);

/* Before the machine goes back to the firmware: nothing is left to be watched. */
void efi_firmware_end(EfiFirmware *firmware);
