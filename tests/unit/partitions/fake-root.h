/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder that stands for / where the running slot is looked for: /proc/self/mountinfo, /sys as
 * the kernel arranges it, /dev with files for nodes. */

#include <stddef.h>
#include <stdint.h>

/* The functions below add to the folder `root`, which exists. */
void fake_mounts(const char *root, const char *mountinfo);

/* A disk, with a file or a link to `image` as its node when that is not NULL. */
void fake_disk(const char *root, const char *name, const char *device, const char *image);

/* A partition of a disk. unique: for PARTUUID, or NULL. */
void fake_partition(const char *root, const char *disk, const char *name, const char *device,
        unsigned number, uint64_t start_512, const char *unique);

/* Tells the size of such a partition. */
void fake_partition_size(const char *root, const char *disk, const char *name, uint64_t n_512);

/* A file with this content, below the root. */
void fake_file(const char *root, const char *path, const void *data, size_t n_bytes);

/* A device of device-mapper upon another, which exists; upon a second one when it is not NULL. */
void fake_mapper(const char *root, const char *name, const char *device, const char *below,
        const char *also_below);
