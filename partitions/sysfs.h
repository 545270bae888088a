/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small files of /sys, as the kernel documents them (Documentation/ABI). All calls block on /sys
 * only. */

#include <stddef.h>
#include <stdint.h>

#define SYSFS_SECTOR_BYTES 512 /* the unit of `start` and `size`, whatever the disk's sectors are */

/* The decimal number in the file `name` below the folder dir_fd (borrowed).
 * Errors: -EINVAL when it is none, errno of open and read. */
int sysfs_read_u64(int dir_fd, const char *name, uint64_t *ret_value);

/* The node of the device whose sysfs folder is dir_fd: root, "/dev/" and DEVNAME of its uevent
 * file. Errors: -EINVAL when there is no such line, -ENAMETOOLONG, errno. */
int sysfs_read_node(int dir_fd, const char *root, char *ret_path, size_t n_bytes);

/* The value of KEY=value in the device's uevent file. Errors: -ENOENT no such line or no such
 * file, -ENAMETOOLONG, errno. */
int sysfs_read_uevent(int dir_fd, const char *key, char *ret_value, size_t n_bytes);
