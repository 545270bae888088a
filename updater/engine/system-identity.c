/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/system-identity.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/env-file.h"
#include "common/fd-io.h"

#define BOOT_ID_PATH "proc/sys/kernel/random/boot_id"

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void keep(const char *value, char *text, size_t n_bytes)
{
    if (value && strlen(value) < n_bytes && is_printable(value))
        strcpy(text, value);
}

/* The first line of a small file, without its newline. */
static bool read_line(int dir_fd, const char *path, char *text, size_t n_bytes)
{
    _cleanup_free_ char *data = NULL;
    size_t n;
    if (fd_read_file(dir_fd, path, 256, &data, &n) < 0)
        return false;
    data[strcspn(data, "\n")] = '\0';
    keep(data, text, n_bytes);
    return text[0] != '\0';
}

static bool read_oem(int root_fd, const char *path, SystemIdentity *identity)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    if (env_file_load(root_fd, path, &file, NULL) < 0)
        return false;
    keep(env_file_get(file, "ID"), identity->oem, sizeof(identity->oem));
    keep(env_file_get(file, "VERSION_ID"), identity->oem_version, sizeof(identity->oem_version));
    return true;
}

void system_identity_read(int root_fd, SystemIdentity *ret_identity)
{
    SystemIdentity identity = {};
    read_line(root_fd, "etc/machine-id", identity.machine_id, sizeof(identity.machine_id));
    if (!read_line(root_fd, BOOT_ID_PATH, identity.boot_id, sizeof(identity.boot_id)))
        read_line(AT_FDCWD, "/" BOOT_ID_PATH, identity.boot_id, sizeof(identity.boot_id));
    if (!read_oem(root_fd, "etc/oem-release", &identity))
        read_oem(root_fd, "usr/share/oem/oem-release", &identity);
    struct utsname names;
    if (uname(&names) == 0)
        keep(names.machine, identity.architecture, sizeof(identity.architecture));
    *ret_identity = identity;
}
