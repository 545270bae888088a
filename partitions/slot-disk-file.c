/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "partitions/partition-node.h"

/* What needs paths and descriptors; the boot chooser, which is made of slot-disk.c, has none. */

static int open_with(const char *path, bool writable, const Guid *type, uint32_t sector_bytes,
        bool *ret_is_image, SlotDisk **ret_disk, ErrorText *error)
{
    _cleanup_(block_device_freep) BlockDevice *device = NULL;
    int r = block_device_open(path, writable, sector_bytes, &device, error);
    if (r < 0)
        return r;
    struct stat st;
    *ret_is_image = fstat(block_device_fd(device), &st) == 0 && S_ISREG(st.st_mode);
    r = slot_disk_new(device, type, ret_disk, error);
    if (r >= 0)
        TAKE_PTR(device);
    return r;
}

int slot_disk_open(const char *path, bool writable, const Guid *type, uint32_t sector_bytes,
        SlotDisk **ret_disk, ErrorText *error)
{
    bool is_image = false;
    int r = open_with(path, writable, type, sector_bytes, &is_image, ret_disk, error);
    /* The error of the usual size stands when the other does not fit either. */
    if (r == -ENOMEDIUM && is_image && sector_bytes == 0 &&
            open_with(path, writable, type, 4096, &is_image, ret_disk, NULL) >= 0)
        return 0;
    return r;
}

bool slot_disk_is_at(const SlotDisk *disk, const char *path)
{
    return block_device_is_at(slot_disk_device(disk), path);
}

int slot_disk_open_slot(const SlotDisk *disk, size_t slot, int open_flags, int *ret_fd,
        uint64_t *ret_offset_bytes, ErrorText *error)
{
    char path[PARTITION_NODE_BYTES];
    BlockDevice *device = slot_disk_device(disk);
    size_t n_slots;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    if (slot >= n_slots)
        return error_say(error, -EINVAL, "%s has no such slot", device->name);
    const Slot *s = &slots[slot];
    int r = partition_node_find(
            block_device_fd(device), s->entry + 1, s->offset_bytes, s->size_bytes, path, error);
    if (r == -ENOENT) {
        r = block_device_reopen(device, open_flags, ret_fd, error);
        if (r >= 0)
            *ret_offset_bytes = s->offset_bytes;
        return r;
    }
    if (r < 0)
        return r;
    int fd = open(path, open_flags | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_say(error, -errno, "%s cannot be opened: %s", path, strerror(errno));
    *ret_fd = fd;
    *ret_offset_bytes = 0;
    return 0;
}
