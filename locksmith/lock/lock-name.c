/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-name.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/printable.h"

static const char *const stores[] = {
        [LOCK_STORE_ETCD_V3] = "etcd-v3",
        [LOCK_STORE_ETCD_V2] = "etcd-v2",
        [LOCK_STORE_FLEET_LOCK] = "fleet-lock",
};

const char *lock_name_of_store(LockStoreKind store)
{
    return stores[store];
}

int lock_name_read_store(const char *name, LockStoreKind *ret_store)
{
    for (size_t i = 0; i < ELEMENTS(stores); i++)
        if (strcmp(stores[i], name) == 0) {
            *ret_store = (LockStoreKind)i;
            return 0;
        }
    return -EINVAL;
}

static bool is_printable(const char *name)
{
    char shown[LOCK_MAX_ID_CHARS + 1];
    size_t n_chars = strlen(name);
    if (n_chars > LOCK_MAX_ID_CHARS)
        return false;
    printable_copy(shown, sizeof(shown), name);
    return strcmp(shown, name) == 0;
}

bool lock_name_is_group(const char *group)
{
    return is_printable(group) && strcmp(group, ".") != 0 && strcmp(group, "..") != 0;
}

bool lock_name_is_fleet_lock_group(const char *group)
{
    static const char allowed[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    return group[strspn(group, allowed)] == '\0';
}

bool lock_name_is_id(const char *id)
{
    return id[0] != '\0' && is_printable(id);
}
