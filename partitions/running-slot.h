/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which partition the running system came from: from the mount of /usr through device-mapper to
 * the partition and its disk. Read-only; blocks on /proc, /sys and /dev only. */

#include <stdint.h>

#include "common/error-text.h"
#include "partitions/guid.h"
#include "partitions/slot-disk.h"

typedef struct {
    char disk_path[4096]; /* /dev/vda */
    char partition_path[4096];
    uint64_t offset_bytes; /* where the partition begins on the disk */
    Guid unique;           /* PARTUUID; zero when the kernel does not say (before Linux 6.10) */
} RunningSlot;

/* root: prefix for /proc, /sys and /dev, and of the paths returned ("" for the real ones).
 * mount_point: "/usr"; where it is no mount of its own, "/" counts. An overlay that lies upon the
 * mount (system extensions) is looked through.
 * Errors: -ENODEV when it lies on no partition (overlay, tmpfs, network, several disks), -EINVAL
 * for a mount table that cannot be read, errno. */
int running_slot_find(
        const char *root, const char *mount_point, RunningSlot *ret_running, ErrorText *error);

/* The slot of `disk` that this is, by disk and place; SLOT_NONE when it is on another disk or no
 * slot. */
size_t running_slot_index(const RunningSlot *running, const SlotDisk *disk);
