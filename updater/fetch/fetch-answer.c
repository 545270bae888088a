/* SPDX-License-Identifier: Apache-2.0 */

/* An answer's head says which file comes and where its bytes belong; then they are cut to what the
 * ranges want of them. */

#include <string.h>

#include "common/http-url.h"
#include "updater/fetch/fetch-private.h"

static void remember_etag(Fetch *fetch, const char *etag)
{
    fetch->etag[0] = '\0';
    if (fetch_etag_is_strong(etag) && strlen(etag) < sizeof(fetch->etag))
        memcpy(fetch->etag, etag, strlen(etag) + 1);
}

/* The answer brings another part of the file than was asked for: the slice becomes that one, and
 * what was asked for behind it is asked for again. */
static void take_other_slice(Fetch *fetch, FetchRequest *request, size_t n_ranges, uint64_t end)
{
    fetch_drop_from(fetch, 1);
    request->slice.n_ranges = n_ranges;
    request->slice.ranges[n_ranges - 1].end_bytes = end;
    fetch->asked_bytes = end;
}

static void take_verdict(Fetch *fetch, FetchRequest *request, const HttpHead *head)
{
    FetchUrl *url = fetch_urls_current(&fetch->urls);
    RangeSlice *slice = &request->slice;
    size_t n_answered = request->verdict.n_answered;
    if (request->verdict.total_bytes != 0)
        fetch->total_bytes = request->verdict.total_bytes;
    remember_etag(fetch, head->etag);
    if (head->status == 206) {
        url->has_ranges = true;
    } else if (!request->is_whole) { /* all that is left is taken from it */
        if (!request->verdict.is_other_file) {
            error_say(&fetch->why_single, 0,
                    "%s: the server answers a request for a part with the whole file",
                    http_url_show(fetch_current_url(fetch)).text);
            url->form = FETCH_FORM_STREAM;
        }
        take_other_slice(fetch, request, 1, fetch_end_bytes(fetch));
    }
    if (n_answered < slice->n_ranges) {
        error_say(&fetch->why_single, 0, "%s: the server answers the first of several ranges only",
                http_url_show(fetch_current_url(fetch)).text);
        url->form = FETCH_FORM_SINGLE;
        take_other_slice(fetch, request, n_answered, slice->ranges[n_answered - 1].end_bytes);
    }
    if (request->verdict.is_other_file)
        fetch_rewind(fetch);
}

static void on_head(FetchRequest *request, const HttpHead *head, void *userdata)
{
    Fetch *fetch = userdata;
    const HttpUrlShown shown = http_url_show(fetch_current_url(fetch));
    const FetchExpectation expected = {
            .url = shown.text,
            .asked = &request->slice,
            .total_bytes = fetch->total_bytes,
            .etag = fetch->etag,
    };
    request->verdict = fetch_verdict(&expected, head, &request->error);
    bool is_fault = request->verdict.fault != FETCH_OK;
    if (!request->is_turn) {
        /* Only what needs no decision may wait. */
        bool is_as_asked =
                head->status == 206 && request->verdict.n_answered == request->slice.n_ranges;
        if (!is_fault && !is_as_asked)
            request->verdict.fault = FETCH_TRY_AGAIN;
    } else if (!is_fault) {
        take_verdict(fetch, request, head);
    } else if (request->verdict.is_other_file) {
        fetch->etag[0] = '\0'; /* the next request begins with what is wanted again */
    }
}

static void on_part(FetchRequest *request, FetchRange part, uint64_t total_bytes, void *userdata)
{
    Fetch *fetch = userdata;
    const HttpUrlShown shown = http_url_show(fetch_current_url(fetch));
    const FetchExpectation expected = {
            .url = shown.text,
            .asked = &request->slice,
            .total_bytes = fetch->total_bytes,
            .etag = fetch->etag,
    };
    FetchVerdict verdict = fetch_verdict_part(
            &expected, part, total_bytes, &request->n_parts_seen, &request->error);
    request->verdict.fault = verdict.fault;
    request->verdict.code = verdict.code;
    if (verdict.total_bytes != 0)
        fetch->total_bytes = verdict.total_bytes;
}

/* Gives the owner bytes of the range under way. Returns how many it took. */
static size_t deliver(Fetch *fetch, const uint8_t *data, size_t n_bytes)
{
    size_t n = fetch->handlers->on_data(fetch, fetch->at_bytes, data, n_bytes, fetch->userdata);
    uint64_t before = MAX(fetch->reached_bytes, fetch->at_bytes);
    fetch->at_bytes += n;
    if (fetch->at_bytes > before) {
        fetch->n_fresh_bytes += fetch->at_bytes - before;
        fetch->reached_bytes = fetch->at_bytes;
    }
    if (n < n_bytes) {
        fetch->is_paused = true;
        fetch_schedule_turn(fetch);
    }
    if (!fetch_is_delivered(fetch) && fetch->at_bytes >= fetch->ranges[fetch->range].end_bytes) {
        fetch->range++;
        if (!fetch_is_delivered(fetch))
            fetch->at_bytes = fetch->ranges[fetch->range].first_bytes;
    }
    return n;
}

static size_t on_data(FetchRequest *request, uint64_t offset_bytes, const uint8_t *data,
        size_t n_bytes, void *userdata)
{
    Fetch *fetch = userdata;
    size_t at = 0;
    while (at < n_bytes && !fetch->is_paused && !fetch_is_delivered(fetch)) {
        uint64_t here_bytes = offset_bytes + at;
        if (here_bytes > fetch->at_bytes) { /* no verdict lets it come so far */
            request->verdict.fault = FETCH_TRY_AGAIN;
            request->verdict.code = UPDATE_ERROR_TRANSFER;
            return at;
        }
        size_t n_skipped = (size_t)MIN(fetch->at_bytes - here_bytes, (uint64_t)(n_bytes - at));
        at += n_skipped;
        uint64_t n_left = fetch->ranges[fetch->range].end_bytes - fetch->at_bytes;
        size_t n_wanted = (size_t)MIN((uint64_t)(n_bytes - at), n_left);
        if (n_wanted > 0)
            at += deliver(fetch, data + at, n_wanted);
    }
    return fetch_is_delivered(fetch) ? n_bytes : at;
}

static void on_limit(FetchRequest *request, uint64_t wait_usec, void *userdata)
{
    (void)request;
    Fetch *fetch = userdata;
    if (fetch->is_limited)
        return;
    fetch->is_limited = true;
    (void)sd_event_source_set_time_relative(fetch->rate_timer, wait_usec);
    (void)sd_event_source_set_enabled(fetch->rate_timer, SD_EVENT_ONESHOT);
    fetch_schedule_turn(fetch);
}

static void on_change(FetchRequest *request, void *userdata)
{
    (void)request;
    fetch_schedule_turn(userdata);
}

const FetchRequestHandlers fetch_request_handlers = {
        .on_head = on_head,
        .on_part = on_part,
        .on_data = on_data,
        .on_limit = on_limit,
        .on_change = on_change,
};
