/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request to a FleetLock server. For fleet-lock.c alone. */

#include "common/http-client.h"
#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/lock-options.h"

typedef struct {
    LockBackend backend; /* first */
    LockWorld world;
    HttpClient *client;
    const LockOptions *options;
    char *base; /* the address, without a slash at its end */
} FleetLock;

/* lock must outlive it. Errors: -ENOMEM, errno of sd-event. */
int fleet_call_new(FleetLock *lock, const LockRequest *request, LockDone on_done, void *userdata,
        LockCall **ret_call);
