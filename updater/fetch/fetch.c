/* SPDX-License-Identifier: Apache-2.0 */

/* The ranges are fetched by a queue of requests. The first of it is the head: its bytes are
 * delivered as they come, while the others' wait in their buffers: so latency is hidden and the
 * order kept. What goes wrong with the head is judged and counted; then the whole queue is dropped
 * and begins again behind what was delivered. A request that fails before its turn is dropped
 * alone, and tried again when it is the head. Everything that moves the queue happens in a turn,
 * outside of the requests' own callbacks.
 *
 * How much one request asks for depends on what its URL understands (fetch-urls.h): many ranges at
 * once; or one by one, with gaps that cost less than a request; or all that is left. Until a URL
 * has answered with a range, one request runs alone.
 *
 * Which file it is: the first answer of a URL tells its strong ETag, and further requests to that
 * URL carry it in If-Range (RFC 9110 section 13.1.5). A server that answers with the same ETag goes
 * on in the same file. In every other case (another URL, no ETag, the whole file because it has
 * changed) the owner is asked from where it wants the data again: whole pieces that it has checked
 * stay, half a piece is thrown away. Without an ETag, requests therefore run one after another. A
 * file of another length than known is not ours at all.
 *
 * A server without ranges (200 for a range) is followed from its first byte to the end of the
 * last range, and what is not wanted of it is skipped. */

#include "updater/fetch/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-url.h"
#include "updater/fetch/fetch-private.h"

#define MAX_FAILURES_DEFAULT 10
#define STALL_TIMEOUT_DEFAULT_USEC USEC_PER_MINUTE
#define RETRY_DELAY_DEFAULT_USEC (2 * USEC_PER_SEC)

const char *fetch_current_url(const Fetch *fetch)
{
    return fetch->options->urls[fetch->urls.current];
}

uint64_t fetch_end_bytes(const Fetch *fetch)
{
    return fetch->ranges[fetch->n_ranges - 1].end_bytes;
}

bool fetch_is_delivered(const Fetch *fetch)
{
    return fetch->range == fetch->n_ranges;
}

void fetch_schedule_turn(Fetch *fetch)
{
    (void)sd_event_source_set_enabled(fetch->turn, SD_EVENT_ONESHOT);
}

void fetch_rewind(Fetch *fetch)
{
    uint64_t wanted = fetch->handlers->on_rewind(fetch, fetch->at_bytes, fetch->userdata);
    if (wanted >= fetch->at_bytes)
        return;
    fetch->range = range_plan_find(fetch->ranges, fetch->n_ranges, wanted);
    fetch->at_bytes = MAX(wanted, fetch->ranges[fetch->range].first_bytes);
}

void fetch_drop_from(Fetch *fetch, size_t first)
{
    if (first < fetch->n_queued)
        fetch->asked_bytes = range_slice_first(&fetch->queue[first]->slice);
    while (fetch->n_queued > first) {
        fetch->n_queued--;
        fetch->queue[fetch->n_queued] = (fetch_request_free(fetch->queue[fetch->n_queued]), NULL);
    }
}

void fetch_finish(Fetch *fetch, UpdateError code)
{
    fetch_drop_from(fetch, 0);
    if (fetch->ranges != &fetch->one)
        free(fetch->ranges);
    fetch->ranges = NULL;
    fetch->is_active = fetch->is_paused = false;
    (void)sd_event_source_set_enabled(fetch->stall_timer, SD_EVENT_OFF);
    fetch->handlers->on_done(fetch, code, fetch->error.line, fetch->userdata);
}

/* --- the queue --------------------------------------------------------------------------- */

/* Drops what failed before its turn. */
static void drop_failed(Fetch *fetch)
{
    for (size_t i = 1; i < fetch->n_queued; i++) {
        const FetchRequest *request = fetch->queue[i];
        bool is_cut = request->is_ended && request->result != HTTP_DONE;
        if (request->verdict.fault != FETCH_OK || is_cut) {
            fetch_url_bears(fetch_urls_current(&fetch->urls), fetch_n_running(fetch, i));
            fetch_drop_from(fetch, i);
        }
    }
}

static void take_head_off(Fetch *fetch)
{
    fetch_url_add_good(fetch_urls_current(&fetch->urls));
    fetch_request_free(fetch->queue[0]);
    fetch->n_queued--;
    memmove(fetch->queue, fetch->queue + 1, fetch->n_queued * sizeof(fetch->queue[0]));
    fetch->queue[fetch->n_queued] = NULL;
    fetch->is_going_on = true;
    if (fetch->n_queued > 0)
        fetch->queue[0]->is_turn = true;
}

/* Delivers what the queue has. Returns whether the fetch goes on. */
static bool run_queue(Fetch *fetch)
{
    while (fetch->n_queued > 0 && !fetch->is_paused) {
        FetchRequest *head = fetch->queue[0];
        fetch_request_deliver(head);
        if (head->verdict.fault == FETCH_OK && fetch_request_is_over(head))
            fetch_judge_end(fetch, head);
        if (head->verdict.fault != FETCH_OK)
            return fetch_end_by_fault(fetch);
        if (!fetch_request_is_over(head))
            return true;
        take_head_off(fetch);
    }
    return true;
}

/* Each request is held to FETCH_MIN_BYTES_PER_SECOND by itself, but one that is short ends before
 * that says anything: all together are held to half of it, over twice the time. */
static void watch_for_stall(Fetch *fetch)
{
    int is_on = SD_EVENT_OFF;
    bool is_due =
            fetch->is_active && fetch->n_queued > 0 && !fetch->is_paused && !fetch->is_limited;
    (void)sd_event_source_get_enabled(fetch->stall_timer, &is_on);
    if (is_due == (is_on != SD_EVENT_OFF))
        return;
    fetch->n_bytes_at_window = fetch->n_bytes;
    (void)sd_event_source_set_time_relative(fetch->stall_timer, 2 * fetch->stall_timeout_usec);
    (void)sd_event_source_set_enabled(fetch->stall_timer, is_due ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_stall_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Fetch *fetch = userdata;
    double seconds = (double)fetch->stall_timeout_usec / USEC_PER_SEC;
    double n_bytes = (double)(fetch->n_bytes - fetch->n_bytes_at_window);
    if (fetch->n_queued > 0 && n_bytes < seconds * FETCH_MIN_BYTES_PER_SECOND) {
        FetchRequest *head = fetch->queue[0];
        fetch_request_fail(head, FETCH_TRY_AGAIN);
        error_say(&head->error, 0, "%s: all requests together brought %.0f bytes in %.3g seconds",
                http_url_show(fetch_current_url(fetch)).text, n_bytes, 2 * seconds);
    }
    fetch_schedule_turn(fetch);
    return 0;
}

/* Returns whether the fetch goes on. */
static bool run_turn(Fetch *fetch)
{
    drop_failed(fetch);
    if (!run_queue(fetch))
        return false;
    int r = 0;
    while (r >= 0 && !fetch->is_waiting && !fetch->is_paused && fetch_wants_request(fetch))
        r = fetch_add_request(fetch);
    if (r < 0) {
        error_say(&fetch->error, 0, "not enough memory to fetch the payload");
        fetch_finish(fetch, UPDATE_ERROR_GENERIC);
        return false;
    }
    if (!fetch_is_delivered(fetch) || fetch->n_queued > 0)
        return true;
    fetch_urls_current(&fetch->urls)->n_failures = 0;
    fetch_finish(fetch, UPDATE_OK);
    return false;
}

static int on_turn(sd_event_source *source, void *userdata)
{
    (void)source;
    Fetch *fetch = userdata;
    if (fetch->is_active && !fetch->is_waiting && run_turn(fetch))
        watch_for_stall(fetch);
    return 0;
}

static int on_rate_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Fetch *fetch = userdata;
    fetch->is_limited = false;
    for (size_t i = 0; i < fetch->n_queued; i++)
        fetch_request_unlimit(fetch->queue[i]);
    fetch_schedule_turn(fetch);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Fetch *fetch = userdata;
    fetch->is_waiting = false;
    fetch_schedule_turn(fetch);
    return 0;
}

/* --- the object -------------------------------------------------------------------------- */

static int add_sources(Fetch *fetch)
{
    int r = sd_event_add_time_relative(
            fetch->event, &fetch->timer, CLOCK_MONOTONIC, 0, 1, on_timer, fetch);
    if (r >= 0)
        r = sd_event_source_set_enabled(fetch->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time_relative(
                fetch->event, &fetch->rate_timer, CLOCK_MONOTONIC, 0, 1, on_rate_timer, fetch);
    if (r >= 0)
        r = sd_event_source_set_enabled(fetch->rate_timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time_relative(
                fetch->event, &fetch->stall_timer, CLOCK_MONOTONIC, 0, 1, on_stall_timer, fetch);
    if (r >= 0)
        r = sd_event_source_set_enabled(fetch->stall_timer, SD_EVENT_OFF);
    if (r >= 0) /* after what has come */
        r = sd_event_source_set_priority(fetch->stall_timer, SD_EVENT_PRIORITY_NORMAL + 1);
    if (r >= 0)
        r = sd_event_add_defer(fetch->event, &fetch->turn, on_turn, fetch);
    if (r >= 0)
        r = sd_event_source_set_enabled(fetch->turn, SD_EVENT_OFF);
    return r;
}

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
    fetch->total_bytes = options->total_bytes;
    fetch->rate = rate_limit_of(options->rate_bytes_per_second, clock_now_usec(CLOCK_MONOTONIC));
    fetch->retry_delay_usec =
            options->retry_delay_usec ? options->retry_delay_usec : RETRY_DELAY_DEFAULT_USEC;
    fetch->stall_timeout_usec =
            options->stall_timeout_usec ? options->stall_timeout_usec : STALL_TIMEOUT_DEFAULT_USEC;
    int r = fetch_urls_init(&fetch->urls, options->n_urls, options->first_url,
            options->max_failures_per_url ? options->max_failures_per_url : MAX_FAILURES_DEFAULT);
    if (r >= 0)
        r = add_sources(fetch);
    if (r < 0)
        return r;
    *ret_fetch = TAKE_PTR(fetch);
    return 0;
}

void fetch_free(Fetch *fetch)
{
    if (!fetch)
        return;
    fetch_drop_from(fetch, 0);
    if (fetch->ranges != &fetch->one)
        free(fetch->ranges);
    sd_event_source_disable_unref(fetch->turn);
    sd_event_source_disable_unref(fetch->timer);
    sd_event_source_disable_unref(fetch->rate_timer);
    sd_event_source_disable_unref(fetch->stall_timer);
    sd_event_unref(fetch->event);
    fetch_urls_done(&fetch->urls);
    free(fetch);
}

static void start(Fetch *fetch, FetchRange *ranges, size_t n_ranges)
{
    fetch->is_active = true;
    fetch->ranges = ranges;
    fetch->n_ranges = n_ranges;
    fetch->range = 0;
    fetch->at_bytes = fetch->reached_bytes = ranges[0].first_bytes;
    fetch->is_going_on = false;
    fetch_schedule_turn(fetch);
}

void fetch_start(Fetch *fetch, uint64_t first_bytes, uint64_t end_bytes)
{
    fetch->one = (FetchRange){first_bytes, end_bytes};
    start(fetch, &fetch->one, 1);
}

int fetch_start_ranges(Fetch *fetch, const FetchRange *ranges, size_t n_ranges)
{
    if (!range_plan_is_valid(ranges, n_ranges))
        return -EINVAL;
    FetchRange *copy = calloc(n_ranges, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, ranges, n_ranges * sizeof(*copy));
    start(fetch, copy, n_ranges);
    return 0;
}

void fetch_set_end(Fetch *fetch, uint64_t end_bytes)
{
    if (!fetch->is_active)
        return;
    FetchRange *last = &fetch->ranges[fetch->n_ranges - 1];
    last->end_bytes = MAX(end_bytes, MAX(last->first_bytes, fetch->at_bytes));
    if (fetch->at_bytes >= last->end_bytes)
        fetch->range = fetch->n_ranges;
    else if (fetch_is_delivered(fetch))
        fetch->range = fetch->n_ranges - 1;
    fetch->asked_bytes = MIN(fetch->asked_bytes, last->end_bytes);
    if (fetch->n_queued > 0) {
        /* Where there are parts, each must be as it was asked for; the rest is passed over. */
        RangeSlice *slice = &fetch->queue[fetch->n_queued - 1]->slice;
        if (slice->n_ranges == 1 && slice->ranges[0].end_bytes > last->end_bytes)
            slice->ranges[0].end_bytes = last->end_bytes;
    }
    fetch_schedule_turn(fetch);
}

void fetch_resume(Fetch *fetch)
{
    if (!fetch->is_paused)
        return;
    fetch->is_paused = false;
    fetch_schedule_turn(fetch);
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

uint64_t fetch_n_requests(const Fetch *fetch)
{
    return fetch->n_requests;
}

bool fetch_has_ranges(const Fetch *fetch)
{
    return fetch_urls_current(&fetch->urls)->has_ranges;
}

const char *fetch_why_single(const Fetch *fetch)
{
    return fetch->why_single.line;
}
