/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/running-slot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "common/fd-io.h"
#include "partitions/sysfs.h"

/* mountinfo (proc(5)) says which device a file system is on. In /sys that device is a partition,
 * or something of device-mapper that stands on one: then its only slave is the next to look at.
 * File systems with devices of their own making (btrfs) are followed by the mount's source. */

#define MOUNTINFO_MAX_BYTES (4 * 1024 * 1024)
#define MAX_LAYERS 8

typedef struct {
    char *device; /* "254:3" */
    char *mount_point;
    char *type;
    char *source;
} Mount;

/* Replaces the \ooo of blanks and backslashes in place. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; out++) {
        if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
                in[3] >= '0' && in[3] <= '7') {
            *out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

/* `ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS`; cuts line. */
static int parse_mount(char *line, Mount *ret_mount)
{
    char *fields[6], *state = NULL;
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &state);
        if (!fields[i])
            return -EINVAL;
    }
    char *field;
    do
        field = strtok_r(NULL, " ", &state);
    while (field && strcmp(field, "-") != 0);
    char *type = strtok_r(NULL, " ", &state), *source = strtok_r(NULL, " ", &state);
    if (!field || !type || !source)
        return -EINVAL;
    unescape(fields[4]);
    unescape(source);
    *ret_mount =
            (Mount){.device = fields[2], .mount_point = fields[4], .type = type, .source = source};
    return 0;
}

/* The topmost mount at mount_point that is no overlay, in text, which is cut up.
 * Errors: -ENOENT there is none, -EINVAL. */
static int find_mount(char *text, const char *mount_point, Mount *ret_mount)
{
    char *state = NULL;
    int result = -ENOENT;
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        Mount mount;
        int r = parse_mount(line, &mount);
        if (r < 0)
            return r;
        if (strcmp(mount.mount_point, mount_point) == 0 && strcmp(mount.type, "overlay") != 0) {
            *ret_mount = mount;
            result = 0;
        }
    }
    return result;
}

static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The sysfs folder of the device that a mount is on. Errors: -ENODEV. */
static int open_device(const char *root, const Mount *mount)
{
    char path[PATH_MAX], resolved[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sys/dev/block/%s", root, mount->device);
    int fd = open_folder(path);
    if (fd >= 0)
        return fd;
    if (strncmp(mount->source, "/dev/", 5) != 0)
        return -ENODEV;
    snprintf(path, sizeof(path), "%s%s", root, mount->source);
    if (!realpath(path, resolved))
        return -ENODEV;
    snprintf(path, sizeof(path), "%s/sys/class/block/%s", root, strrchr(resolved, '/') + 1);
    fd = open_folder(path);
    return fd >= 0 ? fd : -ENODEV;
}

/* The sysfs folder of the only device below the one in dir_fd. Errors: -ENODEV none or several. */
static int open_only_slave(int dir_fd)
{
    int fd = openat(dir_fd, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -ENODEV;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        safe_close(fd);
        return -ENOMEM;
    }
    int slave = -ENODEV;
    unsigned n_slaves = 0;
    for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
        if (d->d_name[0] == '.')
            continue;
        if (n_slaves++ == 0)
            slave = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    closedir(dir);
    if (n_slaves == 1)
        return slave < 0 ? -ENODEV : slave;
    if (slave >= 0)
        safe_close(slave);
    return -ENODEV;
}

static int read_partition(const char *root, int dir_fd, RunningSlot *ret_running)
{
    RunningSlot running = {0};
    uint64_t start;
    char unique[GUID_TEXT_CHARS + 1];
    _cleanup_close_ int disk = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk < 0)
        return -errno;
    int r = sysfs_read_u64(dir_fd, "start", &start);
    if (r >= 0)
        r = sysfs_read_node(dir_fd, root, running.partition_path, sizeof(running.partition_path));
    if (r >= 0)
        r = sysfs_read_node(disk, root, running.disk_path, sizeof(running.disk_path));
    if (r < 0)
        return r;
    if (!u64_mul(start, SYSFS_SECTOR_BYTES, &running.offset_bytes))
        return -EINVAL;
    if (sysfs_read_uevent(dir_fd, "PARTUUID", unique, sizeof(unique)) >= 0)
        (void)guid_from_text(unique, &running.unique); /* an MBR's is no GUID: stays zero */
    *ret_running = running;
    return 0;
}

/* From a device down to the partition that all of it is on. */
static int follow(const char *root, int device_fd, RunningSlot *ret_running)
{
    _cleanup_close_ int dir_fd = device_fd;
    for (unsigned layer = 0; layer < MAX_LAYERS; layer++) {
        uint64_t number;
        if (sysfs_read_u64(dir_fd, "partition", &number) >= 0)
            return read_partition(root, dir_fd, ret_running);
        int below = open_only_slave(dir_fd);
        if (below < 0)
            return below;
        close(dir_fd);
        dir_fd = below;
    }
    return -ENODEV;
}

int running_slot_find(
        const char *root, const char *mount_point, RunningSlot *ret_running, ErrorText *error)
{
    char path[PATH_MAX];
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
    int r = fd_read_file(AT_FDCWD, path, MOUNTINFO_MAX_BYTES, &text, &n_bytes);
    if (r < 0)
        return error_say(error, r, "%s cannot be read: %s", path, strerror(-r));

    Mount mount = {0};
    const char *const mount_points[] = {mount_point, "/"};
    r = -ENOENT;
    for (size_t i = 0; i < ELEMENTS(mount_points) && r == -ENOENT; i++) {
        _cleanup_free_ char *lines = strdup(text);
        if (!lines)
            return error_say(error, -ENOMEM, "out of memory");
        r = find_mount(lines, mount_points[i], &mount);
        if (r == -EINVAL)
            return error_say(error, r, "%s is no mount table that can be understood", path);
        if (r < 0)
            continue;
        int device = open_device(root, &mount);
        r = device < 0 ? device : follow(root, device, ret_running);
        if (r == -ENOENT)
            r = -ENODEV; /* the device lacks what a partition has; no other mount would do */
    }
    if (r == -ENOENT || r == -ENODEV)
        return error_say(error, -ENODEV,
                "%s is on no single partition, so the running slot is not known; name the disk and "
                "the slot",
                mount_point);
    if (r < 0)
        return error_say(
                error, r, "the partition of %s cannot be found out: %s", mount_point, strerror(-r));
    return 0;
}

size_t running_slot_index(const RunningSlot *running, const SlotDisk *disk)
{
    if (!slot_disk_is_at(disk, running->disk_path))
        return SLOT_NONE;
    return slot_disk_find_offset(disk, running->offset_bytes);
}
