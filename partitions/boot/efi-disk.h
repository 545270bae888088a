/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The firmware's disks as block devices (UEFI specification 2.10, section 13.9). */

#include "partitions/block-device.h"
#include "partitions/boot/uefi.h"

#define EFI_DISKS_MAX 64

/* Finds the whole disks, partitions left out, new ones of the caller, named "disk 1" and so on as
 * the firmware lists them. ret_disks[0] is the one that the partition `from` is on, or NULL when
 * there is none such; behind it are as many of the others as there is room and memory for. */
size_t efi_disks_find(
        EfiBootServices *services, EfiHandle from, BlockDevice *ret_disks[static EFI_DISKS_MAX]);

/* The handle of the partition with this PARTUUID, as it lies on the disk; NULL. */
EfiHandle efi_partition_find(EfiBootServices *services, const uint8_t unique[static 16]);
