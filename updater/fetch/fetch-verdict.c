/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/fetch-verdict.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define RETRY_AFTER_MAX_SEC UINT64_C(60)

/* RFC 9110 sections 15.5.9, 15.6; RFC 8470; RFC 6585. */
static bool is_passing(unsigned status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

static FetchVerdict fault(FetchFault kind, UpdateError code)
{
    return (FetchVerdict){.fault = kind, .code = code};
}

static bool is_multi(const FetchExpectation *expected)
{
    return expected->asked->n_ranges > 1;
}

/* Some refuse several ranges by an error of their own: of one, the status says what it means. */
static FetchVerdict judge_status(
        const FetchExpectation *expected, const HttpHead *head, ErrorText *error)
{
    error_say(error, 0, "%s: the server answers with status %u", expected->url, head->status);
    FetchFault kind = FETCH_URL_FAULT;
    if (is_passing(head->status))
        kind = FETCH_TRY_AGAIN;
    else if (is_multi(expected) && head->status >= 400)
        kind = FETCH_ASK_LESS;
    FetchVerdict verdict = fault(kind, UPDATE_ERROR_TRANSFER);
    verdict.retry_after_usec = MIN(head->retry_after_sec, RETRY_AFTER_MAX_SEC) * USEC_PER_SEC;
    return verdict;
}

static bool has_wrong_length(
        const FetchExpectation *expected, uint64_t total_bytes, ErrorText *error)
{
    uint64_t end_bytes = range_slice_end(expected->asked);
    if (total_bytes == 0)
        return false;
    if (expected->total_bytes != 0 && total_bytes != expected->total_bytes) {
        error_say(error, 0, "%s has %" PRIu64 " bytes where %" PRIu64 " are expected",
                expected->url, total_bytes, expected->total_bytes);
        return true;
    }
    if (end_bytes != FETCH_END_OF_FILE && total_bytes < end_bytes) {
        error_say(error, 0, "%s ends after %" PRIu64 " bytes; at least %" PRIu64 " are expected",
                expected->url, total_bytes, end_bytes);
        return true;
    }
    return false;
}

static FetchVerdict judge_other_range(const FetchExpectation *expected, ErrorText *error)
{
    error_say(error, 0, "%s: the server answers with another range than asked for", expected->url);
    return fault(is_multi(expected) ? FETCH_ASK_LESS : FETCH_URL_FAULT, UPDATE_ERROR_TRANSFER);
}

static bool is_multipart(const HttpHead *head)
{
    return strncasecmp(head->content_type, "multipart/", 10) == 0;
}

/* Sets where the body belongs. A server that answers several ranges with one has coalesced them, or
 * cares for the first ones only. */
static bool place_range(
        const FetchExpectation *expected, const HttpHead *head, FetchVerdict *verdict)
{
    if (is_multi(expected) && is_multipart(head) && !head->has_range) {
        verdict->has_parts = true;
        verdict->n_answered = expected->asked->n_ranges;
        return true;
    }
    uint64_t first_bytes = range_slice_first(expected->asked);
    if (!head->has_range || head->range_first != first_bytes || is_multipart(head))
        return false;
    verdict->body_at_bytes = first_bytes;
    verdict->total_bytes = head->range_total;
    verdict->n_answered = 1;
    if (is_multi(expected)) {
        verdict->n_answered =
                range_slice_n_covered(expected->asked, 0, first_bytes, head->range_last + 1);
    }
    return verdict->n_answered > 0;
}

FetchVerdict fetch_verdict(const FetchExpectation *expected, const HttpHead *head, ErrorText *error)
{
    if (head->status != 200 && head->status != 206)
        return judge_status(expected, head, error);
    bool is_range = head->status == 206;
    FetchVerdict verdict = {
            .fault = FETCH_OK,
            .code = UPDATE_OK,
            .is_other_file = expected->etag[0] != '\0' && strcmp(expected->etag, head->etag) != 0,
            .n_answered = expected->asked->n_ranges,
    };
    if (!is_range)
        verdict.total_bytes = head->has_length ? head->length_bytes : 0;
    else if (!place_range(expected, head, &verdict))
        return judge_other_range(expected, error);
    if (has_wrong_length(expected, verdict.total_bytes, error))
        return fault(FETCH_URL_FAULT, UPDATE_ERROR_PAYLOAD_SIZE);
    if (verdict.is_other_file && (is_range || is_multi(expected))) {
        error_say(error, 0, "%s changed while it was fetched", expected->url);
        verdict.fault = FETCH_TRY_AGAIN;
        verdict.code = UPDATE_ERROR_TRANSFER;
    } else if (!is_range && is_multi(expected)) {
        error_say(error, 0, "%s: the server answers several ranges with the whole file",
                expected->url);
        return fault(FETCH_ASK_LESS, UPDATE_ERROR_TRANSFER);
    }
    return verdict;
}

FetchVerdict fetch_verdict_part(const FetchExpectation *expected, FetchRange part,
        uint64_t total_bytes, size_t *from, ErrorText *error)
{
    if (has_wrong_length(expected, total_bytes, error))
        return fault(FETCH_URL_FAULT, UPDATE_ERROR_PAYLOAD_SIZE);
    size_t n = range_slice_n_covered(expected->asked, *from, part.first_bytes, part.end_bytes);
    if (n == 0)
        return judge_other_range(expected, error);
    *from += n;
    return (FetchVerdict){.fault = FETCH_OK, .code = UPDATE_OK, .total_bytes = total_bytes};
}

bool fetch_etag_is_strong(const char *etag)
{
    return etag[0] == '"';
}
