/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/path-builder.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

void path_add(PathBuilder *builder, uint8_t type, uint8_t subtype, const void *data, size_t n_bytes)
{
    uint8_t *node = builder->bytes + builder->n_bytes;
    size_t n = sizeof(EfiDevicePath) + n_bytes;
    ck_assert_uint_le(builder->n_bytes + n, sizeof(builder->bytes));
    memcpy(node, (uint8_t[]){type, subtype, (uint8_t)n, (uint8_t)(n >> 8)}, sizeof(EfiDevicePath));
    if (n_bytes > 0)
        memcpy(node + sizeof(EfiDevicePath), data, n_bytes);
    builder->n_bytes += n;
}

void path_add_disk(PathBuilder *builder, uint8_t number)
{
    path_add(builder, 2, 1, "acpi-pci", 8);
    path_add(builder, 1, 1, (uint8_t[]){number, 0x1f}, 2);
}

void path_add_partition(PathBuilder *builder, const EfiHardDrivePath *drive, size_t n_bytes)
{
    path_add(builder, EFI_PATH_MEDIA, EFI_PATH_MEDIA_HARD_DRIVE,
            (const uint8_t *)drive + sizeof(EfiDevicePath), n_bytes - sizeof(EfiDevicePath));
}

EfiDevicePath *path_finish(PathBuilder *builder)
{
    path_add(builder, EFI_PATH_END, EFI_PATH_END_WHOLE, NULL, 0);
    EfiDevicePath *path = malloc(builder->n_bytes);
    ck_assert_ptr_nonnull(path);
    memcpy(path, builder->bytes, builder->n_bytes);
    return path;
}

EfiHardDrivePath path_partition_node(uint8_t unique)
{
    EfiHardDrivePath drive = {.number = 2,
            .start = 2048,
            .size = 4096,
            .format = 2,
            .signature_type = EFI_HARD_DRIVE_SIGNATURE_GUID};
    memset(drive.signature, unique, sizeof(drive.signature));
    return drive;
}

EfiDevicePath *path_of_disk(uint8_t number)
{
    PathBuilder builder = {0};
    path_add_disk(&builder, number);
    return path_finish(&builder);
}

EfiDevicePath *path_of_partition(uint8_t number, uint8_t unique)
{
    PathBuilder builder = {0};
    EfiHardDrivePath drive = path_partition_node(unique);
    path_add_disk(&builder, number);
    path_add_partition(&builder, &drive, sizeof(drive));
    return path_finish(&builder);
}
