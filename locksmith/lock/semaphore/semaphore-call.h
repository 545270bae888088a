/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request to a semaphore in a store. For semaphore-lock.c alone. */

#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/lock-store.h"

typedef struct {
    LockBackend backend; /* first */
    LockWorld world;
    LockStore *store;
    uint64_t revision;         /* the newest that was seen, 0 none, or none since it was gone */
    bool is_document_expected; /* it was seen, now or earlier: one that is not there is lost */
    /* A swap against this revision was sent, and nobody knows what became of it. As long as the
     * semaphore has this revision, it may still be done. */
    bool has_stray;
    uint64_t stray_revision;
} SemaphoreLock;

/* lock must outlive it. Errors: -ENOMEM, errno of sd-event and of the store. */
int semaphore_call_new(SemaphoreLock *lock, const LockRequest *request, LockDone on_done,
        void *userdata, LockCall **ret_call);
