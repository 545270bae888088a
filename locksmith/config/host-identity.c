/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/config/host-identity.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd-io.h"

#define MACHINE_ID_FILE "etc/machine-id"
#define BOOT_ID_FILE "proc/sys/kernel/random/boot_id"

#define MAX_FILE_BYTES 4096

/* The file's first word, cut out of *ret_data, which is new. Errors: errno. */
static int read_word(int root_fd, const char *path, char **ret_data, char **ret_word)
{
    size_t n_bytes;
    int r = fd_read_file(root_fd, path, MAX_FILE_BYTES, ret_data, &n_bytes);
    if (r < 0)
        return r;
    static const char blanks[] = " \t\r\n";
    char *word = *ret_data + strspn(*ret_data, blanks);
    for (size_t n = strlen(word); n > 0 && strchr(blanks, word[n - 1]); n--)
        word[n - 1] = '\0';
    *ret_word = word;
    return 0;
}

static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return text[0] != '\0';
}

int host_identity_read(int root_fd, HostIdentity *ret_identity, ErrorText *error)
{
    HostIdentity identity = {};
    _cleanup_free_ char *machine_data = NULL, *boot_data = NULL;
    char *machine_id, *boot_id;
    int r = read_word(root_fd, MACHINE_ID_FILE, &machine_data, &machine_id);
    if (r < 0)
        return error_say(
                error, r, "cannot read the machine id from /%s: %s", MACHINE_ID_FILE, strerror(-r));
    /* systemd writes "uninitialized" into an image that many hosts start from. */
    if (!is_plain(machine_id) || strlen(machine_id) >= sizeof(identity.machine_id) ||
            strcmp(machine_id, "uninitialized") == 0)
        return error_say(error, -EINVAL,
                "/%s holds no machine id; systemd-machine-id-setup makes one", MACHINE_ID_FILE);
    strcpy(identity.machine_id, machine_id);
    if (read_word(root_fd, BOOT_ID_FILE, &boot_data, &boot_id) == 0 && is_plain(boot_id) &&
            strlen(boot_id) < sizeof(identity.boot_id))
        strcpy(identity.boot_id, boot_id);
    if (gethostname(identity.host_name, sizeof(identity.host_name) - 1) < 0)
        identity.host_name[0] = '\0';
    *ret_identity = identity;
    return 0;
}
