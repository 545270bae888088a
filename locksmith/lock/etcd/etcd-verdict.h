/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is heard from one member of an etcd cluster, of either API. */

/* json-bound.h: twice what the largest answer has that we take, 20,000 keys. */
#define ETCD_MAX_JSON_MARKS (300 * 1000)

/* What an answer means for the request: what etcd-session.c does next hangs on it. */
typedef enum {
    ETCD_DONE,      /* it is the answer; the one who asked reads on */
    ETCD_ELSEWHERE, /* this member cannot now; nothing was written */
    ETCD_LOGIN,     /* it does not know who asks: no token, or an old one; nothing was written */
    ETCD_OFF,       /* this member takes no such request until a person changes its settings;
                     * nothing was written */
    ETCD_REFUSED,   /* no member takes it until a person changes something; nothing was written */
    ETCD_UNCLEAR,   /* it failed, or makes no sense: what was to be written may be written */
} EtcdVerdict;

/* What a line means for a watch. */
typedef enum {
    ETCD_NEWS_NONE,
    ETCD_NEWS_CHANGED,  /* *ret_revision is the key's now, 0 when it was deleted */
    ETCD_NEWS_OUTDATED, /* what happened before *ret_revision is forgotten; no more will come */
    ETCD_NEWS_ENDED,    /* no more will come: no leader, cancelled, no permission, nonsense, ... */
} EtcdNews;
