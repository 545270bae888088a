/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a client posts: an Omaha v3 request. Hostile; pure. */

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

#define CLIENT_REQUEST_MAX_BYTES ((size_t)1 << 20)
#define CLIENT_EVENTS_MAX 64

typedef struct {
    char *type; /* each "" when absent, as all text here */
    char *result;
    char *error_code;
    char *previous_version;
} ClientEvent;

typedef struct ClientRequest {
    char *install_source;
    char *app_id;
    char *version;
    char *track;
    char *machine_id;
    char *board;
    bool has_ping;
    bool has_check;
    ClientEvent events[CLIENT_EVENTS_MAX];
    size_t n_events;
} ClientRequest;

/* Reads n_bytes at data (borrowed); the first app is taken. Nothing but attributes is looked at; a
 * document with a document type is refused before them.
 * Errors: -EBADMSG when it is no Omaha request, -ENOMEM. */
int client_request_parse(const char *data, size_t n_bytes, ClientRequest **ret_request);
void client_request_free(ClientRequest *request);
DEFINE_CLEANUP(ClientRequest *, client_request_free);
