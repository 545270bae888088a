/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Gathers what a store's answer says for those who asked: the facts of holders, or the names of
 * groups, out of keys that anybody may have written. */

#include <stddef.h>

#include "locksmith/lock/lock-store.h"

typedef struct {
    StoreFacts *facts; /* ids are inside, texts borrowed */
    size_t n_facts;
    char **names; /* inside */
    size_t n_names;
} EtcdContent; /* starts as zeros */

/* Takes the key when it is one of facts in this group, else skips it. text (NUL-terminated) is
 * borrowed for the content's life. Errors: -ENOMEM. */
int etcd_content_add_facts(EtcdContent *content, const char *group, const char *key,
        size_t n_key_bytes, const char *text, size_t n_bytes);

/* Takes the key when it is one of a semaphore, else skips it. Errors: -ENOMEM. */
int etcd_content_add_name(EtcdContent *content, const char *key, size_t n_key_bytes);

void etcd_content_done(EtcdContent *content);
