/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/etcd-v2-request.h"

#include <inttypes.h>
#include <string.h>

#include "locksmith/lock/lock-key.h"

/* Keys hold nothing that a path may not, but for the % of what is escaped in them already. */
static int make_path(const char *key, const char *query, char **ret_path)
{
    _cleanup_free_ char *escaped = malloc(3 * strlen(key) + 1);
    char *path = NULL;
    if (!escaped)
        return -ENOMEM;
    char *end = escaped;
    for (const char *c = key; *c != '\0'; c++) {
        *end++ = *c;
        if (*c == '%')
            end = stpcpy(end, "25");
    }
    *end = '\0';
    if (asprintf(&path, "/v2/keys/%s%s", escaped, query) < 0)
        return -ENOMEM;
    *ret_path = path;
    return 0;
}

int etcd_v2_path_of_key(const char *key, char **ret_path)
{
    return make_path(key, "?quorum=true&recursive=false&sorted=false", ret_path);
}

int etcd_v2_path_of_folder(const char *folder, char **ret_path)
{
    return make_path(folder, "?quorum=true&recursive=true&sorted=false", ret_path);
}

int etcd_v2_path_of_swap(const char *key, uint64_t index, char **ret_path)
{
    char query[64] = "?prevExist=false";
    if (index != 0)
        snprintf(query, sizeof(query), "?prevIndex=%" PRIu64, index);
    return make_path(key, query, ret_path);
}

int etcd_v2_path_of_any(const char *key, char **ret_path)
{
    return make_path(key, "", ret_path);
}

int etcd_v2_path_of_wait(const char *key, uint64_t first_index, char **ret_path)
{
    char query[64];
    snprintf(query, sizeof(query), "?wait=true&waitIndex=%" PRIu64, first_index);
    return make_path(key, query, ret_path);
}

int etcd_v2_form(const char *value, char **ret_body)
{
    _cleanup_free_ char *escaped = NULL;
    char *body = NULL;
    int r = lock_key_escape(value, &escaped);
    if (r < 0)
        return r;
    if (asprintf(&body, "value=%s", escaped) < 0)
        return -ENOMEM;
    *ret_body = body;
    return 0;
}
