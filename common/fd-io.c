/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fd-io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

int fd_pread_full(int fd, void *ret_data, size_t n_bytes, uint64_t offset_bytes)
{
    uint8_t *at = ret_data;
    while (n_bytes > 0) {
        ssize_t n = pread(fd, at, n_bytes, (off_t)offset_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        at += n;
        n_bytes -= (size_t)n;
        offset_bytes += (uint64_t)n;
    }
    return 0;
}

int fd_pwrite_full(int fd, const void *data, size_t n_bytes, uint64_t offset_bytes)
{
    const uint8_t *at = data;
    while (n_bytes > 0) {
        ssize_t n = pwrite(fd, at, n_bytes, (off_t)offset_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        at += n;
        n_bytes -= (size_t)n;
        offset_bytes += (uint64_t)n;
    }
    return 0;
}

int fd_write_full(int fd, const void *data, size_t n_bytes)
{
    const uint8_t *at = data;
    while (n_bytes > 0) {
        ssize_t n = write(fd, at, n_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        at += n;
        n_bytes -= (size_t)n;
    }
    return 0;
}

int fd_size_bytes(int fd, uint64_t *ret_size_bytes)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode)) {
        *ret_size_bytes = (uint64_t)st.st_size;
        return 0;
    }
    if (!S_ISBLK(st.st_mode))
        return -ENOTBLK;
    uint64_t n;
    if (ioctl(fd, BLKGETSIZE64, &n) < 0)
        return -errno;
    *ret_size_bytes = n;
    return 0;
}

int fd_read_file(
        int dir_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_n_bytes)
{
    _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;

    /* The size may be 0 for files of /proc, and may change under us: it is only a first guess. */
    size_t room = st.st_size > 0 && (uint64_t)st.st_size < max_bytes ? (size_t)st.st_size : 4096;
    _cleanup_free_ char *data = NULL;
    size_t n_bytes = 0;
    for (;;) {
        if (n_bytes > max_bytes)
            return -EFBIG;
        char *larger = realloc(data, room + 2);
        if (!larger)
            return -ENOMEM;
        data = larger;
        ssize_t n = read(fd, data + n_bytes, room + 1 - n_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        n_bytes += (size_t)n;
        if (n_bytes > room)
            room = MIN(room * 2, max_bytes + 1);
    }
    if (n_bytes > max_bytes)
        return -EFBIG;
    data[n_bytes] = '\0';
    *ret_data = TAKE_PTR(data);
    *ret_n_bytes = n_bytes;
    return 0;
}

int fd_make_parents(int dir_fd, const char *path)
{
    _cleanup_free_ char *folder = strdup(path);
    if (!folder)
        return -ENOMEM;
    char *slash = strchr(folder + (folder[0] == '/'), '/');
    for (; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(dir_fd, folder, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}
