/* SPDX-License-Identifier: Apache-2.0 */
#include "common/atomic-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd-io.h"

/* Opens the folder that holds path; *ret_name is path's last part (inside path). */
static int open_parent(int dir_fd, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    if (!folder)
        return -ENOMEM;
    const char *name = slash ? slash + 1 : path;
    if (name[0] == '\0')
        return -EISDIR;
    int fd = openat(dir_fd, slash == path ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_name = name;
    return fd;
}

/* A file of its own: what lies there under its name, from a writer that was killed or from somebody
 * who wants to own or to block what we write, is not written into. */
static int make_temporary(int folder_fd, const char *temporary)
{
    if (unlinkat(folder_fd, temporary, 0) < 0 && errno != ENOENT)
        return -errno;
    int fd = openat(
            folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static int write_temporary(int folder_fd, const char *name, const char *temporary, const void *data,
        size_t n_bytes, mode_t mode)
{
    _cleanup_close_ int fd = make_temporary(folder_fd, temporary);
    if (fd < 0)
        return fd;

    struct stat st;
    bool exists = fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    if (exists && (st.st_uid != geteuid() || st.st_gid != getegid()) &&
            fchown(fd, st.st_uid, st.st_gid) < 0 && errno != EPERM)
        return -errno;
    if (fchmod(fd, exists ? st.st_mode & 07777 : mode) < 0)
        return -errno;

    int r = fd_write_full(fd, data, n_bytes);
    if (r < 0)
        return r;
    if (fsync(fd) < 0)
        return -errno;
    if (close(TAKE_FD(fd)) < 0)
        return -errno;
    return renameat(folder_fd, temporary, folder_fd, name) < 0 ? -errno : 0;
}

int atomic_file_write(int dir_fd, const char *path, const void *data, size_t n_bytes, mode_t mode)
{
    const char *name;
    _cleanup_close_ int folder_fd = open_parent(dir_fd, path, &name);
    if (folder_fd < 0)
        return folder_fd;

    _cleanup_free_ char *temporary = NULL;
    if (asprintf(&temporary, ".%s.new", name) < 0)
        return -ENOMEM;
    int r = write_temporary(folder_fd, name, temporary, data, n_bytes, mode);
    if (r < 0) {
        unlinkat(folder_fd, temporary, 0);
        return r;
    }
    return fsync(folder_fd) < 0 ? -errno : 0;
}

int atomic_file_remove(int dir_fd, const char *path)
{
    const char *name;
    _cleanup_close_ int folder_fd = open_parent(dir_fd, path, &name);
    if (folder_fd == -ENOENT)
        return 0;
    if (folder_fd < 0)
        return folder_fd;
    if (unlinkat(folder_fd, name, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    return fsync(folder_fd) < 0 ? -errno : 0;
}
