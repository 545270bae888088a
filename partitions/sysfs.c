/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/sysfs.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd-io.h"

#define FILE_MAX_BYTES 4096

int sysfs_read_u64(int dir_fd, const char *name, uint64_t *ret_value)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(dir_fd, name, FILE_MAX_BYTES, &text, &n_bytes);
    if (r < 0)
        return r;
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits == 0 || n_digits > 20 || (text[n_digits] != '\n' && text[n_digits] != '\0'))
        return -EINVAL;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

int sysfs_read_uevent(int dir_fd, const char *key, char *ret_value, size_t n_bytes)
{
    _cleanup_free_ char *text = NULL;
    size_t n_text, n_key = strlen(key);
    int r = fd_read_file(dir_fd, "uevent", FILE_MAX_BYTES, &text, &n_text);
    if (r < 0)
        return r;
    for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, key, n_key) != 0 || line[n_key] != '=')
            continue;
        const char *value = line + n_key + 1;
        size_t n_value = strcspn(value, "\n");
        if (n_value >= n_bytes)
            return -ENAMETOOLONG;
        memcpy(ret_value, value, n_value);
        ret_value[n_value] = '\0';
        return 0;
    }
    return -ENOENT;
}

int sysfs_read_node(int dir_fd, const char *root, char *ret_path, size_t n_bytes)
{
    char name[256];
    int r = sysfs_read_uevent(dir_fd, "DEVNAME", name, sizeof(name));
    if (r == -ENOENT || (r >= 0 && name[0] == '\0'))
        return -EINVAL;
    if (r < 0)
        return r;
    int n = snprintf(ret_path, n_bytes, "%s/dev/%s", root, name);
    return n < 0 || (size_t)n >= n_bytes ? -ENAMETOOLONG : 0;
}
