/* SPDX-License-Identifier: Apache-2.0 */

/* The answer is gathered in memory, at most OMAHA_RESPONSE_MAX_BYTES of it, and judged by its HTTP
 * status before anybody looks at the body: what comes with a status other than 2xx is no Omaha. */

#include "updater/omaha/omaha-exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define CONNECT_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define TOTAL_TIMEOUT_USEC (60 * USEC_PER_SEC)

struct OmahaExchange {
    char *app_id;
    bool wants_response;
    bool gathers; /* the body that comes is worth keeping */
    char *body;
    size_t n_body_bytes;
    size_t n_room_bytes;
    bool is_out_of_memory;
    HttpRequest *request;
    OmahaResponse *response; /* the parsed body */
    void (*on_done)(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata);
    void *userdata;
};

static bool is_success(unsigned http_status)
{
    return http_status >= 200 && http_status < 300;
}

static HttpFlow on_head(HttpRequest *request, const HttpHead *head, void *userdata)
{
    (void)request;
    OmahaExchange *exchange = userdata;
    exchange->gathers = exchange->wants_response && is_success(head->status);
    return HTTP_GO_ON;
}

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    OmahaExchange *exchange = userdata;
    if (!exchange->gathers)
        return HTTP_GO_ON;
    if (n_bytes > OMAHA_RESPONSE_MAX_BYTES - exchange->n_body_bytes)
        return HTTP_ABORT; /* the client's own bound should have come first */
    size_t n_needed = exchange->n_body_bytes + n_bytes;
    if (n_needed > exchange->n_room_bytes) {
        size_t n_room = MAX(n_needed, 2 * exchange->n_room_bytes);
        char *larger = realloc(exchange->body, n_room);
        exchange->is_out_of_memory = !larger;
        if (!larger)
            return HTTP_ABORT;
        exchange->body = larger;
        exchange->n_room_bytes = n_room;
    }
    memcpy(exchange->body + exchange->n_body_bytes, data, n_bytes);
    exchange->n_body_bytes = n_needed;
    return HTTP_GO_ON;
}

static UpdateError judge_status(unsigned status, ErrorText *error)
{
    if (is_success(status))
        return UPDATE_OK;
    const char *advice = status >= 500   ? "it has trouble of its own, we ask again later"
                         : status == 429 ? "it is busy, we ask again later"
                                         : "see if SERVER is the right URL";
    UpdateError code = status >= 100 && status <= 999 ? UPDATE_ERROR_HTTP_BASE + (int)status
                                                      : UPDATE_ERROR_HTTP_BASE + 999;
    return error_say(
            error, (int)code, "the update server answered with HTTP status %u: %s", status, advice);
}

static UpdateError judge_transfer(HttpResult result, const char *reason, ErrorText *error)
{
    switch (result) {
    case HTTP_DONE:
        return UPDATE_OK;
    case HTTP_TOO_LARGE:
    case HTTP_ABORTED:
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer is longer than %d bytes: see if SERVER is the right "
                "URL",
                OMAHA_RESPONSE_MAX_BYTES);
    case HTTP_NO_MEMORY:
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    case HTTP_BAD_URL:
        return error_say(error, UPDATE_ERROR_OMAHA_REQUEST,
                "SERVER is no usable http:// or https:// URL: %s", reason);
    case HTTP_NO_CONNECTION:
    case HTTP_TIMED_OUT:
    case HTTP_CUT:
    case HTTP_BAD_REDIRECT:
        return error_say(
                error, UPDATE_ERROR_OMAHA_REQUEST, "the update server did not answer: %s", reason);
    }
    return error_say(error, UPDATE_ERROR_OMAHA_REQUEST, "the update server did not answer");
}

static void on_request_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *reason, void *userdata)
{
    (void)request;
    OmahaExchange *exchange = userdata;
    ErrorText error = {0};
    UpdateError code;
    if (head->status >= 400 || (is_success(head->status) && !exchange->wants_response))
        code = judge_status(head->status, &error); /* however the rest of it ended */
    else if (exchange->is_out_of_memory)
        code = judge_transfer(HTTP_NO_MEMORY, reason, &error);
    else
        code = judge_transfer(result, reason, &error);
    if (code == UPDATE_OK)
        code = judge_status(head->status, &error);
    if (code == UPDATE_OK && exchange->wants_response)
        code = omaha_response_parse(exchange->body ? exchange->body : "", exchange->n_body_bytes,
                exchange->app_id, &exchange->response, &error);

    OmahaOutcome outcome = {
            .code = code,
            .error = error.line,
            .http_status = head->status,
            .retry_after_sec = head->retry_after_sec,
            .response = exchange->response,
    };
    exchange->on_done(exchange, &outcome, exchange->userdata); /* may free the exchange */
}

int omaha_exchange_new(HttpClient *client, const char *url, const char *xml, const char *app_id,
        bool wants_response,
        void (*on_done)(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata),
        void *userdata, OmahaExchange **ret_exchange)
{
    static const HttpHandlers handlers = {
            .on_head = on_head,
            .on_data = on_data,
            .on_done = on_request_done,
    };
    _cleanup_(omaha_exchange_freep) OmahaExchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return -ENOMEM;
    exchange->wants_response = wants_response;
    exchange->on_done = on_done;
    exchange->userdata = userdata;
    exchange->app_id = strdup(app_id);
    if (!exchange->app_id)
        return -ENOMEM;

    const char *const headers[] = {"Content-Type: text/xml", NULL};
    HttpRequestOptions options = {
            .url = url,
            .post_body = xml,
            .n_post_body_bytes = strlen(xml),
            .headers = headers,
            .limits = {.connect_timeout_usec = CONNECT_TIMEOUT_USEC,
                    .stall_timeout_usec = TOTAL_TIMEOUT_USEC,
                    .total_timeout_usec = TOTAL_TIMEOUT_USEC,
                    .max_body_bytes = OMAHA_RESPONSE_MAX_BYTES},
    };
    int r = http_request_new(client, &options, &handlers, exchange, &exchange->request);
    if (r < 0)
        return r;
    *ret_exchange = TAKE_PTR(exchange);
    return 0;
}

const char *omaha_exchange_body(const OmahaExchange *exchange, size_t *ret_n_bytes)
{
    *ret_n_bytes = exchange->n_body_bytes;
    return exchange->body;
}

void omaha_exchange_free(OmahaExchange *exchange)
{
    if (!exchange)
        return;
    http_request_free(exchange->request);
    free(exchange->app_id);
    omaha_response_free(exchange->response);
    free(exchange->body);
    free(exchange);
}
