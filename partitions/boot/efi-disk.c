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

/* number: among the whole disks, or 0 for the chooser's own. */
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
    if (number == 0)
        snprintf(disk->name, sizeof(disk->name), "the boot disk");
    else
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

/* All whole disks that the firmware knows by now, in memory of its pool; NULL. */
static EfiHandle *list_disks(EfiBootServices *services, size_t *ret_n_disks)
{
    EfiHandle *handles;
    size_t n_handles, n_disks = 0;
    if (services->locate_handle_buffer(
                EFI_LOCATE_BY_PROTOCOL, &block_io_guid, NULL, &n_handles, &handles) != EFI_SUCCESS)
        return NULL;
    for (size_t i = 0; i < n_handles; i++)
        if (is_whole_disk(interface_of(services, handles[i], &block_io_guid)))
            handles[n_disks++] = handles[i];
    *ret_n_disks = n_disks;
    return handles;
}

static bool is_on_disk(EfiBootServices *services, EfiHandle partition, EfiHandle disk)
{
    const EfiDevicePath *path =
            partition ? interface_of(services, partition, &device_path_guid) : NULL;
    const EfiDevicePath *disk_path = interface_of(services, disk, &device_path_guid);
    return path && disk_path && device_path_begins_with(path, disk_path);
}

BlockDevice *efi_disk_of(EfiBootServices *services, EfiHandle partition)
{
    size_t n_disks;
    BlockDevice *disk = NULL;
    EfiHandle *handles = list_disks(services, &n_disks);
    if (!handles)
        return NULL;
    for (size_t i = 0; i < n_disks && !disk; i++)
        if (is_on_disk(services, partition, handles[i]))
            disk = disk_new(services, interface_of(services, handles[i], &block_io_guid), 0);
    services->free_pool(handles);
    return disk;
}

/* Firmware in a hurry has drivers for what it boots from alone. */
static void connect_all(EfiBootServices *services)
{
    EfiHandle *handles;
    size_t n_handles;
    if (services->locate_handle_buffer(EFI_LOCATE_ALL, NULL, NULL, &n_handles, &handles) !=
            EFI_SUCCESS)
        return;
    for (size_t i = 0; i < n_handles; i++)
        services->connect_controller(handles[i], NULL, NULL, true);
    services->free_pool(handles);
}

size_t efi_disks_find_others(
        EfiBootServices *services, EfiHandle partition, BlockDevice **ret_disks, size_t n_max)
{
    size_t n_handles, n_disks = 0;
    connect_all(services);
    EfiHandle *handles = list_disks(services, &n_handles);
    if (!handles)
        return 0;
    for (size_t i = 0; i < n_handles && n_disks < n_max; i++) {
        BlockDevice *disk = NULL;
        if (!is_on_disk(services, partition, handles[i]))
            disk = disk_new(services, interface_of(services, handles[i], &block_io_guid), i + 1);
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
