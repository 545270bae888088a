/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is asked of etcd's v3 JSON gateway (etcd's rpc.proto): 64-bit numbers are text, bytes are
 * base64. All is POSTed. Pure functions. */

#include <stdint.h>

#include "common/cleanup.h"
#include "locksmith/lock/lock-store.h"

#define ETCD_V3_TXN "/v3/kv/txn"
#define ETCD_V3_RANGE "/v3/kv/range"
#define ETCD_V3_WATCH "/v3/watch"
#define ETCD_V3_LOGIN "/v3/auth/authenticate"

#define ETCD_V3_MAX_PAIRS 20000 /* as many as are asked for at once */

/* Each *ret_text is new. Errors: -ENOMEM. */

/* One transaction that reads key and, at the same revision, everything below prefix (which ends
 * with a slash). To POST to ETCD_V3_TXN. */
int etcd_v3_format_read(const char *key, const char *prefix, char **ret_text);

/* Compares key's mod_revision with swap's; puts document and facts, deletes facts, or reads key.
 * put_key and drop_key are the keys of the facts, NULL where swap has none. */
int etcd_v3_format_swap(const char *key, const StoreSwap *swap, const char *put_key,
        const char *drop_key, char **ret_text);

/* The keys from first up to but without end, no values. To POST to ETCD_V3_RANGE. */
int etcd_v3_format_list(const char *first, const char *end, char **ret_text);

/* Where key is, no value. To POST to ETCD_V3_RANGE. */
int etcd_v3_format_look(const char *key, char **ret_text);

/* Every change of key from that revision on. To POST to ETCD_V3_WATCH. */
int etcd_v3_format_watch(const char *key, uint64_t first_revision, char **ret_text);

/* To POST to ETCD_V3_LOGIN; both are UTF-8. */
int etcd_v3_format_login(const char *user, const char *password, char **ret_text);
