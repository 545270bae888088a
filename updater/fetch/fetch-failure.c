/* SPDX-License-Identifier: Apache-2.0 */

/* What goes wrong counts against the URL: what another try may cure, up to max_failures_per_url in
 * a row without progress; what it cannot (404, a wrong length), at once. Then the next URL has its
 * turn. That a URL does not understand several ranges at once is no failure, and happens once. */

#include <inttypes.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/http-url.h"
#include "updater/fetch/fetch-private.h"

#define RETRY_DELAY_MAX_USEC USEC_PER_MINUTE
#define PROGRESS_BYTES (256 * 1024) /* a failure after as much was no failure in a row */

void fetch_request_fail(FetchRequest *request, FetchFault fault)
{
    request->verdict.fault = fault;
    request->verdict.code = UPDATE_ERROR_TRANSFER;
}

/* What the end of the head's transfer means where nothing was wrong before. */
void fetch_judge_end(Fetch *fetch, FetchRequest *request)
{
    bool is_open = range_slice_end(&request->slice) == FETCH_END_OF_FILE;
    const HttpUrlShown shown = http_url_show(fetch_current_url(fetch));
    ErrorText said = request->error;
    /* The end of a file whose length nobody told. */
    if (request->result == HTTP_DONE && is_open && fetch->total_bytes == 0)
        fetch->total_bytes = fetch->at_bytes;
    if (fetch_is_delivered(fetch) || fetch->at_bytes >= range_slice_end(&request->slice))
        return;
    switch (request->result) {
    case HTTP_DONE:
        if (is_open && fetch->at_bytes == fetch->total_bytes) {
            fetch->range = fetch->n_ranges;
        } else if (request->verdict.has_parts) {
            fetch_request_fail(request, FETCH_ASK_LESS);
            error_say(&request->error, 0, "%s: the server's answer lacks parts", shown.text);
        } else {
            fetch_request_fail(request, FETCH_TRY_AGAIN);
            error_say(&request->error, 0, "%s ended after %" PRIu64 " bytes", shown.text,
                    fetch->at_bytes);
        }
        return;
    case HTTP_BAD_URL:
    case HTTP_BAD_REDIRECT:
    case HTTP_TOO_LARGE:
        fetch_request_fail(request, FETCH_URL_FAULT);
        break;
    case HTTP_NO_CONNECTION:
    case HTTP_TIMED_OUT:
    case HTTP_CUT:
    case HTTP_ABORTED:
    case HTTP_NO_MEMORY:
        fetch_request_fail(request, FETCH_TRY_AGAIN);
        break;
    }
    error_say(&request->error, 0, "%s: %s", shown.text, said.line);
}

/* Returns whether the fetch goes on. */
static bool fail_request(Fetch *fetch, const FetchVerdict *verdict)
{
    bool has_progress = fetch->n_fresh_bytes >= PROGRESS_BYTES;
    fetch->n_fresh_bytes = 0;
    uint64_t delay_usec = 0;
    switch (fetch_urls_fail(&fetch->urls, verdict->fault, has_progress)) {
    case FETCH_NO_URL:
        fetch_finish(fetch, verdict->code);
        return false;
    case FETCH_OTHER_URL:
        fetch->etag[0] = '\0';
        fetch->meter = (LinkMeter){0};
        return true;
    case FETCH_SAME_URL:
        delay_usec = backoff_usec(fetch_urls_current(&fetch->urls)->n_failures,
                fetch->retry_delay_usec, RETRY_DELAY_MAX_USEC);
        break;
    }
    fetch->is_waiting = true;
    (void)sd_event_source_set_time_relative(
            fetch->timer, MAX(delay_usec, verdict->retry_after_usec));
    (void)sd_event_source_set_enabled(fetch->timer, SD_EVENT_ONESHOT);
    return true;
}

/* The head has a fault. Returns whether the fetch goes on. */
bool fetch_end_by_fault(Fetch *fetch)
{
    const FetchVerdict verdict = fetch->queue[0]->verdict;
    const ErrorText error = fetch->queue[0]->error;
    fetch_drop_from(fetch, 0);
    fetch->is_going_on = false;
    if (verdict.fault != FETCH_ASK_LESS) {
        fetch->error = error;
        return fail_request(fetch, &verdict);
    }
    fetch->why_single = error;
    fetch_urls_current(&fetch->urls)->form = FETCH_FORM_SINGLE;
    return true;
}
