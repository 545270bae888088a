/* SPDX-License-Identifier: Apache-2.0 */

/* The lock is the flock of the file's inode, and replacing the file replaces the inode. So the new
 * file is locked under its temporary name, before the rename shows it: at no time does the path
 * name a file that is not locked. Whoever opened the old file before the rename gets its lock when
 * we close it; a taker therefore looks whether what it locked is still what the path names.
 *
 * Everybody may read the file, and who may read a file may take its lock: any user could wait for
 * it until our next start. So only root's lock counts; where somebody else holds it, the file is
 * replaced, and the lock that we then have is that of the new one.
 *
 * Nothing is synced: /run does not outlive the boot. */

#include "locksmith/conditions/coordinator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/fd-io.h"
#include "locksmith/conditions/lock-owner.h"

#define FOLDER "run/update-engine"
#define NAME "coordinator.conf"
#define TEMPORARY ".coordinator.conf.new"
#define MAX_TRIES 16

struct Coordinator {
    int folder_fd;
    int lock_fd; /* the file that is there now, locked */
    char *strategy;
    CoordinatorState state;
};

const char *coordinator_state_name(CoordinatorState state)
{
    switch (state) {
    case COORDINATOR_STARTING:
        return "starting";
    case COORDINATOR_RUNNING:
        return "running";
    case COORDINATOR_REBOOT_PLANNED:
        return "reboot-planned";
    case COORDINATOR_REBOOTING:
        return "rebooting";
    }
    return "?";
}

static int open_folder(int root_fd)
{
    static const char *const folders[] = {"run", FOLDER};
    for (size_t i = 0; i < ELEMENTS(folders); i++) {
        if (mkdirat(root_fd, folders[i], 0755) == 0) {
            if (fchmodat(root_fd, folders[i], 0755, 0) < 0) /* whatever our umask is */
                return -errno;
        } else if (errno != EEXIST) {
            return -errno;
        }
    }
    int fd = openat(root_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool is_named(int folder_fd, int fd)
{
    struct stat own;
    struct stat named;
    return fstat(fd, &own) == 0 && fstatat(folder_fd, NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

/* Returns the locked file that the path names, or one that is locked by nobody who counts. -EBUSY:
 * another coordinator holds it. */
static int take_lock(int folder_fd)
{
    for (int i = 0; i < MAX_TRIES; i++) {
        _cleanup_close_ int fd = openat(
                folder_fd, NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK)
                return -errno;
            return lock_owner_is_root(fd) ? -EBUSY : TAKE_FD(fd);
        }
        if (is_named(folder_fd, fd))
            return TAKE_FD(fd);
    }
    return -EBUSY;
}

static int write_locked(int folder_fd, const char *strategy, CoordinatorState state)
{
    if (unlinkat(folder_fd, TEMPORARY, 0) < 0 && errno != ENOENT)
        return -errno;
    _cleanup_close_ int fd = openat(
            folder_fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    /* Nobody else can have opened it before it is locked. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fchmod(fd, 0644) < 0)
        return -errno;

    _cleanup_free_ char *text = NULL;
    int n_bytes = asprintf(&text, "NAME=locksmithd\nSTRATEGY=%s\nSTATE=%s\n", strategy,
            coordinator_state_name(state));
    if (n_bytes < 0)
        return -ENOMEM;
    int r = fd_write_full(fd, text, (size_t)n_bytes);
    if (r < 0)
        return r;
    if (renameat(folder_fd, TEMPORARY, folder_fd, NAME) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int replace(Coordinator *coordinator, const char *strategy, CoordinatorState state)
{
    _cleanup_free_ char *copy = strdup(strategy);
    if (!copy)
        return -ENOMEM;
    int fd = write_locked(coordinator->folder_fd, strategy, state);
    if (fd < 0) {
        unlinkat(coordinator->folder_fd, TEMPORARY, 0);
        return fd;
    }
    safe_close(coordinator->lock_fd);
    coordinator->lock_fd = fd;
    free(coordinator->strategy);
    coordinator->strategy = TAKE_PTR(copy);
    coordinator->state = state;
    return 0;
}

static int say_unwritable(ErrorText *error, int r)
{
    return error_say(error, r, "/%s cannot be written: %s", COORDINATOR_FILE, strerror(-r));
}

int coordinator_new(
        int root_fd, const char *strategy, Coordinator **ret_coordinator, ErrorText *error)
{
    _cleanup_(coordinator_freep) Coordinator *coordinator = malloc(sizeof(*coordinator));
    if (!coordinator)
        return -ENOMEM;
    *coordinator = (Coordinator){.folder_fd = -1, .lock_fd = -1};
    coordinator->folder_fd = open_folder(root_fd);
    if (coordinator->folder_fd < 0)
        return say_unwritable(error, coordinator->folder_fd);
    coordinator->lock_fd = take_lock(coordinator->folder_fd);
    if (coordinator->lock_fd == -EBUSY)
        return error_say(error, -EBUSY,
                "another program decides about this host's reboots: it holds the lock of /%s; "
                "stop that one, or disable this one",
                COORDINATOR_FILE);
    if (coordinator->lock_fd < 0)
        return say_unwritable(error, coordinator->lock_fd);
    int r = replace(coordinator, strategy, COORDINATOR_STARTING);
    if (r < 0)
        return say_unwritable(error, r);
    *ret_coordinator = TAKE_PTR(coordinator);
    return 0;
}

int coordinator_set(
        Coordinator *coordinator, const char *strategy, CoordinatorState state, ErrorText *error)
{
    if (coordinator->state == state && strcmp(coordinator->strategy, strategy) == 0)
        return 0;
    int r = replace(coordinator, strategy, state);
    return r < 0 ? say_unwritable(error, r) : 0;
}

void coordinator_free(Coordinator *coordinator)
{
    if (!coordinator)
        return;
    safe_close(coordinator->lock_fd);
    safe_close(coordinator->folder_fd);
    free(coordinator->strategy);
    free(coordinator);
}
