/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Device paths: where the firmware has a disk, a partition, a file (UEFI specification 2.10,
 * section 10). Every path comes from the firmware, which is trusted; nodes are bounded anyway. */

#include <stdbool.h>

#include "partitions/boot/uefi.h"

#define DEVICE_PATH_BYTES_MAX 4096 /* ours, the end node included; usual are less than 200 */

/* Bytes of the nodes before the end node; 0 for a path with a broken node, and for one that does
 * not end within the bound: behind it nothing is read. */
size_t device_path_bytes(const EfiDevicePath *path);

/* Whether the nodes of disk are the first ones of path, and more follow. */
bool device_path_begins_with(const EfiDevicePath *path, const EfiDevicePath *disk);

/* The node of a GPT partition at the end of path; NULL when it ends otherwise. Inside path. */
const EfiHardDrivePath *device_path_partition(const EfiDevicePath *path);

/* A new path (free()): that of device and a file's, like "\\EFI\\a.efi", of ASCII. NULL: no memory. */
EfiDevicePath *device_path_with_file(const EfiDevicePath *device, const char *file);
