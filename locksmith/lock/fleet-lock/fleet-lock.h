/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lock of a FleetLock server
 * (https://coreos.github.io/zincati/development/fleetlock/protocol/): it can be taken and given
 * back, both idempotent, and nothing else. The group "" is asked for as "default", which servers
 * have. Its watch is a poll. */

#include "common/http-client.h"
#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/lock-options.h"

/* client and options (as lock_options_check passed them) are borrowed for the backend's life.
 * Errors: -ENOMEM. */
int fleet_lock_new(const LockWorld *world, HttpClient *client, const LockOptions *options,
        LockBackend **ret_backend);
