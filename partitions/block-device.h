/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one interface through which partition tables are read and written: whole sectors and
 * flushes. One implementation is for block devices and image files, one for the disks of a UEFI
 * firmware; the tests have another, which records, so that every state that a power cut could leave
 * can be tried. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/lba.h"

typedef struct BlockDevice BlockDevice;

/* All of these block and return 0 or a negative errno. first + n_sectors is within the device. */
typedef struct {
    /* What the device holds, not the page cache, as far as the kernel lets us. */
    int (*read)(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data);
    int (*write)(BlockDevice *device, Lba first, size_t n_sectors, const void *data);
    /* Returns when all that was written before is on the medium. */
    int (*flush)(BlockDevice *device);
    /* For a table that is read while another changes it: waits a short time until nobody does, and
     * keeps others from it until the unlock. NULL where nobody else can. */
    int (*lock_for_reading)(BlockDevice *device);
    void (*unlock)(BlockDevice *device);
    void (*free)(BlockDevice *device);
} BlockDeviceOperations;

/* The head of each implementation's object. */
struct BlockDevice {
    const BlockDeviceOperations *operations;
    const char *name; /* for error texts; inside the implementation */
    uint32_t sector_bytes;
    uint64_t n_sectors;
    bool is_writable;
};

/* Opens a block device or a regular file. For writing it is locked (flock LOCK_EX, as udev asks
 * for; waits at most 10 s) until block_device_free. sector_bytes 0: the device's own, 512 for a
 * file; else 512 to 4096, a power of two.
 * Errors: -EBUSY another holds the lock, -ENOTBLK neither device nor file, -EINVAL sector_bytes,
 * errno of open. */
int block_device_open(const char *path, bool writable, uint32_t sector_bytes,
        BlockDevice **ret_device, ErrorText *error);
void block_device_free(BlockDevice *device);
DEFINE_CLEANUP(BlockDevice *, block_device_free);

/* Whether sectors of this size are supported: 512 to 4096 bytes, a power of two. */
bool block_device_has_sectors_of(uint32_t sector_bytes);

/* As the operations above, with the bounds checked. Errors: -ERANGE outside the device, -EROFS,
 * -EIO and others of the device. */
int block_device_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data);
int block_device_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data);
int block_device_flush(BlockDevice *device);

/* The descriptor of a device that block_device_open() made, borrowed; -1 for another. */
int block_device_fd(const BlockDevice *device);

/* Whether path leads to this very block device or file; false for a device of another kind. */
bool block_device_is_at(const BlockDevice *device, const char *path);

/* A further descriptor (*ret_fd is new) of a device that block_device_open() made, by its path.
 * open_flags as for open(2). Errors: -ESTALE when the path leads elsewhere by now, errno. */
int block_device_reopen(const BlockDevice *device, int open_flags, int *ret_fd, ErrorText *error);
