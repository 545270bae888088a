/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/file-target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/fd-io.h"

#define PIECE_BYTES ((size_t)256 * 1024)
#define FILE_MODE 0644

struct FileTarget {
    char *path;
    char *new_path;
    char *folder;
    uint64_t size_bytes;
    int fd;
    bool is_placed;          /* fd is of path */
    atomic_int sync_failure; /* a negative errno; it stays */
};

/* What lies beside the file by the name of path. */
static int name_new(const char *path, char **ret_new_path)
{
    return asprintf(ret_new_path, "%s.new", path) < 0 ? -ENOMEM : 0;
}

static int set_paths(FileTarget *target, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return -EINVAL;
    target->path = strdup(path);
    target->folder = strndup(path, (size_t)(slash - path));
    int r = name_new(path, &target->new_path);
    return target->path && target->folder ? r : -ENOMEM;
}

/* What an earlier try has taken counts as free: it is taken over or given back. */
static int check_room(const FileTarget *target, ErrorText *error)
{
    struct statvfs file_system;
    if (statvfs(target->folder, &file_system) < 0)
        return error_say(error, -errno,
                "the update brings a file for the folder %s, which cannot be used: %s",
                target->folder, strerror(errno));
    uint64_t n_free_bytes = (uint64_t)file_system.f_bavail * file_system.f_frsize;
    struct stat st;
    if (lstat(target->new_path, &st) == 0)
        n_free_bytes += (uint64_t)st.st_blocks * 512;
    if (n_free_bytes >= target->size_bytes)
        return 0;
    return error_say(error, -ENOSPC,
            "%s has %" PRIu64 " bytes left, and the update brings a file of %" PRIu64
            ": make room there",
            target->folder, n_free_bytes, target->size_bytes);
}

int file_target_new(
        const char *path, uint64_t size_bytes, FileTarget **ret_target, ErrorText *error)
{
    _cleanup_(file_target_freep) FileTarget *target = calloc(1, sizeof(*target));
    if (!target)
        return -ENOMEM;
    target->fd = -1;
    target->size_bytes = size_bytes;
    int r = set_paths(target, path);
    if (r >= 0)
        r = check_room(target, error);
    if (r < 0)
        return r;
    *ret_target = TAKE_PTR(target);
    return 0;
}

void file_target_free(FileTarget *target)
{
    if (!target)
        return;
    safe_close(target->fd);
    free(target->path);
    free(target->new_path);
    free(target->folder);
    free(target);
}

const char *file_target_path(const FileTarget *target)
{
    return target->path;
}

static int refuse(const FileTarget *target, int r, ErrorText *error)
{
    return error_say(error, r, "%s cannot be written: %s", target->new_path, strerror(-r));
}

static int open_again(FileTarget *target, ErrorText *error)
{
    target->fd = open(target->new_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (target->fd >= 0 && fstat(target->fd, &st) == 0 && S_ISREG(st.st_mode) &&
            (uint64_t)st.st_size == target->size_bytes)
        return 0;
    target->fd = safe_close(target->fd);
    return error_say(error, -ESTALE, "%s is not as the install before left it", target->new_path);
}

/* All room at once, where the file system can: so a full one is known before the download. */
static int take_room(int fd, uint64_t n_bytes)
{
    if (fallocate(fd, 0, 0, (off_t)n_bytes) == 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return -errno;
    return ftruncate(fd, (off_t)n_bytes) < 0 ? -errno : 0;
}

int file_target_prepare(FileTarget *target, bool is_resumed, ErrorText *error)
{
    if (is_resumed)
        return open_again(target, error);
    if (unlink(target->new_path) < 0 && errno != ENOENT)
        return refuse(target, -errno, error);
    target->fd =
            open(target->new_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (target->fd < 0)
        return refuse(target, -errno, error);
    int r = take_room(target->fd, target->size_bytes);
    return r < 0 ? refuse(target, r, error) : 0;
}

int file_target_write(FileTarget *target, uint64_t offset_bytes, const void *data, size_t n_bytes)
{
    if (offset_bytes >= target->size_bytes)
        return 0;
    size_t n = (size_t)MIN((uint64_t)n_bytes, target->size_bytes - offset_bytes);
    return fd_pwrite_full(target->fd, data, n, offset_bytes);
}

int file_target_sync(FileTarget *target)
{
    if (fsync(target->fd) < 0)
        atomic_store(&target->sync_failure, -errno);
    return atomic_load(&target->sync_failure);
}

int file_target_check(FileTarget *target, const Sha256 *hash, const atomic_bool *is_cancelled)
{
    int r = file_target_sync(target);
    if (r < 0)
        return r;
    (void)posix_fadvise(target->fd, 0, 0, POSIX_FADV_DONTNEED);
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    if (!piece || sha256_stream_new(&stream) < 0)
        return -ENOMEM;
    for (uint64_t at = 0; at < target->size_bytes;) {
        if (atomic_load(is_cancelled))
            return -ECANCELED;
        size_t n = (size_t)MIN((uint64_t)PIECE_BYTES, target->size_bytes - at);
        r = fd_pread_full(target->fd, piece, n, at);
        if (r < 0)
            return r;
        sha256_stream_add(stream, piece, n);
        at += n;
    }
    Sha256 found;
    sha256_stream_finish(stream, &found);
    return sha256_equal(&found, hash) ? 0 : -EBADMSG;
}

int file_target_read_blocks(
        FileTarget *target, uint64_t offset_bytes, void *ret_data, size_t n_bytes)
{
    uint64_t n_there = target->size_bytes - MIN(offset_bytes, target->size_bytes);
    size_t n = (size_t)MIN(n_there, (uint64_t)n_bytes);
    memset((uint8_t *)ret_data + n, 0, n_bytes - n);
    return fd_pread_full(target->fd, ret_data, n, offset_bytes);
}

int file_target_read(FileTarget *target, void *ret_data, size_t n_bytes)
{
    return fd_pread_full(target->fd, ret_data, n_bytes, 0);
}

int file_target_adopt(FileTarget *target, const Sha256 *hash, const atomic_bool *is_cancelled)
{
    struct stat st;
    target->fd = open(target->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (target->fd < 0)
        return errno == ENOENT ? -ESTALE : -errno;
    bool has_size = fstat(target->fd, &st) == 0 && S_ISREG(st.st_mode) &&
                    (uint64_t)st.st_size == target->size_bytes;
    int r = has_size ? file_target_check(target, hash, is_cancelled) : -ESTALE;
    if (r < 0) {
        target->fd = safe_close(target->fd);
        return r == -EBADMSG ? -ESTALE : r;
    }
    target->is_placed = true;
    return 0;
}

static int sync_folder(const char *folder)
{
    _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

int file_target_commit(FileTarget *target, ErrorText *error)
{
    int r = file_target_sync(target);
    if (r >= 0 && !target->is_placed && rename(target->new_path, target->path) < 0)
        r = -errno;
    if (r >= 0)
        r = sync_folder(target->folder);
    if (r < 0)
        return error_say(error, r, "%s cannot be replaced: %s", target->path, strerror(-r));
    target->is_placed = true;
    return 0;
}

void file_target_discard(const char *path)
{
    _cleanup_free_ char *new_path = NULL;
    if (name_new(path, &new_path) == 0)
        (void)unlink(new_path);
}
