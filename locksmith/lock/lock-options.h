/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where the cluster's semaphore is and who asks for it. Plain data, borrowed by its readers. */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"

typedef enum {
    LOCK_STORE_ETCD_V3, /* etcd 3.4 or later, JSON gateway */
    LOCK_STORE_ETCD_V2, /* v2 keys, byte for byte as Go locksmith */
    LOCK_STORE_FLEET_LOCK,
} LockStoreKind;

#define LOCK_MAX_ENDPOINTS 16
#define LOCK_MAX_ID_CHARS 256

typedef struct {
    LockStoreKind store;
    const char *const *endpoints; /* http(s) URLs without a path; FleetLock: one, the base URL */
    size_t n_endpoints;
    const char *group; /* "": the one without a name */
    /* PEM files; NULL: the system's CAs, no client certificate. cert and key come together. */
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *user; /* NULL: no authentication */
    const char *password;
} LockOptions;

/* Whether it can be worked with, but for what lies in the files. Pure.
 * Errors: -EINVAL with `error` that says what is wrong and what would do, -ENOMEM. */
int lock_options_check(const LockOptions *options, ErrorText *error);

/* Whether user and password go to another host as anybody on the way can read them. */
bool lock_options_are_open(const LockOptions *options);
