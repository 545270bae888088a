/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-backend.h"

void lock_call_free(LockCall *call)
{
    if (call)
        call->free(call);
}

void lock_watch_free(LockWatch *watch)
{
    if (watch)
        watch->free(watch);
}

void lock_backend_free(LockBackend *backend)
{
    if (backend)
        backend->ops->free(backend);
}
