/* SPDX-License-Identifier: Apache-2.0 */

/* Two device paths out of any bytes: one, and one that it may begin with. The first two bytes are
 * the length of the first, little-endian. Each lies in memory of the longest path's size, so that
 * reading behind it is seen. */

#include <stdlib.h>
#include <string.h>

#include "partitions/boot/device-path.h"
#include "tests/fuzz/fuzz.h"

#define FILE_NAME "\\EFI\\flipside\\USR-A.efi"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static EfiDevicePath *path_of(const uint8_t *data, size_t n_bytes)
{
    uint8_t *path = calloc(1, DEVICE_PATH_BYTES_MAX);
    require(path);
    memcpy(path, data, n_bytes < DEVICE_PATH_BYTES_MAX ? n_bytes : DEVICE_PATH_BYTES_MAX);
    return (EfiDevicePath *)path;
}

static void check_partition(const EfiDevicePath *path, size_t n_path)
{
    const EfiHardDrivePath *drive = device_path_partition(path);
    if (!drive)
        return;
    size_t offset = (size_t)((const uint8_t *)drive - (const uint8_t *)path);
    require(offset < n_path && n_path - offset >= sizeof(*drive));
    require(drive->signature_type == EFI_HARD_DRIVE_SIGNATURE_GUID);
}

static void check_with_file(const EfiDevicePath *path, size_t n_path)
{
    EfiDevicePath *with_file = device_path_with_file(path, FILE_NAME);
    size_t n_file = sizeof(EfiDevicePath) + sizeof(FILE_NAME) * sizeof(EfiChar);
    require(with_file && memcmp(with_file, path, n_path) == 0);
    if (n_path + n_file + sizeof(EfiDevicePath) <= DEVICE_PATH_BYTES_MAX) {
        require(device_path_bytes(with_file) == n_path + n_file);
        require(n_path == 0 || device_path_begins_with(with_file, path));
    }
    free(with_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < 2)
        return -1;
    size_t n_first = (size_t)data[0] | (size_t)data[1] << 8;
    if (n_first > n_bytes - 2)
        return -1;
    EfiDevicePath *path = path_of(data + 2, n_first);
    EfiDevicePath *disk = path_of(data + 2 + n_first, n_bytes - 2 - n_first);
    size_t n_path = device_path_bytes(path), n_disk = device_path_bytes(disk);
    require(n_path + sizeof(EfiDevicePath) <= DEVICE_PATH_BYTES_MAX);
    if (device_path_begins_with(path, disk)) {
        require(n_disk > 0 && n_disk < n_path && memcmp(path, disk, n_disk) == 0);
        require(!device_path_begins_with(disk, path));
    }
    check_partition(path, n_path);
    check_with_file(path, n_path);
    free(path);
    free(disk);
    return 0;
}
