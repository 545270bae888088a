/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one list of locksmith's configuration keys: what each is called, what it may be, where it
 * goes, and what the manual says of it. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "locksmith/config/locksmith-config.h"

/* Where the keys' values go; what locksmith-config.c makes a LocksmithConfig of. */
typedef struct {
    LocksmithConfig config;
    const char *endpoints; /* as written; NULL: not set */
    const char *fleet_lock_url;
    LockStoreKind etcd_store;
} LocksmithSettings;

typedef struct LocksmithKey LocksmithKey;
struct LocksmithKey {
    const char *name;
    const char *older_name;    /* counts where the other is not set; NULL: there is none */
    const char *default_value; /* NULL: the field stays empty */
    const char *wants;         /* what would do, to follow "write " or "it is " */
    const char *help;          /* for the manual: plain sentences */
    bool is_secret;            /* not to be shown */
    /* Reads value, which is not empty (but a default_value may be) and outlives the settings, into
     * field. Errors: -EINVAL when it will not do, with `why` where there is more to say than that.
     * NULL: known, and without effect. */
    int (*read)(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
    size_t offset;     /* of the field in LocksmithSettings */
    uint64_t min_usec; /* of durations */
};

/* All keys; the array ends with a NULL name. */
const LocksmithKey *locksmith_keys(void);
#define LOCKSMITH_MAX_KEYS 40

/* Whether a key with this name would be one of locksmith's: REBOOT_STRATEGY, REBOOT_WINDOW_*,
 * LOCKSMITHD_*. */
bool locksmith_key_is_ours(const char *name);

/* By either name; NULL when there is no such key. */
const LocksmithKey *locksmith_key_find(const char *name);

/* Reads value into the key's field. name is what the person called it; place ("file:line: " or "")
 * begins the message. An empty value is not read: it means "not set".
 * Errors: -EINVAL with `error`. */
int locksmith_key_read(const LocksmithKey *key, const char *name, const char *value,
        const char *place, LocksmithSettings *settings, ErrorText *error);

/* Says that there is no such key, and which is the nearest. Returns -EINVAL. */
int locksmith_key_say_unknown(const char *name, const char *place, ErrorText *error);
