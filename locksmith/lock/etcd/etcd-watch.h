/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A watch of one key, of either API: looks where the key is, waits for news from there in one long
 * answer, and begins again when that ends. Whatever was missed in between is seen by the look. */

#include "locksmith/lock/etcd/etcd-session.h"
#include "locksmith/lock/lock-store.h"

/* What differs between the APIs. Each *ret_path and *ret_body is new. */
typedef struct {
    int (*make_look)(const char *key, char **ret_path, char **ret_body);
    /* *ret_revision: the key's, 0 when it is not there; *ret_next: where waiting is to begin, so
     * that nothing after this look is missed. */
    EtcdVerdict (*read_look)(unsigned status, const char *body, size_t n_bytes,
            uint64_t *ret_revision, uint64_t *ret_next, ErrorText *error);
    int (*make_wait)(const char *key, uint64_t next, char **ret_path, char **ret_body);
    EtcdNews (*read_news)(
            const char *line, size_t n_bytes, uint64_t *ret_revision, ErrorText *error);
} EtcdWatchOps;

/* As lock_store_watch. session and key are borrowed for the watch's life. on_change is called by a
 * timer of its own; freeing the watch in it is allowed.
 * Errors: -ENOMEM, errno of sd-event. */
int etcd_watch_new(EtcdSession *session, const EtcdWatchOps *ops, const char *key,
        uint64_t revision, void (*on_change)(void *userdata), void *userdata,
        StoreWatch **ret_watch);
