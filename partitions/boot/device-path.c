/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/device-path.h"

#include <stdlib.h>
#include <string.h>

static size_t node_bytes(const EfiDevicePath *node)
{
    return (size_t)node->n_bytes[0] | (size_t)node->n_bytes[1] << 8;
}

static void set_node(EfiDevicePath *node, uint8_t type, uint8_t subtype, size_t n_bytes)
{
    *node = (EfiDevicePath){type, subtype, {(uint8_t)n_bytes, (uint8_t)(n_bytes >> 8)}};
}

static const EfiDevicePath *node_at(const EfiDevicePath *path, size_t offset)
{
    return (const EfiDevicePath *)((const uint8_t *)path + offset);
}

size_t device_path_bytes(const EfiDevicePath *path)
{
    size_t offset = 0;
    while (offset + sizeof(EfiDevicePath) <= DEVICE_PATH_BYTES_MAX) {
        const EfiDevicePath *node = node_at(path, offset);
        if (node->type == EFI_PATH_END)
            return offset;
        if (node_bytes(node) < sizeof(EfiDevicePath))
            return 0;
        offset += node_bytes(node);
    }
    return 0;
}

bool device_path_begins_with(const EfiDevicePath *path, const EfiDevicePath *disk)
{
    size_t n_path = device_path_bytes(path), n_disk = device_path_bytes(disk);
    return n_disk > 0 && n_path > n_disk && memcmp(path, disk, n_disk) == 0;
}

const EfiHardDrivePath *device_path_partition(const EfiDevicePath *path)
{
    size_t n_bytes = device_path_bytes(path), offset = 0, last = 0;
    for (; offset < n_bytes; offset += node_bytes(node_at(path, offset)))
        last = offset;
    const EfiDevicePath *node = node_at(path, last);
    const EfiHardDrivePath *drive = (const EfiHardDrivePath *)node;
    if (n_bytes == 0 || node->type != EFI_PATH_MEDIA ||
            node->subtype != EFI_PATH_MEDIA_HARD_DRIVE || node_bytes(node) < sizeof(*drive) ||
            drive->signature_type != EFI_HARD_DRIVE_SIGNATURE_GUID)
        return NULL;
    return drive;
}

EfiDevicePath *device_path_with_file(const EfiDevicePath *device, const char *file)
{
    size_t n_device = device_path_bytes(device), n_chars = strlen(file) + 1;
    size_t n_file = sizeof(EfiDevicePath) + n_chars * sizeof(EfiChar);
    uint8_t *path = malloc(n_device + n_file + sizeof(EfiDevicePath));
    if (!path)
        return NULL;
    memcpy(path, device, n_device);
    set_node((EfiDevicePath *)(path + n_device), EFI_PATH_MEDIA, EFI_PATH_MEDIA_FILE, n_file);
    for (size_t i = 0; i < n_chars; i++) {
        EfiChar c = (EfiChar)(unsigned char)file[i];
        memcpy(path + n_device + sizeof(EfiDevicePath) + i * sizeof(c), &c, sizeof(c));
    }
    set_node((EfiDevicePath *)(path + n_device + n_file), EFI_PATH_END, EFI_PATH_END_WHOLE,
            sizeof(EfiDevicePath));
    return (EfiDevicePath *)path;
}
