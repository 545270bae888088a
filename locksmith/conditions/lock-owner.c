/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/lock-owner.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/cleanup.h"

/* "1: FLOCK  ADVISORY  WRITE 1234 00:19:5678 0 EOF": sets *ret_pid for a flock of this file. */
static bool parse_line(const char *line, const struct stat *file, int *ret_pid)
{
    unsigned device_major, device_minor;
    uint64_t inode;
    int pid;
    if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &device_major, &device_minor,
                &inode) != 4 ||
            device_major != major(file->st_dev) || device_minor != minor(file->st_dev) ||
            inode != file->st_ino)
        return false;
    *ret_pid = pid;
    return true;
}

static bool is_of_root(int pid)
{
    char path[32];
    struct stat process;
    snprintf(path, sizeof(path), "/proc/%d", pid);
    return stat(path, &process) == 0 && process.st_uid == 0;
}

bool lock_owner_is_root(int fd)
{
    char line[256];
    struct stat file;
    bool is_listed = false;
    _cleanup_(fclosep) FILE *locks = fopen("/proc/locks", "re");
    if (!locks || fstat(fd, &file) < 0)
        return true;
    while (fgets(line, sizeof(line), locks)) {
        int pid;
        if (!parse_line(line, &file, &pid))
            continue;
        is_listed = true;
        if (is_of_root(pid))
            return true;
    }
    return !is_listed;
}
