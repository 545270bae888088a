/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which partition the running system came from: from the mount of /usr through device-mapper to
 * the partition and its disk. Read-only; blocks on /proc and /sys only. */

#include "common/error-text.h"
#include "partitions/guid.h"

typedef struct {
    char disk_path[4096]; /* /dev/vda */
    char partition_path[4096];
    Guid unique; /* PARTUUID; zero when the kernel does not say */
} RunningSlot;

/* root: prefix for /proc, /sys and /dev ("" for the real ones). mount_point: "/usr"; where it is
 * no mount of its own, "/" counts.
 * Errors: -ENODEV when it lies on no partition (overlay, tmpfs, network, several disks), -EINVAL
 * for a mount table that cannot be read, errno. */
int running_slot_find(const char *root, const char *mount_point, RunningSlot *ret_running,
        ErrorText *error);
