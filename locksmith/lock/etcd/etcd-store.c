/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/etcd-store.h"

#include <string.h>

#include "locksmith/lock/etcd/etcd-store-private.h"
#include "locksmith/lock/lock-key.h"

int etcd_store_facts_keys(
        const EtcdStore *store, const StoreSwap *swap, char **ret_put, char **ret_drop)
{
    _cleanup_free_ char *put = NULL;
    _cleanup_free_ char *drop = NULL;
    bool is_same = swap->put_facts_of && swap->drop_facts_of &&
                   strcmp(swap->put_facts_of, swap->drop_facts_of) == 0;
    int r = 0;
    if (swap->put_facts_of)
        r = lock_key_of_facts(store->group, swap->put_facts_of, &put);
    if (r >= 0 && swap->drop_facts_of && !is_same)
        r = lock_key_of_facts(store->group, swap->drop_facts_of, &drop);
    if (r < 0)
        return r;
    *ret_put = TAKE_PTR(put);
    *ret_drop = TAKE_PTR(drop);
    return 0;
}

void etcd_store_free(LockStore *lock_store)
{
    EtcdStore *store = (EtcdStore *)lock_store;
    etcd_session_free(store->session);
    free(store->group);
    free(store->key);
    free(store->facts_folder);
    free(store);
}

int etcd_store_new(sd_event *event, HttpClient *client, const LockOptions *options,
        LockStoreKind kind, const LockStoreOps *ops, LockStore **ret_store, ErrorText *error)
{
    EtcdStore *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->store.ops = ops;
    _cleanup_(lock_store_freep) LockStore *guard = &store->store;
    LockOptions own_options = *options;
    own_options.store = kind;
    int r = etcd_session_new(event, client, &own_options, NULL, &store->session, error);
    if (r < 0)
        return r;
    store->group = strdup(options->group);
    if (!store->group)
        return -ENOMEM;
    r = lock_key_of_semaphore(options->group, &store->key);
    if (r >= 0)
        r = lock_key_of_all_facts(options->group, &store->facts_folder);
    if (r < 0)
        return r;
    *ret_store = TAKE_PTR(guard);
    return 0;
}
