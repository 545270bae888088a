/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What etcd's v3 JSON gateway answers, 3.4 to 3.6: members that are zero are left out, 64-bit
 * numbers are text or numbers, bytes are base64, and errors have two shapes. It may come from
 * anybody. Pure functions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/lock/etcd/etcd-verdict.h"

#define ETCD_V3_MAX_TOKEN_CHARS 8191

typedef struct {
    char *key; /* NUL-terminated; may hold NULs itself */
    size_t n_key_bytes;
    char *value; /* NUL-terminated, "" when the answer has none */
    size_t n_value_bytes;
    uint64_t mod_revision;
} EtcdV3Pair;

/* Of range, txn and authenticate alike. */
typedef struct {
    uint64_t revision; /* of the store */
    bool is_swapped;   /* txn: the compare held */
    size_t n_ranges;   /* how many ranges were answered; their pairs follow one another */
    EtcdV3Pair *pairs;
    size_t n_pairs;
    char *token; /* authenticate; NULL else. Printable, at most ETCD_V3_MAX_TOKEN_CHARS */
} EtcdV3Answer;

/* Reads an answer with its HTTP status. *ret_answer is set with ETCD_DONE alone, to be released
 * with etcd_v3_answer_done; error is said with anything else. */
EtcdVerdict etcd_v3_read_answer(unsigned status, const char *body, size_t n_bytes,
        EtcdV3Answer *ret_answer, ErrorText *error);
void etcd_v3_answer_done(EtcdV3Answer *answer);

/* Like it for authenticate: ETCD_DONE without a token when the cluster knows no users, so that
 * none is needed. */
EtcdVerdict etcd_v3_read_login(unsigned status, const char *body, size_t n_bytes,
        EtcdV3Answer *ret_answer, ErrorText *error);

/* Reads one line of what a watch sends. *ret_revision is set where EtcdNews says so; error is said
 * with ETCD_NEWS_ENDED and ETCD_NEWS_OUTDATED. */
EtcdNews etcd_v3_read_news(
        const char *line, size_t n_bytes, uint64_t *ret_revision, ErrorText *error);
