/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/output-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct OutputFile {
    char *path;
    char *temporary; /* NULL once it has been renamed */
    char *folder;
    int fd;
};

/* The folder of path, and path's last part inside it. Errors: -EISDIR, -ENOMEM. */
static int split_path(const char *path, char **ret_folder, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (name[0] == '\0')
        return -EISDIR;
    char *folder = slash == path ? strdup("/")
                   : slash       ? strndup(path, (size_t)(slash - path))
                                 : strdup(".");
    if (!folder)
        return -ENOMEM;
    *ret_folder = folder;
    *ret_name = name;
    return 0;
}

static int open_temporary(OutputFile *file, const char *name)
{
    if (asprintf(&file->temporary, "%s/.%s.new", file->folder, name) < 0) {
        file->temporary = NULL;
        return -ENOMEM;
    }
    /* What lies there, from a run that was killed or from somebody else, is not written into. */
    int r = unlink(file->temporary) < 0 && errno != ENOENT ? -errno : 0;
    if (r == 0)
        file->fd = open(
                file->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)0666);
    if (file->fd >= 0)
        return 0;
    if (r == 0)
        r = -errno;
    free(TAKE_PTR(file->temporary));
    return r;
}

int output_file_new(const char *path, OutputFile **ret_file, ErrorText *error)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return error_say(error, -EINVAL, "%s is not a regular file", path);
    _cleanup_(output_file_freep) OutputFile *file = malloc(sizeof(*file));
    if (!file)
        return -ENOMEM;
    *file = (OutputFile){.fd = -1, .path = strdup(path)};
    if (!file->path)
        return -ENOMEM;
    const char *name;
    int r = split_path(path, &file->folder, &name);
    if (r >= 0)
        r = open_temporary(file, name);
    if (r < 0)
        return error_say(error, r, "%s cannot be made: %s", path, strerror(-r));
    *ret_file = TAKE_PTR(file);
    return 0;
}

void output_file_free(OutputFile *file)
{
    if (!file)
        return;
    safe_close(file->fd);
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    free(file->folder);
    free(file->path);
    free(file);
}

int output_file_fd(const OutputFile *file)
{
    return file->fd;
}

static int commit(OutputFile *file)
{
    if (fsync(file->fd) < 0)
        return -errno;
    if (close(TAKE_FD(file->fd)) < 0)
        return -errno;
    if (rename(file->temporary, file->path) < 0)
        return -errno;
    free(TAKE_PTR(file->temporary));
    _cleanup_close_ int folder_fd = open(file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0 || fsync(folder_fd) < 0)
        return -errno;
    return 0;
}

int output_file_commit(OutputFile *file, ErrorText *error)
{
    int r = commit(file);
    if (r < 0)
        return error_say(error, r, "%s cannot be written: %s", file->path, strerror(-r));
    return 0;
}

int output_file_open_scratch(const char *path, ErrorText *error)
{
    _cleanup_free_ char *folder = NULL;
    const char *name;
    int r = split_path(path, &folder, &name);
    if (r < 0)
        return r;
    _cleanup_free_ char *scratch = NULL;
    if (asprintf(&scratch, "%s/.%s.XXXXXX", folder, name) < 0) {
        scratch = NULL;
        return -ENOMEM;
    }
    int fd = mkostemp(scratch, O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno, "no file can be made in %s: %s", folder, strerror(errno));
    unlink(scratch);
    return fd;
}
