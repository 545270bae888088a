/* SPDX-License-Identifier: Apache-2.0 */

/* A range is fetched by one request after another, each for what is still missing.
 *
 * Which file it is: the first answer of a URL tells its strong ETag, and further requests to that
 * URL carry it in If-Range (RFC 9110 section 13.1.5). A server that answers with the same ETag goes
 * on in the same file. In every other case (another URL, no ETag, the whole file because it has
 * changed) the owner is asked from where it wants the data again: whole pieces that it has checked
 * stay, half a piece is thrown away. A file of another length than known is not ours at all.
 *
 * What goes wrong counts against the URL: what another try may cure, up to max_failures_per_url in
 * a row without progress; what it cannot (404, a wrong length), at once. Then the next URL has its
 * turn. A server without ranges (200 for a range) is followed from its first byte, and what is
 * not wanted of it is skipped. */

#include "updater/install/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/http-url.h"

#define MAX_FAILURES_DEFAULT 10
#define RETRY_DELAY_DEFAULT_USEC (2 * USEC_PER_SEC)
#define RETRY_DELAY_MAX_USEC USEC_PER_MINUTE
#define PROGRESS_BYTES (256 * 1024) /* a request that brought as much was no failure in a row */
#define ETAG_MAX_BYTES 256

struct Fetch {
    sd_event *event;
    HttpClient *http;
    const FetchOptions *options;
    const FetchHandlers *handlers;
    void *userdata;
    uint64_t retry_delay_usec;
    unsigned max_failures;
    unsigned *n_failures; /* of each URL, in a row */
    size_t url;

    bool is_active;
    uint64_t at_bytes; /* delivered up to here */
    uint64_t end_bytes;
    uint64_t total_bytes; /* 0: not known */
    uint64_t n_bytes;

    HttpRequest *request;
    sd_event_source *timer; /* starts the next request */
    bool is_paused;
    uint64_t first_bytes;   /* of the request */
    uint64_t body_at_bytes; /* where the next body byte lies in the file */
    size_t n_taken_bytes;   /* of the piece that comes again after a pause */
    uint64_t reached_bytes; /* the farthest that the range ever got ... */
    uint64_t n_fresh_bytes; /* ... and how far this request moved it */
    bool is_head_judged;
    FetchVerdict verdict;      /* on the request */
    char etag[ETAG_MAX_BYTES]; /* of the file at url; "": not known or weak */
    ErrorText error;
};

/* --- one request ------------------------------------------------------------------------- */

static const char *current_url(const Fetch *fetch)
{
    return fetch->options->urls[fetch->url];
}

static void set_fault(Fetch *fetch, FetchFault fault, UpdateError code)
{
    fetch->verdict.fault = fault;
    fetch->verdict.code = code;
}

static void rewind_to(Fetch *fetch)
{
    uint64_t wanted = fetch->handlers->on_rewind(fetch, fetch->at_bytes, fetch->userdata);
    fetch->at_bytes = MIN(wanted, fetch->at_bytes);
}

static void remember_etag(Fetch *fetch, const char *etag)
{
    fetch->etag[0] = '\0';
    if (fetch_etag_is_strong(etag) && strlen(etag) < sizeof(fetch->etag))
        memcpy(fetch->etag, etag, strlen(etag) + 1);
}

static void judge_head(Fetch *fetch, const HttpHead *head)
{
    const HttpUrlShown shown = http_url_show(current_url(fetch));
    const FetchExpectation expected = {
            .url = shown.text,
            .first_bytes = fetch->first_bytes,
            .end_bytes = fetch->end_bytes,
            .total_bytes = fetch->total_bytes,
            .etag = fetch->etag,
    };
    fetch->is_head_judged = true;
    fetch->verdict = fetch_verdict(&expected, head, &fetch->error);
    if (fetch->verdict.fault != FETCH_OK) {
        if (fetch->verdict.is_other_file)
            fetch->etag[0] = '\0'; /* the next request begins with what is wanted again */
        return;
    }
    fetch->body_at_bytes = fetch->verdict.body_at_bytes;
    if (fetch->verdict.total_bytes != 0)
        fetch->total_bytes = fetch->verdict.total_bytes;
    remember_etag(fetch, head->etag);
    if (fetch->verdict.is_other_file)
        rewind_to(fetch);
}

static HttpFlow on_head(HttpRequest *request, const HttpHead *head, void *userdata)
{
    (void)request;
    Fetch *fetch = userdata;
    judge_head(fetch, head);
    return fetch->verdict.fault == FETCH_OK ? HTTP_GO_ON : HTTP_ABORT;
}

/* Takes what it can of a piece of the body; less than n_bytes: paused. */
static size_t take_piece(Fetch *fetch, const uint8_t *data, size_t n_bytes)
{
    size_t n_skipped = 0;
    if (fetch->body_at_bytes < fetch->at_bytes)
        n_skipped = (size_t)MIN(fetch->at_bytes - fetch->body_at_bytes, (uint64_t)n_bytes);
    fetch->body_at_bytes += n_skipped;
    size_t n_wanted =
            (size_t)MIN((uint64_t)(n_bytes - n_skipped), fetch->end_bytes - fetch->at_bytes);
    if (n_wanted == 0)
        return n_skipped;

    size_t n = fetch->handlers->on_data(
            fetch, fetch->at_bytes, data + n_skipped, n_wanted, fetch->userdata);
    fetch->body_at_bytes += n;
    fetch->at_bytes += n;
    if (fetch->at_bytes > fetch->reached_bytes) {
        fetch->n_fresh_bytes += fetch->at_bytes - fetch->reached_bytes;
        fetch->reached_bytes = fetch->at_bytes;
    }
    return n_skipped + n;
}

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    Fetch *fetch = userdata;
    /* After a pause the piece comes again, perhaps cut otherwise: what was taken is left out. */
    size_t n_again = MIN(fetch->n_taken_bytes, n_bytes);
    fetch->n_taken_bytes -= n_again;
    if (n_again == n_bytes)
        return HTTP_GO_ON;

    size_t n = take_piece(fetch, data + n_again, n_bytes - n_again);
    fetch->n_bytes += n;
    if (fetch->at_bytes >= fetch->end_bytes && n_again + n < n_bytes)
        return HTTP_ABORT; /* more than was asked for */
    if (n_again + n == n_bytes)
        return HTTP_GO_ON;
    fetch->n_taken_bytes = n_again + n;
    fetch->is_paused = true;
    return HTTP_PAUSE;
}

static void on_request_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata);

static const HttpHandlers request_handlers = {
        .on_head = on_head,
        .on_data = on_data,
        .on_done = on_request_done,
};

static void finish(Fetch *fetch, UpdateError code)
{
    fetch->request = (http_request_free(fetch->request), NULL);
    fetch->is_active = false;
    fetch->handlers->on_done(fetch, code, fetch->error.line, fetch->userdata);
}

static void begin_request(Fetch *fetch)
{
    if (fetch->etag[0] == '\0')
        rewind_to(fetch);
    fetch->first_bytes = fetch->at_bytes;
    fetch->n_taken_bytes = 0;
    fetch->n_fresh_bytes = 0;
    fetch->is_paused = false;
    fetch->is_head_judged = false;
    fetch->verdict = (FetchVerdict){.fault = FETCH_OK};

    bool is_bounded = fetch->end_bytes != FETCH_END_OF_FILE;
    HttpRequestOptions options = {
            .url = current_url(fetch),
            .has_range = fetch->first_bytes > 0 ||
                         (is_bounded && fetch->end_bytes != fetch->total_bytes),
            .range_first = fetch->first_bytes,
            .range_last = is_bounded ? fetch->end_bytes - 1 : UINT64_MAX,
            .user = fetch->options->user,
            .password = fetch->options->password,
            .limits = {.stall_timeout_usec = fetch->options->stall_timeout_usec,
                    .stall_bytes_per_second = FETCH_MIN_BYTES_PER_SECOND},
    };
    if (options.has_range && fetch->etag[0] != '\0')
        options.if_range = fetch->etag;
    if (http_request_new(fetch->http, &options, &request_handlers, fetch, &fetch->request) < 0) {
        error_say(&fetch->error, 0, "not enough memory to fetch the payload");
        finish(fetch, UPDATE_ERROR_GENERIC);
    }
}

/* --- after a request --------------------------------------------------------------------- */

static void arm_timer(Fetch *fetch, uint64_t delay_usec)
{
    (void)sd_event_source_set_time_relative(fetch->timer, delay_usec);
    (void)sd_event_source_set_enabled(fetch->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    begin_request(userdata);
    return 0;
}

/* Makes the next URL that may still do the current one. */
static bool next_url(Fetch *fetch)
{
    for (size_t i = 1; i < fetch->options->n_urls; i++) {
        size_t url = (fetch->url + i) % fetch->options->n_urls;
        if (fetch->n_failures[url] < fetch->max_failures) {
            fetch->url = url;
            fetch->etag[0] = '\0';
            return true;
        }
    }
    return false;
}

static void fail_request(Fetch *fetch)
{
    unsigned *n_failures = &fetch->n_failures[fetch->url];
    if (fetch->n_fresh_bytes >= PROGRESS_BYTES)
        *n_failures = 0;
    *n_failures = fetch->verdict.fault == FETCH_URL_FAULT ? fetch->max_failures : *n_failures + 1;
    if (*n_failures < fetch->max_failures) {
        uint64_t delay = backoff_usec(*n_failures, fetch->retry_delay_usec, RETRY_DELAY_MAX_USEC);
        arm_timer(fetch, MAX(delay, fetch->verdict.retry_after_usec));
    } else if (next_url(fetch)) {
        arm_timer(fetch, 0);
    } else {
        finish(fetch, fetch->verdict.code);
    }
}

/* What a transfer's end means where the head was no fault. */
static void judge_end(Fetch *fetch, HttpResult result, const char *error)
{
    switch (result) {
    case HTTP_DONE:
        if (fetch->at_bytes == fetch->total_bytes && fetch->end_bytes == FETCH_END_OF_FILE)
            return;
        error_say(&fetch->error, 0, "%s ended after %" PRIu64 " bytes",
                http_url_show(current_url(fetch)).text, fetch->at_bytes);
        set_fault(fetch, FETCH_TRY_AGAIN, UPDATE_ERROR_TRANSFER);
        return;
    case HTTP_BAD_URL:
    case HTTP_BAD_REDIRECT:
    case HTTP_TOO_LARGE:
        set_fault(fetch, FETCH_URL_FAULT, UPDATE_ERROR_TRANSFER);
        break;
    case HTTP_NO_CONNECTION:
    case HTTP_TIMED_OUT:
    case HTTP_CUT:
    case HTTP_ABORTED:
    case HTTP_NO_MEMORY:
        set_fault(fetch, FETCH_TRY_AGAIN, UPDATE_ERROR_TRANSFER);
        break;
    }
    error_say(&fetch->error, 0, "%s: %s", http_url_show(current_url(fetch)).text,
            error ? error : "cut");
}

static void on_request_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)request;
    Fetch *fetch = userdata;
    if (result == HTTP_DONE && !fetch->is_head_judged)
        judge_head(fetch, head); /* an answer without a body */
    /* The end of a file whose length nobody told. */
    if (result == HTTP_DONE && fetch->verdict.fault == FETCH_OK && fetch->total_bytes == 0)
        fetch->total_bytes = fetch->at_bytes;
    if (fetch->verdict.fault == FETCH_OK && fetch->at_bytes < fetch->end_bytes)
        judge_end(fetch, result, error);

    fetch->request = (http_request_free(fetch->request), NULL);
    if (fetch->verdict.fault == FETCH_OK) {
        fetch->n_failures[fetch->url] = 0;
        finish(fetch, UPDATE_OK);
    } else {
        fail_request(fetch);
    }
}

/* --- the object -------------------------------------------------------------------------- */

int fetch_new(sd_event *event, HttpClient *http, const FetchOptions *options,
        const FetchHandlers *handlers, void *userdata, Fetch **ret_fetch)
{
    _cleanup_(fetch_freep) Fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch)
        return -ENOMEM;
    fetch->event = sd_event_ref(event);
    fetch->http = http;
    fetch->options = options;
    fetch->handlers = handlers;
    fetch->userdata = userdata;
    fetch->url = options->first_url % options->n_urls;
    fetch->total_bytes = options->total_bytes;
    fetch->max_failures =
            options->max_failures_per_url ? options->max_failures_per_url : MAX_FAILURES_DEFAULT;
    fetch->retry_delay_usec =
            options->retry_delay_usec ? options->retry_delay_usec : RETRY_DELAY_DEFAULT_USEC;
    fetch->n_failures = calloc(options->n_urls, sizeof(*fetch->n_failures));
    if (!fetch->n_failures)
        return -ENOMEM;
    int r = sd_event_add_time_relative(
            event, &fetch->timer, CLOCK_MONOTONIC, 0, 1, on_timer, fetch);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(fetch->timer, SD_EVENT_OFF);
    if (r < 0)
        return r;
    *ret_fetch = TAKE_PTR(fetch);
    return 0;
}

void fetch_free(Fetch *fetch)
{
    if (!fetch)
        return;
    http_request_free(fetch->request);
    sd_event_source_disable_unref(fetch->timer);
    sd_event_unref(fetch->event);
    free(fetch->n_failures);
    free(fetch);
}

void fetch_start(Fetch *fetch, uint64_t first_bytes, uint64_t end_bytes)
{
    fetch->is_active = true;
    fetch->at_bytes = first_bytes;
    fetch->reached_bytes = first_bytes;
    fetch->end_bytes = end_bytes;
    arm_timer(fetch, 0);
}

void fetch_set_end(Fetch *fetch, uint64_t end_bytes)
{
    fetch->end_bytes = MAX(end_bytes, fetch->at_bytes);
}

void fetch_resume(Fetch *fetch)
{
    if (!fetch->is_paused)
        return;
    fetch->is_paused = false;
    http_request_resume(fetch->request);
}

bool fetch_is_idle(const Fetch *fetch)
{
    return !fetch->is_active;
}

uint64_t fetch_total_bytes(const Fetch *fetch)
{
    return fetch->total_bytes;
}

uint64_t fetch_n_bytes(const Fetch *fetch)
{
    return fetch->n_bytes;
}
