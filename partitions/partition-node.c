/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/partition-node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "partitions/sysfs.h"

/* The partition in the sysfs folder disk_dir/name, if it is the one of this place. The kernel may
 * not know the number and yet use the place, as it was before the table was changed. */
static int check_partition(int disk_dir, const char *root, const char *name,
        const PartitionPlace *place, char *ret_path, ErrorText *error)
{
    uint64_t number, start, size;
    uint64_t place_start = place->offset_bytes / SYSFS_SECTOR_BYTES;
    uint64_t place_size = place->size_bytes / SYSFS_SECTOR_BYTES;
    _cleanup_close_ int dir = openat(disk_dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || sysfs_read_u64(dir, "partition", &number) < 0)
        return -ENOENT;
    bool is_known =
            sysfs_read_u64(dir, "start", &start) >= 0 && sysfs_read_u64(dir, "size", &size) >= 0;
    bool is_here = is_known && start == place_start && size == place_size;
    if (number == place->number && is_here)
        return sysfs_read_node(dir, root, ret_path, PARTITION_NODE_BYTES);
    bool is_apart = is_known && (start >= place_start + place_size || place_start >= start + size);
    if (number != place->number && is_apart)
        return -ENOENT;
    return error_say(error, -ESTALE,
            "the kernel has partition %u at another place than the partition table; run "
            "partprobe or reboot",
            (unsigned)number);
}

int partition_node_find_below(int dir_fd, const char *root, const PartitionPlace *place,
        char ret_path[static PARTITION_NODE_BYTES], ErrorText *error)
{
    int listing = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (listing < 0)
        return -ENOENT;
    DIR *dir = fdopendir(listing);
    if (!dir) {
        safe_close(listing);
        return -ENOMEM;
    }
    int r = -ENOENT;
    for (struct dirent *d = readdir(dir); d && r == -ENOENT; d = readdir(dir))
        if (d->d_name[0] != '.')
            r = check_partition(dir_fd, root, d->d_name, place, ret_path, error);
    closedir(dir);
    return r;
}

int partition_node_find(int disk_fd, uint32_t number, uint64_t offset_bytes, uint64_t size_bytes,
        char ret_path[static PARTITION_NODE_BYTES], ErrorText *error)
{
    struct stat st;
    if (fstat(disk_fd, &st) < 0 || !S_ISBLK(st.st_mode))
        return -ENOENT;
    char path[64];
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
    _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -ENOENT;
    const PartitionPlace place = {
            .number = number, .offset_bytes = offset_bytes, .size_bytes = size_bytes};
    return partition_node_find_below(dir, "", &place, ret_path, error);
}
