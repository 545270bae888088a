/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/block-device.h"

/* Block devices and image files of this system. */

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-io.h"

#define LOCK_STEP_MSEC 50
#define LOCK_EXCLUSIVE_WAIT_MSEC 10000
#define LOCK_SHARED_WAIT_MSEC 2000

typedef struct {
    BlockDevice device;
    int fd;
    char *path;
} BlockFile;

static BlockFile *block_file(BlockDevice *device)
{
    return (BlockFile *)device;
}

static int file_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data)
{
    int fd = block_file(device)->fd;
    uint64_t offset_bytes = first.n * device->sector_bytes;
    size_t n_bytes = n_sectors * device->sector_bytes;
    /* Drops what is cached and clean, so that the medium answers. Only a request: where it is
     * refused the cache's answer has to do. */
    (void)posix_fadvise(fd, (off_t)offset_bytes, (off_t)n_bytes, POSIX_FADV_DONTNEED);
    return fd_pread_full(fd, ret_data, n_bytes, offset_bytes);
}

static int file_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data)
{
    return fd_pwrite_full(block_file(device)->fd, data, n_sectors * device->sector_bytes,
            first.n * device->sector_bytes);
}

static int file_flush(BlockDevice *device)
{
    return fsync(block_file(device)->fd) < 0 ? -errno : 0;
}

static int lock_within(int fd, int operation, unsigned wait_msec)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_MSEC * 1000 * 1000};
    for (unsigned waited_msec = 0;; waited_msec += LOCK_STEP_MSEC) {
        if (flock(fd, operation | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (waited_msec >= wait_msec)
            return -EBUSY;
        nanosleep(&step, NULL);
    }
}

static int file_lock_for_reading(BlockDevice *device)
{
    return lock_within(block_file(device)->fd, LOCK_SH, LOCK_SHARED_WAIT_MSEC);
}

static void file_unlock(BlockDevice *device)
{
    (void)flock(block_file(device)->fd, LOCK_UN);
}

static void file_free(BlockDevice *device)
{
    BlockFile *file = block_file(device);
    safe_close(file->fd);
    free(file->path);
    free(file);
}

static const BlockDeviceOperations file_operations = {
        .read = file_read,
        .write = file_write,
        .flush = file_flush,
        .lock_for_reading = file_lock_for_reading,
        .unlock = file_unlock,
        .free = file_free,
};

/* Finds out sector and disk size of what fd is. */
static int measure(BlockFile *file, uint32_t sector_bytes, ErrorText *error)
{
    struct stat st;
    uint64_t size_bytes;
    if (fstat(file->fd, &st) < 0)
        return error_say(error, -errno, "%s: %s", file->path, strerror(errno));
    if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
        return error_say(
                error, -ENOTBLK, "%s is neither a block device nor an image file", file->path);
    int r = fd_size_bytes(file->fd, &size_bytes);
    if (r < 0)
        return error_say(error, r, "%s: its size cannot be read: %s", file->path, strerror(-r));

    int device_sector_bytes = 512;
    if (sector_bytes == 0 && S_ISBLK(st.st_mode) &&
            ioctl(file->fd, BLKSSZGET, &device_sector_bytes) < 0)
        return error_say(error, -errno, "%s: its sector size cannot be read: %s", file->path,
                strerror(errno));
    uint32_t n = sector_bytes != 0 ? sector_bytes : (uint32_t)device_sector_bytes;
    if (!block_device_has_sectors_of(n))
        return error_say(
                error, -EINVAL, "%s: sectors of %u bytes are not supported", file->path, n);
    file->device.sector_bytes = n;
    file->device.n_sectors = size_bytes / n;
    return 0;
}

int block_device_open(const char *path, bool writable, uint32_t sector_bytes,
        BlockDevice **ret_device, ErrorText *error)
{
    _cleanup_(block_device_freep) BlockDevice *device = NULL;
    BlockFile *file = calloc(1, sizeof(*file));
    if (!file)
        return error_say(error, -ENOMEM, "out of memory");
    *file = (BlockFile){
            .device = {.operations = &file_operations, .is_writable = writable},
            .fd = -1,
            .path = strdup(path),
    };
    device = &file->device;
    if (!file->path)
        return error_say(error, -ENOMEM, "out of memory");
    device->name = file->path;

    /* O_NONBLOCK: a FIFO or a tape must not hold us up before we know what it is. */
    file->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file->fd < 0)
        return error_say(error, -errno, "%s cannot be opened%s: %s", path,
                writable ? " for writing" : "", strerror(errno));
    int r = measure(file, sector_bytes, error);
    if (r < 0)
        return r;
    if (writable) {
        r = lock_within(file->fd, LOCK_EX, LOCK_EXCLUSIVE_WAIT_MSEC);
        if (r == -EBUSY)
            return error_say(
                    error, r, "%s is locked by another program; try again when it is done", path);
        if (r < 0)
            return error_say(error, r, "%s cannot be locked: %s", path, strerror(-r));
    }
    *ret_device = TAKE_PTR(device);
    return 0;
}

int block_device_fd(const BlockDevice *device)
{
    if (device->operations != &file_operations)
        return -1;
    return ((const BlockFile *)device)->fd;
}

/* Whether this is what the device is open on. */
static bool is_same(const BlockDevice *device, const struct stat *other)
{
    struct stat own;
    if (block_device_fd(device) < 0 || fstat(block_device_fd(device), &own) < 0)
        return false;
    if (S_ISBLK(own.st_mode) && S_ISBLK(other->st_mode))
        return own.st_rdev == other->st_rdev;
    return own.st_dev == other->st_dev && own.st_ino == other->st_ino;
}

bool block_device_is_at(const BlockDevice *device, const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && is_same(device, &st);
}

int block_device_reopen(const BlockDevice *device, int open_flags, int *ret_fd, ErrorText *error)
{
    struct stat st;
    _cleanup_close_ int fd = open(device->name, open_flags | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_say(error, -errno, "%s cannot be opened: %s", device->name, strerror(errno));
    if (!is_same(device, &st))
        return error_say(error, -ESTALE, "%s is another disk by now; start again", device->name);
    *ret_fd = TAKE_FD(fd);
    return 0;
}
