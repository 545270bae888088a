/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/efi-disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "partitions/boot/device-path.h"

/* Through a buffer of whole pages, as some drivers ask for alignment, and in pieces that every
 * driver takes. */
#define BUFFER_BYTES (1U << 20)

typedef struct {
    BlockDevice base;
    EfiBootServices *services;
    EfiBlockIo *io;
    uint32_t media_id; /* when it was found */
    uint8_t *buffer;
    char name[32];
} EfiDisk;

static const EfiGuid block_io_guid = EFI_BLOCK_IO_GUID;
static const EfiGuid device_path_guid = EFI_DEVICE_PATH_GUID;

static int errno_of(EfiStatus status)
{
    switch (status) {
    case EFI_SUCCESS:
        return 0;
    case EFI_WRITE_PROTECTED:
        return -EROFS;
    case EFI_NO_MEDIA:
        return -ENOMEDIUM;
    default:
        return -EIO;
    }
}

static int disk_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data)
{
    EfiDisk *disk = (EfiDisk *)device;
    size_t n_left = n_sectors * device->sector_bytes;
    uint64_t block = first.n;
    for (uint8_t *to = ret_data; n_left > 0;) {
        size_t n = MIN(n_left, BUFFER_BYTES);
        int r = errno_of(disk->io->read(disk->io, disk->media_id, block, n, disk->buffer));
        if (r < 0)
            return r;
        memcpy(to, disk->buffer, n);
        to += n;
        n_left -= n;
        block += n / device->sector_bytes;
    }
    return 0;
}

static int disk_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data)
{
    EfiDisk *disk = (EfiDisk *)device;
    size_t n_left = n_sectors * device->sector_bytes;
    uint64_t block = first.n;
    for (const uint8_t *from = data; n_left > 0;) {
        size_t n = MIN(n_left, BUFFER_BYTES);
        memcpy(disk->buffer, from, n);
        int r = errno_of(disk->io->write(disk->io, disk->media_id, block, n, disk->buffer));
        if (r < 0)
            return r;
        from += n;
        n_left -= n;
        block += n / device->sector_bytes;
    }
    return 0;
}

static int disk_flush(BlockDevice *device)
{
    EfiDisk *disk = (EfiDisk *)device;
    return errno_of(disk->io->flush(disk->io));
}

static void disk_free(BlockDevice *device)
{
    EfiDisk *disk = (EfiDisk *)device;
    disk->services->free_pages((uint64_t)disk->buffer, BUFFER_BYTES / EFI_PAGE_BYTES);
    free(disk);
}

static const BlockDeviceOperations disk_operations = {
        .read = disk_read,
        .write = disk_write,
        .flush = disk_flush,
        .free = disk_free,
};

static BlockDevice *disk_new(EfiBootServices *services, EfiBlockIo *io, size_t number)
{
    const EfiBlockMedia *media = io->media;
    uint64_t address;
    EfiDisk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return NULL;
    if (services->allocate_pages(EFI_ALLOCATE_ANY_PAGES, EFI_LOADER_DATA,
                BUFFER_BYTES / EFI_PAGE_BYTES, &address) != EFI_SUCCESS) {
        free(disk);
        return NULL;
    }
    disk->services = services;
    disk->io = io;
    disk->media_id = media->id;
    disk->buffer = (uint8_t *)address;
    snprintf(disk->name, sizeof(disk->name), "disk %zu", number);
    disk->base = (BlockDevice){
            .operations = &disk_operations,
            .name = disk->name,
            .sector_bytes = media->block_bytes,
            .n_sectors = media->last_block + 1,
            .is_writable = !media->is_read_only,
    };
    return &disk->base;
}

static void *interface_of(EfiBootServices *services, EfiHandle handle, const EfiGuid *protocol)
{
    void *interface;
    if (services->handle_protocol(handle, protocol, &interface) != EFI_SUCCESS)
        return NULL;
    return interface;
}

/* The size in bytes is computed with everywhere. */
static bool is_whole_disk(const EfiBlockIo *io)
{
    return io && io->media->is_present && !io->media->is_partition &&
           block_device_has_sectors_of(io->media->block_bytes) &&
           io->media->last_block < INT64_MAX / io->media->block_bytes;
}

/* Moves the whole disks to the front; returns their number. */
static size_t keep_whole_disks(EfiBootServices *services, EfiHandle *handles, size_t n_handles)
{
    size_t n = 0;
    for (size_t i = 0; i < n_handles; i++)
        if (is_whole_disk(interface_of(services, handles[i], &block_io_guid)))
            handles[n++] = handles[i];
    return n;
}

/* The index of the disk that this path leads to a partition of; n_handles when there is none. */
static size_t find_disk_of(EfiBootServices *services, const EfiHandle *handles, size_t n_handles,
        const EfiDevicePath *from)
{
    for (size_t i = 0; from && i < n_handles; i++) {
        const EfiDevicePath *path = interface_of(services, handles[i], &device_path_guid);
        if (path && device_path_begins_with(from, path))
            return i;
    }
    return n_handles;
}

static BlockDevice *disk_at(EfiBootServices *services, const EfiHandle *handles, size_t index)
{
    return disk_new(services, interface_of(services, handles[index], &block_io_guid), index + 1);
}

/* The own disk comes before the others get their memory and their places. */
size_t efi_disks_find(
        EfiBootServices *services, EfiHandle from, BlockDevice *ret_disks[static EFI_DISKS_MAX])
{
    const EfiDevicePath *from_path = from ? interface_of(services, from, &device_path_guid) : NULL;
    EfiHandle *handles;
    size_t n_handles, n_disks = 1;
    ret_disks[0] = NULL;
    if (services->locate_handle_buffer(
                EFI_LOCATE_BY_PROTOCOL, &block_io_guid, NULL, &n_handles, &handles) != EFI_SUCCESS)
        return n_disks;
    n_handles = keep_whole_disks(services, handles, n_handles);
    size_t own = find_disk_of(services, handles, n_handles, from_path);
    if (own < n_handles)
        ret_disks[0] = disk_at(services, handles, own);
    for (size_t i = 0; i < n_handles && n_disks < EFI_DISKS_MAX; i++) {
        BlockDevice *disk = i != own ? disk_at(services, handles, i) : NULL;
        if (disk)
            ret_disks[n_disks++] = disk;
    }
    services->free_pool(handles);
    return n_disks;
}

EfiHandle efi_partition_find(EfiBootServices *services, const uint8_t unique[static 16])
{
    EfiHandle *handles, found = NULL;
    size_t n_handles;
    if (services->locate_handle_buffer(
                EFI_LOCATE_BY_PROTOCOL, &block_io_guid, NULL, &n_handles, &handles) != EFI_SUCCESS)
        return NULL;
    for (size_t i = 0; i < n_handles && !found; i++) {
        const EfiDevicePath *path = interface_of(services, handles[i], &device_path_guid);
        const EfiHardDrivePath *partition = path ? device_path_partition(path) : NULL;
        if (partition && memcmp(partition->signature, unique, 16) == 0)
            found = handles[i];
    }
    services->free_pool(handles);
    return found;
}
