/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/etcd-content.h"

#include <stdbool.h>

#include "locksmith/lock/lock-key.h"

/* Arrays grow by powers of two. */
static size_t room_for(size_t n)
{
    return n == 0 ? 1 : 2 * n;
}

static bool is_full(size_t n)
{
    return (n & (n - 1)) == 0;
}

int etcd_content_add_facts(EtcdContent *content, const char *group, const char *key,
        size_t n_key_bytes, const char *text, size_t n_bytes)
{
    _cleanup_free_ char *id = NULL;
    int r = lock_key_read_id(group, key, n_key_bytes, &id);
    if (r < 0)
        return r == -EINVAL ? 0 : r;
    size_t n = content->n_facts;
    StoreFacts *longer = is_full(n) ? reallocarray(content->facts, room_for(n), sizeof(*longer))
                                    : content->facts;
    if (!longer)
        return -ENOMEM;
    content->facts = longer;
    content->facts[content->n_facts++] =
            (StoreFacts){.id = TAKE_PTR(id), .text = text, .n_bytes = n_bytes};
    return 0;
}

int etcd_content_add_name(EtcdContent *content, const char *key, size_t n_key_bytes)
{
    _cleanup_free_ char *name = NULL;
    int r = lock_key_read_group(key, n_key_bytes, &name);
    if (r < 0)
        return r == -EINVAL ? 0 : r;
    size_t n = content->n_names;
    char **longer = is_full(n) ? reallocarray(content->names, room_for(n), sizeof(*longer))
                               : content->names;
    if (!longer)
        return -ENOMEM;
    content->names = longer;
    content->names[content->n_names++] = TAKE_PTR(name);
    return 0;
}

void etcd_content_done(EtcdContent *content)
{
    for (size_t i = 0; i < content->n_facts; i++)
        free((char *)content->facts[i].id);
    for (size_t i = 0; i < content->n_names; i++)
        free(content->names[i]);
    free(content->facts);
    free(content->names);
    *content = (EtcdContent){.facts = NULL};
}
