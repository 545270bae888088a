/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What stores, groups and holders of a lock are called. Pure. */

#include <stdbool.h>

#include "locksmith/lock/lock-options.h"

/* "etcd-v3", "etcd-v2", "fleet-lock": in configuration, on the command line and on the bus. */
const char *lock_name_of_store(LockStoreKind store);
/* Errors: -EINVAL when there is no such store. */
int lock_name_read_store(const char *name, LockStoreKind *ret_store);

/* Whether group is one that we use: "", or at most LOCK_MAX_ID_CHARS bytes fit to be printed
 * (common/printable.h), and neither "." nor "..", which a path would swallow. */
bool lock_name_is_group(const char *group);

/* Whether the FleetLock protocol knows it, too: "", or letters, digits, dots and hyphens. */
bool lock_name_is_fleet_lock_group(const char *group);

/* Whether id is one that may become a holder: not empty, at most LOCK_MAX_ID_CHARS bytes, and fit
 * to be printed. Go locksmith takes any. */
bool lock_name_is_id(const char *id);
