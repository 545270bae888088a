/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/reboot-required.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "common/printable.h"

#define MAX_LIST_BYTES (64 * 1024)
#define MAX_NAMED 3 /* packages; the others are counted */
#define MAX_KNOWN 256
#define MAX_NAME_CHARS 60

/* Returns whether name is new among the first n_names. The list may name a package often. */
static bool is_new(char *const *names, size_t n_names, const char *name)
{
    for (size_t i = 0; i < n_names; i++)
        if (strcmp(names[i], name) == 0)
            return false;
    return true;
}

static void show_packages(char *list, char *packages, size_t n_packages_bytes)
{
    char *names[MAX_KNOWN];
    size_t n_names = 0;
    char *rest = list;
    for (char *name = strsep(&rest, "\n"); name && n_names < MAX_KNOWN; name = strsep(&rest, "\n"))
        if (name[0] != '\0' && is_new(names, n_names, name))
            names[n_names++] = name;

    size_t at = 0;
    for (size_t i = 0; i < MIN(n_names, (size_t)MAX_NAMED); i++)
        at += (size_t)snprintf(packages + at, n_packages_bytes - at, "%s%.*s", i > 0 ? ", " : "",
                MAX_NAME_CHARS, names[i]);
    if (n_names > MAX_NAMED)
        snprintf(packages + at, n_packages_bytes - at, " and %zu more", n_names - MAX_NAMED);
    printable_clean(packages);
}

int reboot_required_read(int root_fd, RebootRequired *ret_required)
{
    static const char *const files[] = {REBOOT_REQUIRED_FILE, REBOOT_REQUIRED_FILE_OLD};
    RebootRequired required = {.is_required = false};
    const char *found = NULL;
    for (size_t i = 0; i < ELEMENTS(files) && !found; i++) {
        struct stat st;
        if (fstatat(root_fd, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            found = files[i];
        else if (errno != ENOENT && errno != ENOTDIR)
            return -errno;
    }
    if (found) {
        char path[64];
        _cleanup_free_ char *list = NULL;
        size_t n_bytes;
        required.is_required = true;
        snprintf(path, sizeof(path), "%s.pkgs", found);
        if (fd_read_file(root_fd, path, MAX_LIST_BYTES, &list, &n_bytes) == 0)
            show_packages(list, required.packages, sizeof(required.packages));
    }
    *ret_required = required;
    return 0;
}
