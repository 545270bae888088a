/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What reboot-lock.h is made of: a semaphore in a store that we change ourselves
 * (semaphore-lock.h), or a server that does it for us (fleet-lock.h). For those alone. */

#include "locksmith/lock/reboot-lock.h"

#define LOCK_DEADLINE_USEC (30 * UINT64_C(1000000)) /* of a call, whatever happens in it */

/* What a backend needs of the world; borrowed for its life, but for event, which is referenced. */
typedef struct {
    sd_event *event;
    uint64_t (*random_number)(void);
    uint64_t deadline_usec;    /* of each call */
    bool is_document_expected; /* reboot_lock_expect_document() */
} LockWorld;

/* A backend's first member, and that of its calls and watches. */
typedef struct LockBackend LockBackend;
typedef struct {
    /* request is borrowed for the call; its id and max have been checked. */
    int (*call)(LockBackend *backend, const LockRequest *request, LockDone on_done, void *userdata,
            LockCall **ret_call);
    int (*watch)(LockBackend *backend, void (*on_change)(void *userdata), void *userdata,
            LockWatch **ret_watch);
    void (*free)(LockBackend *backend);
} LockBackendOps;

struct LockBackend {
    const LockBackendOps *ops;
};
struct LockCall {
    void (*free)(LockCall *call);
};
struct LockWatch {
    void (*free)(LockWatch *watch);
};

void lock_backend_free(LockBackend *backend);
DEFINE_CLEANUP(LockBackend *, lock_backend_free);
