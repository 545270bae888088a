/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/partition-node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "partitions/sysfs.h"

/* The partition in the sysfs folder sys_fd/name, if it is this disk's number `number`. */
static int check_partition(int disk_dir, const char *name, uint32_t number, uint64_t offset_bytes,
        uint64_t size_bytes, char *ret_path, ErrorText *error)
{
    uint64_t value, start, size;
    _cleanup_close_ int dir = openat(disk_dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || sysfs_read_u64(dir, "partition", &value) < 0 || value != number)
        return -ENOENT;
    if (sysfs_read_u64(dir, "start", &start) < 0 || sysfs_read_u64(dir, "size", &size) < 0 ||
            start != offset_bytes / SYSFS_SECTOR_BYTES || size != size_bytes / SYSFS_SECTOR_BYTES)
        return error_say(error, -ESTALE,
                "the kernel has partition %u at another place than the partition table; run "
                "partprobe or reboot",
                number);
    return sysfs_read_node(dir, "", ret_path, PARTITION_NODE_BYTES);
}

int partition_node_find(int disk_fd, uint32_t number, uint64_t offset_bytes, uint64_t size_bytes,
        char ret_path[static PARTITION_NODE_BYTES], ErrorText *error)
{
    struct stat st;
    if (fstat(disk_fd, &st) < 0 || !S_ISBLK(st.st_mode))
        return -ENOENT;
    char path[64];
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
    int disk_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk_dir < 0)
        return -ENOENT;
    DIR *dir = fdopendir(disk_dir);
    if (!dir) {
        safe_close(disk_dir);
        return -ENOMEM;
    }
    int r = -ENOENT;
    for (struct dirent *d = readdir(dir); d && r == -ENOENT; d = readdir(dir))
        if (d->d_name[0] != '.')
            r = check_partition(
                    disk_dir, d->d_name, number, offset_bytes, size_bytes, ret_path, error);
    closedir(dir);
    return r;
}
