/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked for next, and whether yet. */

#include "updater/fetch/fetch-private.h"

#define AHEAD_MAX_BYTES (4 << 20) /* asked for before another request is added */

unsigned fetch_n_running(const Fetch *fetch, size_t n_first)
{
    unsigned n = 0;
    for (size_t i = 0; i < n_first; i++)
        n += !fetch->queue[i]->is_ended;
    return n;
}

static uint64_t n_ahead_bytes(const Fetch *fetch)
{
    uint64_t n = 0;
    for (size_t i = 0; i < fetch->n_queued; i++) {
        const RangeSlice *slice = &fetch->queue[i]->slice;
        for (size_t k = 0; k < slice->n_ranges; k++)
            if (slice->ranges[k].end_bytes > fetch->at_bytes)
                n += slice->ranges[k].end_bytes -
                     MAX(slice->ranges[k].first_bytes, fetch->at_bytes);
    }
    return n;
}

bool fetch_wants_request(const Fetch *fetch)
{
    const FetchUrl *url = fetch_urls_current(&fetch->urls);
    if (fetch->n_queued == 0)
        return !fetch_is_delivered(fetch);
    return url->has_ranges && url->form != FETCH_FORM_STREAM && fetch->etag[0] != '\0' &&
           fetch->n_queued < FETCH_QUEUE_MAX && fetch->asked_bytes < fetch_end_bytes(fetch) &&
           fetch_n_running(fetch, fetch->n_queued) < url->n_lanes &&
           n_ahead_bytes(fetch) < AHEAD_MAX_BYTES;
}

static void plan_request(const Fetch *fetch, RangeSlice *ret_slice)
{
    const FetchUrl *url = fetch_urls_current(&fetch->urls);
    uint64_t gap_bytes = UINT64_MAX;
    size_t n_most = 1;
    switch (url->form) {
    case FETCH_FORM_SEVERAL:
        gap_bytes = RANGE_PLAN_PART_BYTES;
        n_most = RANGE_SLICE_RANGES_MAX;
        break;
    case FETCH_FORM_SINGLE:
        gap_bytes = link_meter_gap_bytes(&fetch->meter, url->n_lanes);
        break;
    case FETCH_FORM_STREAM:
        break;
    }
    range_plan_next(
            fetch->ranges, fetch->n_ranges, fetch->asked_bytes, gap_bytes, n_most, ret_slice);
}

/* The queue is empty: what it begins with. */
static void begin_queue(Fetch *fetch)
{
    uint64_t before = fetch->at_bytes;
    if (fetch->etag[0] == '\0')
        fetch_rewind(fetch);
    /* Where each new request throws away what the one before brought, only one comes to an end. */
    if (fetch->is_going_on && fetch->at_bytes < before)
        fetch_urls_current(&fetch->urls)->form = FETCH_FORM_STREAM;
    fetch->is_going_on = false;
    fetch->asked_bytes = fetch->at_bytes;
}

int fetch_add_request(Fetch *fetch)
{
    if (fetch->n_queued == 0)
        begin_queue(fetch);
    RangeSlice slice;
    plan_request(fetch, &slice);
    uint64_t end_bytes = range_slice_end(&slice);
    const FetchRequestOptions options = {
            .url = fetch_current_url(fetch),
            .etag = fetch->etag,
            .is_whole = slice.n_ranges == 1 && range_slice_first(&slice) == 0 &&
                        (end_bytes == FETCH_END_OF_FILE || end_bytes == fetch->total_bytes),
            .user = fetch->options->user,
            .password = fetch->options->password,
            .stall_timeout_usec = fetch->options->stall_timeout_usec,
            .stall_bytes_per_second = FETCH_MIN_BYTES_PER_SECOND,
            .meter = &fetch->meter,
            .rate = &fetch->rate,
            .n_all_bytes = &fetch->n_bytes,
    };
    FetchRequest *request = NULL;
    int r = fetch_request_new(
            fetch->http, &slice, &options, &fetch_request_handlers, fetch, &request);
    if (r < 0)
        return r;
    request->is_turn = fetch->n_queued == 0;
    fetch->queue[fetch->n_queued++] = request;
    fetch->asked_bytes = end_bytes;
    fetch->n_requests++;
    return 0;
}
