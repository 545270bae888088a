/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the two stores of etcd have in common: where they ask, and about which keys. */

#include "locksmith/lock/etcd/etcd-session.h"
#include "locksmith/lock/etcd/etcd-store.h"

typedef struct {
    LockStore store; /* first */
    EtcdSession *session;
    char *group;
    char *key;          /* of the semaphore */
    char *facts_folder; /* what the keys of all holders' facts begin with */
} EtcdStore;

/* ops is borrowed for the store's life; its free is etcd_store_free. The rest is as of
 * etcd_v3_store_new, with kind in place of options->store. */
int etcd_store_new(sd_event *event, HttpClient *client, const LockOptions *options,
        LockStoreKind kind, const LockStoreOps *ops, LockStore **ret_store, ErrorText *error);
void etcd_store_free(LockStore *store);

/* Where the facts go that the swap puts and drops: new, or NULL for none. What is put is not
 * dropped. Errors: -ENOMEM. */
int etcd_store_facts_keys(
        const EtcdStore *store, const StoreSwap *swap, char **ret_put, char **ret_drop);
