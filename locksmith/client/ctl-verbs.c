/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/ctl-verbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/printable.h"

int ctl_arguments(int argc, char **argv, const GoFlag *flags, int max_arguments)
{
    static const GoFlag none[] = {{}};
    ErrorText error = {};
    int n = go_flags_parse(flags ? flags : none, FLAGS_ANYWHERE, argc - 1, argv + 1, &error);
    if (n > max_arguments)
        error_say(&error, -EINVAL, "%s takes no '%s'", argv[0], argv[1 + max_arguments]);
    if (n >= 0 && n <= max_arguments)
        return n;
    verbs_usage_error(LOCKSMITHCTL, "%s", error.line);
    return -1;
}

int ctl_complain(int exit_code, const char *what, const ErrorText *error)
{
    ErrorText line = *error;
    printable_clean(line.line);
    fprintf(stderr, "%s: %s\n", what, line.line[0] ? line.line : "out of memory");
    return exit_code;
}

int ctl_open_root(const CtlOptions *options, ErrorText *error)
{
    const char *path = options->root && options->root[0] ? options->root : "/";
    int fd = open(path, O_DIRECTORY | O_PATH | O_CLOEXEC);
    return fd < 0 ? error_say(error, -errno, "cannot open the root folder %s: %m", path) : fd;
}

int ctl_this_host(const CtlOptions *options, const char *configured_id, HostIdentity *ret_host,
        ErrorText *error)
{
    const char *told = options->machine_id ? options->machine_id : configured_id;
    if (strlen(told) > LOCK_MAX_ID_CHARS)
        return error_say(error, -EINVAL, "the id of this host has more than %d characters",
                LOCK_MAX_ID_CHARS);
    _cleanup_close_ int root_fd = ctl_open_root(options, error);
    if (root_fd < 0)
        return root_fd;
    HostIdentity host = {};
    int r = host_identity_read(root_fd, &host, error);
    if (r < 0 && !told[0])
        return r;
    if (told[0])
        strcpy(host.machine_id, told);
    *ret_host = host;
    return 0;
}

TimeShown ctl_show_time(uint64_t usec)
{
    TimeShown shown = {"unknown"};
    time_t sec = (time_t)(usec / USEC_PER_SEC);
    struct tm parts;
    if (usec > 0 && localtime_r(&sec, &parts) &&
            strftime(shown.text, sizeof(shown.text), "%Y-%m-%d %H:%M:%S %Z", &parts) == 0)
        strcpy(shown.text, "unknown");
    return shown;
}
