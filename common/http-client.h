/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* HTTP on sd-event: libcurl's multi interface, one client for all transfers of a daemon, so that
 * connections are kept alive between them. HTTP/1.1, TLS 1.2 or later with the system's CAs, no
 * cookies, no compression; proxies as libcurl's environment variables name them, but for this host
 * itself. Nothing blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/http-head.h"

typedef struct HttpClient HttpClient;
typedef struct HttpRequest HttpRequest;

/* Everything that a transfer is bounded by. 0 takes the default that is named. */
typedef struct {
    uint64_t connect_timeout_usec; /* 30 s */
    uint64_t stall_timeout_usec;   /* 60 s during which fewer than stall_bytes_per_second came on */
    uint32_t stall_bytes_per_second; /* average, 10: counted in windows of stall_timeout_usec */
    uint64_t total_timeout_usec;     /* pauses included; 0: bounded by the stall rule alone */
    uint64_t max_body_bytes;         /* larger answers fail with HTTP_TOO_LARGE; 0: no bound */
    /* 10, or HTTP_NO_REDIRECTS; https is never left for http, other schemes never taken */
    uint32_t max_redirects;
} HttpLimits;

#define HTTP_NO_REDIRECTS UINT32_MAX /* the answer that redirects is the last one, like any other */

typedef enum {
    HTTP_DONE,          /* an answer of any status came whole */
    HTTP_BAD_URL,       /* not http:// or https://, or not parsable */
    HTTP_NO_CONNECTION, /* resolve, connect or TLS failed */
    HTTP_TIMED_OUT,     /* connect, stall or total */
    HTTP_CUT,           /* ended before its length, or a protocol error */
    HTTP_TOO_LARGE,
    HTTP_BAD_REDIRECT, /* too many, or to a scheme that is not allowed */
    HTTP_ABORTED,      /* on_data said so */
    HTTP_NO_MEMORY,
} HttpResult;

typedef enum { HTTP_GO_ON, HTTP_PAUSE, HTTP_ABORT } HttpFlow;

/* Inside on_head and on_data new requests may be made and any request be resumed or freed. */
typedef struct {
    /* Called before the first byte of the final answer's body, once; not called for an answer
     * without a body. May be NULL. Anything but HTTP_GO_ON ends the transfer. */
    HttpFlow (*on_head)(HttpRequest *request, const HttpHead *head, void *userdata);
    /* Called for each piece of the body (at most 16 KiB); may be NULL. HTTP_PAUSE: the piece was
     * NOT taken and will come again after http_request_resume(). */
    HttpFlow (*on_data)(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata);
    /* Called exactly once, never from inside _new, and last; freeing the request (and the client)
     * and making new ones is allowed inside. head is as far as one came; error says in one line
     * what a result other than HTTP_DONE means, and is "" otherwise. */
    void (*on_done)(HttpRequest *request, HttpResult result, const HttpHead *head,
            const char *error, void *userdata);
} HttpHandlers;

typedef struct {
    const char *url;       /* http or https */
    const void *post_body; /* NULL: GET. Copied. */
    size_t n_post_body_bytes;
    const char *method; /* in place of POST, "PUT" say; NULL: POST, or GET without post_body */
    /* "Name: value", ends with NULL; NULL: none. The targets of redirects get them too. */
    const char *const *headers;
    bool has_range;
    uint64_t range_first; /* Range: bytes=first-last */
    uint64_t range_last;  /* UINT64_MAX: open end */
    const char *if_range; /* a strong ETag, or NULL */
    /* For Basic and Digest, told to url's server (host and port) alone, over https; NULL: none. */
    const char *user;
    const char *password;
    const char *ca_file;   /* PEM file to trust instead of the system's CAs; NULL: those */
    const char *cert_file; /* PEM files of the client's certificate and key; NULL: none */
    const char *key_file;
    HttpLimits limits;
} HttpRequestOptions;

/* event is referenced. user_agent is copied. Errors: -ENOMEM, errno of sd-event. */
int http_client_new(sd_event *event, const char *user_agent, HttpClient **ret_client);

/* Every request must have been freed before. */
void http_client_free(HttpClient *client);
DEFINE_CLEANUP(HttpClient *, http_client_free);

/* Starts a transfer. options and its strings are borrowed for the call; handlers is borrowed for
 * the request's life; client must outlive the request. A server that ignores a range answers with
 * 200: that is HTTP_DONE, and the caller decides by the head. A bad URL is told through on_done.
 * Errors: -EINVAL for a header with a control character, -ENOMEM, errno of sd-event. */
int http_request_new(HttpClient *client, const HttpRequestOptions *options,
        const HttpHandlers *handlers, void *userdata, HttpRequest **ret_request);

/* How often a server may have got the request by now: 0 surely never, so that a write has surely
 * not been done; 2 or more when it was redirected, or sent again as a kept connection had died. */
unsigned http_request_n_sends(const HttpRequest *request);

/* Lets a paused transfer go on, from the event loop; harmless at any other time. The stall clock
 * does not run while it is paused. */
void http_request_resume(HttpRequest *request);

/* Cancels if still under way; on_done is then not called. */
void http_request_free(HttpRequest *request);
DEFINE_CLEANUP(HttpRequest *, http_request_free);
