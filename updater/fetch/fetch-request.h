/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request of a fetch, for fetch.c alone: the ranges that it asks for, and its answer's bytes,
 * which wait in a bounded buffer until it is their turn. What is judged is judged by the owner.
 * Nothing here blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http-client.h"
#include "updater/fetch/fetch-verdict.h"
#include "updater/fetch/link-meter.h"
#include "updater/fetch/multipart-ranges.h"
#include "updater/fetch/rate-limit.h"

#define FETCH_REQUEST_BUFFER_BYTES (256 << 10)

typedef struct FetchRequest FetchRequest;

typedef struct {
    /* The answer's head; sets request->verdict, and so where the body belongs. */
    void (*on_head)(FetchRequest *request, const HttpHead *head, void *userdata);
    /* A part of the answer says where it belongs; sets request->verdict. In its turn only. */
    void (*on_part)(FetchRequest *request, FetchRange part, uint64_t total_bytes, void *userdata);
    /* The next bytes of the file, ascending, perhaps with gaps or with bytes that nobody wants.
     * Returns how many were taken; fewer: not before fetch_request_deliver(). In its turn only. */
    size_t (*on_data)(FetchRequest *request, uint64_t offset_bytes, const uint8_t *data,
            size_t n_bytes, void *userdata);
    /* The rate lets nothing come for so long: then fetch_request_unlimit() is wanted. */
    void (*on_limit)(FetchRequest *request, uint64_t wait_usec, void *userdata);
    /* The head was judged, a fault was found, or the transfer ended. Must not free the request. */
    void (*on_change)(FetchRequest *request, void *userdata);
} FetchRequestHandlers;

typedef struct {
    const char *url;             /* kept for the request's life */
    const char *etag;            /* strong, for If-Range; "": not known */
    bool is_whole;               /* the slice is the whole file: no range is asked for */
    const char *user, *password; /* may be NULL */
    uint64_t stall_timeout_usec;
    uint32_t stall_bytes_per_second;
    LinkMeter *meter; /* kept for the request's life, as are rate and n_all_bytes */
    RateLimit *rate;
    uint64_t *n_all_bytes;
} FetchRequestOptions;

/* Its owner reads all of it, and sets what is said to be the owner's. */
struct FetchRequest {
    const FetchRequestHandlers *handlers;
    void *userdata;
    HttpRequest *http;
    RangeSlice slice;     /* the owner's: may be made shorter, and its end longer */
    size_t n_parts_seen;  /* the owner's: ranges of the slice that parts have brought */
    bool is_turn;         /* the owner's: on_data may be called */
    FetchVerdict verdict; /* the owner's, by on_head and on_part; a bad multipart is set here */
    bool is_head_judged;

    MultipartRanges parts;
    uint64_t body_at_bytes; /* where the next body byte lies in the file; not with parts */
    bool has_excess;        /* there came more than was asked for */
    uint8_t *buffer;        /* NULL until it is needed */
    size_t buffer_at, n_buffered_bytes;
    bool is_http_paused;
    bool is_limited; /* paused by the rate */

    bool is_ended;
    HttpResult result;
    ErrorText error; /* of the result, or of a bad multipart */

    const char *url;       /* as in the options */
    bool is_whole;         /* as in the options */
    LinkMeter *meter;      /* the owner's */
    RateLimit *rate;       /* the owner's */
    uint64_t *n_all_bytes; /* the owner's; bytes of bodies that came are added */
    uint64_t window_usec;  /* of CLOCK_MONOTONIC: the request, then what the meter sees; 0: over */
    uint64_t n_window_bytes;
};

/* slice is copied, options and its strings are borrowed for the call, handlers for the request's
 * life. Errors: -ENOMEM, errno of sd-event. */
int fetch_request_new(HttpClient *http, const RangeSlice *slice, const FetchRequestOptions *options,
        const FetchRequestHandlers *handlers, void *userdata, FetchRequest **ret_request);
void fetch_request_free(FetchRequest *request);
DEFINE_CLEANUP(FetchRequest *, fetch_request_free);

/* Gives on_data what waits, and lets the transfer go on when all was taken. Not from on_data. */
void fetch_request_deliver(FetchRequest *request);

/* Lets a transfer that the rate has paused go on. */
void fetch_request_unlimit(FetchRequest *request);

/* All that came has been delivered, and nothing more comes. */
bool fetch_request_is_over(const FetchRequest *request);
