/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The firmware's disks as block devices (UEFI specification 2.10, section 13.9). */

#include "partitions/block-device.h"
#include "partitions/boot/uefi.h"

/* The disk that the partition is on, a new one of the caller, named "the boot disk"; NULL when there
 * is none such, or no memory. */
BlockDevice *efi_disk_of(EfiBootServices *services, EfiHandle partition);

/* Has the firmware look at all of its hardware, and finds the whole disks but for the one that the
 * partition is on: new ones of the caller, named "disk 1" and so on as the firmware lists them, as
 * many as there is memory for and no more than n_max. Returns their number. */
size_t efi_disks_find_others(
        EfiBootServices *services, EfiHandle partition, BlockDevice **ret_disks, size_t n_max);

/* The handle of the partition with this PARTUUID, as it lies on the disk; NULL. */
EfiHandle efi_partition_find(EfiBootServices *services, const uint8_t unique[static 16]);
