/* SPDX-License-Identifier: Apache-2.0 */

/* A body is buffered as it came and looked into only in its turn, so there is one way for its
 * bytes, whether they had to wait or not. What the owner does not take goes to the buffer as well;
 * the transfer pauses when that is full. */

#include "updater/fetch/fetch-request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-url.h"

static void set_fault(FetchRequest *request, FetchFault fault)
{
    request->verdict.fault = fault;
    request->verdict.code = UPDATE_ERROR_TRANSFER;
}

static bool is_good(const FetchRequest *request)
{
    return request->verdict.fault == FETCH_OK;
}

/* --- the body, in its turn --------------------------------------------------------------- */

static size_t give_range(FetchRequest *request, const uint8_t *data, size_t n_bytes)
{
    uint64_t end_bytes = range_slice_end(&request->slice);
    uint64_t n_room = end_bytes - MIN(end_bytes, request->body_at_bytes);
    size_t n_wanted = (size_t)MIN((uint64_t)n_bytes, n_room);
    size_t n = 0;
    if (n_wanted > 0) {
        n = request->handlers->on_data(
                request, request->body_at_bytes, data, n_wanted, request->userdata);
        request->body_at_bytes += n;
    }
    if (n < n_wanted || n_wanted == n_bytes)
        return n;
    request->has_excess = true;
    return n_bytes;
}

/* Returns false when the part is refused. */
static bool begin_part(FetchRequest *request)
{
    uint64_t total_bytes;
    FetchRange part = multipart_ranges_part(&request->parts, &total_bytes);
    request->handlers->on_part(request, part, total_bytes, request->userdata);
    request->body_at_bytes = part.first_bytes;
    return is_good(request);
}

/* Returns how many were taken. */
static size_t give_part_body(FetchRequest *request, const uint8_t *data, size_t n_bytes)
{
    size_t n_piece = (size_t)MIN((uint64_t)n_bytes, multipart_ranges_n_left(&request->parts));
    size_t n = request->handlers->on_data(
            request, request->body_at_bytes, data, n_piece, request->userdata);
    request->body_at_bytes += n;
    multipart_ranges_take(&request->parts, n);
    return n;
}

static size_t give_parts(FetchRequest *request, const uint8_t *data, size_t n_bytes)
{
    size_t at = 0;
    while (at < n_bytes) {
        size_t n, n_left;
        MultipartEvent event = multipart_ranges_next(&request->parts, data + at, n_bytes - at, &n);
        at += n;
        switch (event) {
        case MULTIPART_MORE:
            return at;
        case MULTIPART_PART:
            if (!begin_part(request))
                return at;
            break;
        case MULTIPART_BODY:
            n_left = n_bytes - at;
            n = give_part_body(request, data + at, n_left);
            at += n;
            if (n < n_left && multipart_ranges_n_left(&request->parts) > 0)
                return at;
            break;
        case MULTIPART_END:
            request->has_excess = multipart_ranges_has_excess(&request->parts);
            return n_bytes;
        case MULTIPART_BAD:
            error_say(&request->error, 0, "%s: the server's parts make no sense: %s",
                    http_url_show(request->url).text, multipart_ranges_error(&request->parts));
            set_fault(request, FETCH_ASK_LESS);
            return at;
        }
    }
    return at;
}

static size_t give(FetchRequest *request, const uint8_t *data, size_t n_bytes)
{
    return request->verdict.has_parts ? give_parts(request, data, n_bytes)
                                      : give_range(request, data, n_bytes);
}

/* --- the buffer -------------------------------------------------------------------------- */

static bool has_room(const FetchRequest *request, size_t n_bytes)
{
    return n_bytes <= FETCH_REQUEST_BUFFER_BYTES - request->buffer_at - request->n_buffered_bytes;
}

static bool keep(FetchRequest *request, const uint8_t *data, size_t n_bytes)
{
    if (n_bytes == 0)
        return true;
    if (!request->buffer)
        request->buffer = malloc(FETCH_REQUEST_BUFFER_BYTES);
    if (!request->buffer) {
        error_say(&request->error, 0, "not enough memory to fetch the payload");
        set_fault(request, FETCH_TRY_AGAIN);
        return false;
    }
    memcpy(request->buffer + request->buffer_at + request->n_buffered_bytes, data, n_bytes);
    request->n_buffered_bytes += n_bytes;
    return true;
}

void fetch_request_deliver(FetchRequest *request)
{
    while (request->n_buffered_bytes > 0 && is_good(request) && !request->has_excess) {
        size_t n = give(request, request->buffer + request->buffer_at, request->n_buffered_bytes);
        request->buffer_at += n;
        request->n_buffered_bytes -= n;
        if (request->n_buffered_bytes > 0)
            return;
    }
    if (request->has_excess)
        request->n_buffered_bytes = 0;
    if (request->n_buffered_bytes == 0)
        request->buffer_at = 0;
    if (request->is_http_paused) {
        request->is_http_paused = false;
        http_request_resume(request->http);
    }
}

void fetch_request_unlimit(FetchRequest *request)
{
    if (!request->is_limited)
        return;
    request->is_limited = false;
    http_request_resume(request->http);
}

bool fetch_request_is_over(const FetchRequest *request)
{
    return request->is_ended && request->n_buffered_bytes == 0;
}

/* --- the transfer ------------------------------------------------------------------------ */

static void take_head(FetchRequest *request, const HttpHead *head)
{
    request->is_head_judged = true;
    uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);
    link_meter_add_latency(request->meter, now_usec - request->window_usec);
    request->window_usec = now_usec;
    request->handlers->on_head(request, head, request->userdata);
    request->body_at_bytes = request->verdict.body_at_bytes;
    if (is_good(request) && request->verdict.has_parts &&
            multipart_ranges_init(&request->parts, head->content_type) < 0) {
        error_say(&request->error, 0, "%s: the server's parts have no boundary",
                http_url_show(request->url).text);
        set_fault(request, FETCH_ASK_LESS);
    }
}

static HttpFlow on_http_head(HttpRequest *http, const HttpHead *head, void *userdata)
{
    (void)http;
    FetchRequest *request = userdata;
    take_head(request, head);
    request->handlers->on_change(request, request->userdata);
    return is_good(request) ? HTTP_GO_ON : HTTP_ABORT;
}

/* What a pause has held up comes faster than the link is: the meter sees nothing after one. */
static void count(FetchRequest *request, size_t n_bytes)
{
    *request->n_all_bytes += n_bytes;
    request->n_window_bytes += n_bytes;
    if (request->window_usec == 0 || request->n_window_bytes < LINK_METER_WINDOW_BYTES)
        return;
    uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);
    link_meter_add_bytes(request->meter, request->n_window_bytes, now_usec - request->window_usec);
    request->window_usec = now_usec;
    request->n_window_bytes = 0;
}

/* Whether the rate lets the bytes come now, and takes them. */
static bool is_in_rate(FetchRequest *request, size_t n_bytes)
{
    uint64_t wait_usec = rate_limit_take(request->rate, n_bytes, clock_now_usec(CLOCK_MONOTONIC));
    if (wait_usec == 0)
        return true;
    request->is_limited = true;
    request->handlers->on_limit(request, wait_usec, request->userdata);
    return false;
}

static HttpFlow on_http_data(HttpRequest *http, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)http;
    FetchRequest *request = userdata;
    bool is_direct = request->is_turn && request->n_buffered_bytes == 0;
    if (request->has_excess)
        return HTTP_ABORT;
    if (!is_direct && !has_room(request, n_bytes)) {
        request->is_http_paused = true;
        request->window_usec = 0;
        return HTTP_PAUSE;
    }
    if (!is_in_rate(request, n_bytes)) {
        request->window_usec = 0;
        return HTTP_PAUSE;
    }
    count(request, n_bytes);
    size_t n = is_direct ? give(request, data, n_bytes) : 0;
    /* A piece has at most 16 KiB: what is left of it fits into the empty buffer. */
    if (is_good(request) && !request->has_excess && keep(request, data + n, n_bytes - n))
        return HTTP_GO_ON;
    request->handlers->on_change(request, request->userdata);
    return HTTP_ABORT;
}

static void on_http_done(HttpRequest *http, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)http;
    FetchRequest *request = userdata;
    if (result == HTTP_DONE && !request->is_head_judged)
        take_head(request, head); /* an answer without a body */
    request->is_ended = true;
    request->result = result;
    if (is_good(request))
        error_say(&request->error, 0, "%s", error && *error ? error : "cut");
    request->handlers->on_change(request, request->userdata);
}

static const HttpHandlers http_handlers = {
        .on_head = on_http_head,
        .on_data = on_http_data,
        .on_done = on_http_done,
};

/* --- the object -------------------------------------------------------------------------- */

static int start(FetchRequest *request, HttpClient *http, const FetchRequestOptions *options)
{
    char range[RANGE_SLICE_HEADER_BYTES];
    char condition[HTTP_HEAD_MAX_FIELD_CHARS + sizeof("If-Range: ")];
    const char *headers[3] = {NULL};
    if (!options->is_whole) {
        range_slice_header(&request->slice, range);
        headers[0] = range;
        if (options->etag[0] != '\0') {
            snprintf(condition, sizeof(condition), "If-Range: %s", options->etag);
            headers[1] = condition;
        }
    }
    const HttpRequestOptions http_options = {
            .url = options->url,
            .headers = headers,
            .user = options->user,
            .password = options->password,
            .limits = {.stall_timeout_usec = options->stall_timeout_usec,
                    .stall_bytes_per_second = options->stall_bytes_per_second},
    };
    return http_request_new(http, &http_options, &http_handlers, request, &request->http);
}

int fetch_request_new(HttpClient *http, const RangeSlice *slice, const FetchRequestOptions *options,
        const FetchRequestHandlers *handlers, void *userdata, FetchRequest **ret_request)
{
    _cleanup_(fetch_request_freep) FetchRequest *request = calloc(1, sizeof(*request));
    if (!request)
        return -ENOMEM;
    request->handlers = handlers;
    request->userdata = userdata;
    request->slice = *slice;
    request->verdict = (FetchVerdict){.fault = FETCH_OK, .code = UPDATE_OK};
    request->url = options->url;
    request->is_whole = options->is_whole;
    request->meter = options->meter;
    request->rate = options->rate;
    request->n_all_bytes = options->n_all_bytes;
    request->window_usec = clock_now_usec(CLOCK_MONOTONIC);
    int r = start(request, http, options);
    if (r < 0)
        return r;
    *ret_request = TAKE_PTR(request);
    return 0;
}

void fetch_request_free(FetchRequest *request)
{
    if (!request)
        return;
    http_request_free(request->http);
    free(request->buffer);
    free(request);
}
