/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-store.h"

int lock_store_read(LockStore *store, StoreDone on_done, void *userdata, StoreCall **ret_call)
{
    return store->ops->read(store, on_done, userdata, ret_call);
}

int lock_store_swap(LockStore *store, const StoreSwap *swap, StoreDone on_done, void *userdata,
        StoreCall **ret_call)
{
    return store->ops->swap(store, swap, on_done, userdata, ret_call);
}

int lock_store_list(LockStore *store, StoreListed on_done, void *userdata, StoreCall **ret_call)
{
    return store->ops->list(store, on_done, userdata, ret_call);
}

void store_call_free(StoreCall *call)
{
    if (call)
        call->free(call);
}

int lock_store_watch(LockStore *store, uint64_t revision, void (*on_change)(void *userdata),
        void *userdata, StoreWatch **ret_watch)
{
    return store->ops->watch(store, revision, on_change, userdata, ret_watch);
}

void store_watch_free(StoreWatch *watch)
{
    if (watch)
        watch->free(watch);
}

void lock_store_free(LockStore *store)
{
    if (store)
        store->ops->free(store);
}
