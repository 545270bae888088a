/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What etcd's v2 keys answer (etcd's v2 API documentation). It may come from anybody. Pure
 * functions. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/lock/etcd/etcd-verdict.h"

#define ETCD_V2_MAX_NODES 20000
#define ETCD_V2_MAX_DEPTH 8

typedef enum {
    ETCD_V2_FOUND,    /* what was read, written or waited for: the nodes */
    ETCD_V2_MISSING,  /* there is no such key */
    ETCD_V2_CONFLICT, /* the condition does not hold; nothing was written */
    ETCD_V2_OUTDATED, /* waiting: what happened at that index is forgotten */
} EtcdV2Outcome;

typedef struct {
    char *key; /* with its leading slash */
    char *value;
    uint64_t modified_index;
} EtcdV2Node;

typedef struct {
    EtcdV2Outcome outcome;
    uint64_t index;    /* of the store, with any outcome but ETCD_V2_FOUND */
    EtcdV2Node *nodes; /* those that hold a value: the one asked for, or all below it */
    size_t n_nodes;
} EtcdV2Answer;

/* Reads an answer with its HTTP status. *ret_answer is set with ETCD_DONE alone, to be released
 * with etcd_v2_answer_done; error is said with anything else. */
EtcdVerdict etcd_v2_read_answer(unsigned status, const char *body, size_t n_bytes,
        EtcdV2Answer *ret_answer, ErrorText *error);
void etcd_v2_answer_done(EtcdV2Answer *answer);

/* Reads what a wait answers, as etcd_v3_read_news does. */
EtcdNews etcd_v2_read_news(
        const char *line, size_t n_bytes, uint64_t *ret_revision, ErrorText *error);
