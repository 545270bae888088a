/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/block-device.h"

#include <errno.h>

#include "partitions/gpt-table.h"

bool block_device_has_sectors_of(uint32_t sector_bytes)
{
    return sector_bytes >= 512 && sector_bytes <= GPT_SECTOR_MAX_BYTES &&
           (sector_bytes & (sector_bytes - 1)) == 0;
}

void block_device_free(BlockDevice *device)
{
    if (device)
        device->operations->free(device);
}

static bool is_within(const BlockDevice *device, Lba first, size_t n_sectors)
{
    return first.n <= device->n_sectors && n_sectors <= device->n_sectors - first.n;
}

int block_device_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data)
{
    if (!is_within(device, first, n_sectors))
        return -ERANGE;
    return device->operations->read(device, first, n_sectors, ret_data);
}

int block_device_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data)
{
    if (!device->is_writable)
        return -EROFS;
    if (!is_within(device, first, n_sectors))
        return -ERANGE;
    return device->operations->write(device, first, n_sectors, data);
}

int block_device_flush(BlockDevice *device)
{
    if (!device->is_writable)
        return -EROFS;
    return device->operations->flush(device);
}
