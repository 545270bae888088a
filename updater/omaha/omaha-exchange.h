/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request to the Omaha server and its answer, as an operation on the event loop. */

#include "common/http-client.h"
#include "updater/omaha/omaha-response.h"

typedef struct OmahaExchange OmahaExchange;

typedef struct {
    UpdateError code;         /* UPDATE_OK, 2000 + status, UPDATE_ERROR_OMAHA_REQUEST, ... */
    const char *error;        /* in words, "" when OK; borrowed */
    unsigned http_status;     /* 0 when none came */
    uint64_t retry_after_sec; /* 0 when absent */
    /* NULL unless OK and an answer was asked for; inside the exchange until that is freed. */
    const OmahaResponse *response;
} OmahaOutcome;

/* Posts xml (copied) to url as text/xml; with wants_response the answer is parsed, without (events,
 * ping) only its HTTP status counts. Bounded: 30 s connect, 60 s in all, OMAHA_RESPONSE_MAX_BYTES.
 * client outlives the exchange. on_done: exactly once, never from inside _new, last; freeing the
 * exchange inside is allowed. Does not block. Errors: -ENOMEM, errno of sd-event. What goes wrong
 * later is the outcome's code: UPDATE_ERROR_OMAHA_REQUEST (bad URL or redirect, no answer, a cut
 * one), UPDATE_ERROR_HTTP_BASE + status (other than 2xx), UPDATE_ERROR_RESPONSE (too long), and
 * what omaha_response_parse returns. */
int omaha_exchange_new(HttpClient *client, const char *url, const char *xml, const char *app_id,
        bool wants_response,
        void (*on_done)(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata),
        void *userdata, OmahaExchange **ret_exchange);

/* The answer's body as it came, not NUL-terminated, inside the exchange; NULL when nothing was
 * kept of it. From on_done on. */
const char *omaha_exchange_body(const OmahaExchange *exchange, size_t *ret_n_bytes);

/* Cancels; on_done is then not called. */
void omaha_exchange_free(OmahaExchange *exchange);
DEFINE_CLEANUP(OmahaExchange *, omaha_exchange_free);
