/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/client.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/printable.h"

int client_complain(int exit_code, const ErrorText *error)
{
    ErrorText line = *error;
    printable_clean(line.line);
    fprintf(stderr, "flipside: %s\n", line.line[0] ? line.line : "out of memory");
    return exit_code;
}

int client_open_root(const ClientOptions *options, ErrorText *error)
{
    const char *path = options->root[0] ? options->root : "/";
    int fd = open(path, O_DIRECTORY | O_PATH | O_CLOEXEC);
    return fd < 0 ? error_say(error, -errno, "cannot open the root folder %s: %m", path) : fd;
}

int client_open_state(const ClientOptions *options, ErrorText *error)
{
    _cleanup_free_ char *path = NULL;
    if (!options->state_dir && asprintf(&path, "%s/var/lib/update-engine", options->root) < 0)
        return -ENOMEM;
    const char *folder = options->state_dir ? options->state_dir : path;
    int fd = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_say(error, -errno, "cannot open the state folder %s: %m", folder) : fd;
}
