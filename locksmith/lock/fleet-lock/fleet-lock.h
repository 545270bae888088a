/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lock of a FleetLock server
 * (https://coreos.github.io/zincati/development/fleetlock/protocol/): it can be taken and given
 * back, both idempotent, and nothing else. Its watch is a poll. */

#include <stdbool.h>

#include "common/http-client.h"
#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/lock-options.h"

/* "" is taken as "default", which servers have; else letters, digits, dots and hyphens, as the
 * protocol has it. */
bool fleet_lock_group_is_valid(const char *group);

/* client and options (as lock_options_check passed them) are borrowed for the backend's life.
 * Errors: -ENOMEM. */
int fleet_lock_new(const LockWorld *world, HttpClient *client, const LockOptions *options,
        LockBackend **ret_backend);
