/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The session's inside, for etcd-session.c and etcd-call.c alone. */

#include <stdbool.h>

#include "locksmith/lock/etcd/etcd-session.h"

struct EtcdSession {
    sd_event *event;
    HttpClient *client;
    LockStoreKind kind;
    EtcdTimes times;
    char *endpoints[LOCK_MAX_ENDPOINTS]; /* without a slash at the end */
    size_t n_endpoints;
    size_t current; /* the one to begin with */
    char *ca_file;
    char *cert_file;
    char *key_file;
    char *user;
    char *password;
    char *authorization; /* the whole header, or NULL */
    bool has_logged_in;  /* v3: it is the token's, or the cluster knows no users */
};

/* One HTTP request to an endpoint. Errors: as http_request_new. */
int etcd_session_ask(EtcdSession *session, size_t endpoint, const EtcdRequest *request,
        const HttpHandlers *handlers, void *userdata, HttpRequest **ret_request);

bool etcd_session_needs_login(const EtcdSession *session);

/* token NULL: none is needed. Errors: -ENOMEM. */
int etcd_session_take_token(EtcdSession *session, const char *token);
void etcd_session_forget_token(EtcdSession *session);
