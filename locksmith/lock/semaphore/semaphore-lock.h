/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lock over a store that we change ourselves: read, change the document, swap, again where
 * somebody was faster. */

#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/lock-store.h"

/* store is consumed, on failure too. Errors: -ENOMEM. */
int semaphore_lock_new(const LockWorld *world, LockStore *store, LockBackend **ret_backend);
