/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The life of one request, for http-client.c alone: what may happen to it between its start and its
 * end. http-client.h is what the others use. */

#include "common/curl-loop.h"
#include "common/error-text.h"
#include "common/http-client.h"
#include "common/http-url.h"

typedef enum {
    HTTP_PHASE_STARTING,
    HTTP_PHASE_RUNNING,
    HTTP_PHASE_FINISHED,
    HTTP_PHASE_REPORTED
} HttpPhase;

struct HttpRequest {
    CurlTransfer transfer; /* first: on_finished is given its address */
    CurlLoop *loop;        /* the client's */
    HttpClient *client;
    const HttpHandlers *handlers;
    void *userdata;
    HttpLimits limits;
    struct curl_slist *headers;
    char *user;
    char *password;
    HttpUrl first_url; /* its server is the only one that is told user and password */
    bool is_https;     /* the URL under way */
    sd_event_source *defer;
    sd_event_source *stall_timer;
    HttpPhase phase;
    bool is_paused;
    bool is_dead;
    bool is_head_whole; /* its blank line came */
    bool is_head_given; /* to on_head */
    unsigned n_redirects;
    unsigned n_sends; /* how often a connection was there to send it on */
    size_t n_header_bytes;
    size_t n_dropped_bytes;
    uint64_t n_body_bytes;
    uint64_t n_window_bytes; /* since the stall timer was wound up */
    HttpHead head;
    bool has_result; /* said before libcurl ended: its own code does not count then */
    HttpResult result;
    ErrorText error;
    char curl_error[CURL_ERROR_SIZE];
    HttpRequest *next_dead;
};

/* Fills a request of zeros whose client, loop, handlers and userdata are set, and has it started
 * by the event loop. A URL that will not do is left to on_done. To be released with
 * http_request_done also on failure. Errors: as http_request_new. */
int http_request_init(HttpRequest *request, sd_event *event, const HttpRequestOptions *options,
        const char *user_agent);

/* Cancels and releases what is inside. Not while curl_loop_is_inside. */
void http_request_done(HttpRequest *request);
