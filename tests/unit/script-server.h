/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A TCP server that plays a script: the n-th request that reaches it, on whatever connection, gets
 * the n-th reply, byte for byte. It lives in the test's own event loop, so nothing races. */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef enum {
    SCRIPT_KEEP, /* the connection waits for its next request */
    SCRIPT_CLOSE,
    SCRIPT_HANG, /* reads on, answers nothing more */
} ScriptThen;

typedef struct {
    const char *text; /* NULL ends a script */
    size_t n_bytes;   /* 0: strlen(text) */
    ScriptThen then;
} ScriptReply;

typedef struct ScriptServer ScriptServer;

/* Listens on a free port of 127.0.0.1. replies (borrowed for the server's life) ends with a NULL
 * text; requests past its end are left without an answer. Aborts the test on failure. */
ScriptServer *script_server_new(sd_event *event, const ScriptReply *replies);
void script_server_free(ScriptServer *server);
DEFINE_CLEANUP(ScriptServer *, script_server_free);

/* "http://127.0.0.1:PORT" followed by path; static until the next call. */
const char *script_server_url(const ScriptServer *server, const char *path);

unsigned script_server_n_connections(const ScriptServer *server);
unsigned script_server_n_requests(const ScriptServer *server);

/* The n-th request, head and body, counted from 0; inside. */
const char *script_server_request(const ScriptServer *server, unsigned n);
