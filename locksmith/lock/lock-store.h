/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store that holds the group's semaphore: what the algorithm in semaphore-lock.c needs of etcd v3
 * and v2. Each call is an object that reports once through on_done (never from inside the call that
 * made it, and last; freeing the call and making another is allowed inside); freeing it cancels.
 * A store tries its endpoints in turn, for every kind of failure, within one deadline for the call.
 * Nothing blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "locksmith/lock/holder-facts.h"

typedef enum {
    STORE_DONE,
    STORE_CONFLICT,    /* swap: somebody was faster; nothing was written */
    STORE_UNKNOWN,     /* a write was sent and its fate is not known: read again */
    STORE_UNREACHABLE, /* surely nothing was written; later may do */
    STORE_REFUSED,     /* authentication, permission, an API that is switched off: needs a person */
} StoreResult;

typedef struct {
    const char *id;   /* of the holder */
    const char *text; /* holder-facts.h */
    size_t n_bytes;
} StoreFacts;

/* What a read or a lost swap saw; all inside the answer, gone after on_done. */
typedef struct {
    bool exists;
    const char *document; /* NUL-terminated */
    size_t n_bytes;
    uint64_t revision;       /* to swap against; 0 when it does not exist */
    const StoreFacts *facts; /* read: of every holder that left some */
    size_t n_facts;
} StoreContent;

typedef struct {
    StoreResult result;
    const StoreContent *content; /* read: STORE_DONE; swap: STORE_CONFLICT where the store tells;
                                  * else NULL */
    const char *error;           /* one line that says what is wrong and what to do; "" when done */
} StoreAnswer;

typedef struct {
    uint64_t revision; /* only if this is still its revision; 0: only if it does not exist */
    const char *document;
    size_t n_bytes;
    /* In the same transaction (v3), or after it and without weight (v2): */
    const char *put_facts_of; /* an id, or NULL */
    const char *facts;
    const char *drop_facts_of; /* an id, or NULL */
} StoreSwap;

typedef struct LockStore LockStore;
typedef struct StoreCall StoreCall;
typedef struct StoreWatch StoreWatch;

typedef void (*StoreDone)(StoreCall *call, const StoreAnswer *answer, void *userdata);
/* names: of the groups that have a semaphore, unescaped, "" for the one without a name. */
typedef void (*StoreListed)(StoreCall *call, const StoreAnswer *answer, const char *const *names,
        size_t n_names, void *userdata);

/* Borrowed for the call, but for the store, which must outlive it. Errors: -ENOMEM, errno of
 * sd-event; everything else comes through on_done. */
int lock_store_read(LockStore *store, StoreDone on_done, void *userdata, StoreCall **ret_call);
int lock_store_swap(LockStore *store, const StoreSwap *swap, StoreDone on_done, void *userdata,
        StoreCall **ret_call);
int lock_store_list(LockStore *store, StoreListed on_done, void *userdata, StoreCall **ret_call);
void store_call_free(StoreCall *call);
DEFINE_CLEANUP(StoreCall *, store_call_free);

/* Calls on_change when the semaphore may have changed after revision, or the watch cannot be kept
 * up and a look is due; never more often than once a second. Keeps itself up with back-off until
 * freed. The watch does not stand for reading: it only says when. */
int lock_store_watch(LockStore *store, uint64_t revision, void (*on_change)(void *userdata),
        void *userdata, StoreWatch **ret_watch);
void store_watch_free(StoreWatch *watch);
DEFINE_CLEANUP(StoreWatch *, store_watch_free);

void lock_store_free(LockStore *store);
DEFINE_CLEANUP(LockStore *, lock_store_free);

/* For those who make a store: its first member. */
typedef struct {
    int (*read)(LockStore *store, StoreDone on_done, void *userdata, StoreCall **ret_call);
    int (*swap)(LockStore *store, const StoreSwap *swap, StoreDone on_done, void *userdata,
            StoreCall **ret_call);
    int (*list)(LockStore *store, StoreListed on_done, void *userdata, StoreCall **ret_call);
    int (*watch)(LockStore *store, uint64_t revision, void (*on_change)(void *userdata),
            void *userdata, StoreWatch **ret_watch);
    void (*free)(LockStore *store);
} LockStoreOps;

struct LockStore {
    const LockStoreOps *ops;
};
struct StoreCall {
    void (*free)(StoreCall *call);
};
struct StoreWatch {
    void (*free)(StoreWatch *watch);
};
