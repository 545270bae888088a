/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/fetch-verdict.h"

#include <inttypes.h>
#include <string.h>

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

static FetchVerdict judge_status(
        const FetchExpectation *expected, const HttpHead *head, ErrorText *error)
{
    error_say(error, 0, "%s: the server answers with status %u", expected->url, head->status);
    FetchVerdict verdict = fault(
            is_passing(head->status) ? FETCH_TRY_AGAIN : FETCH_URL_FAULT, UPDATE_ERROR_TRANSFER);
    verdict.retry_after_usec = MIN(head->retry_after_sec, RETRY_AFTER_MAX_SEC) * USEC_PER_SEC;
    return verdict;
}

static uint64_t said_total(const HttpHead *head)
{
    if (head->status == 206)
        return head->range_total;
    return head->has_length ? head->length_bytes : 0;
}

static bool has_wrong_length(
        const FetchExpectation *expected, uint64_t total_bytes, ErrorText *error)
{
    if (total_bytes == 0)
        return false;
    if (expected->total_bytes != 0 && total_bytes != expected->total_bytes) {
        error_say(error, 0, "%s has %" PRIu64 " bytes where %" PRIu64 " are expected",
                expected->url, total_bytes, expected->total_bytes);
        return true;
    }
    if (expected->end_bytes != FETCH_END_OF_FILE && total_bytes < expected->end_bytes) {
        error_say(error, 0, "%s ends after %" PRIu64 " bytes; at least %" PRIu64 " are expected",
                expected->url, total_bytes, expected->end_bytes);
        return true;
    }
    return false;
}

FetchVerdict fetch_verdict(const FetchExpectation *expected, const HttpHead *head, ErrorText *error)
{
    if (head->status != 200 && head->status != 206)
        return judge_status(expected, head, error);
    bool is_range = head->status == 206;
    if (is_range && (!head->has_range || head->range_first != expected->first_bytes)) {
        error_say(error, 0, "%s: the server answers with another range than asked for",
                expected->url);
        return fault(FETCH_URL_FAULT, UPDATE_ERROR_TRANSFER);
    }
    FetchVerdict verdict = {
            .fault = FETCH_OK,
            .code = UPDATE_OK,
            .is_other_file = expected->etag[0] != '\0' && strcmp(expected->etag, head->etag) != 0,
            .body_at_bytes = is_range ? expected->first_bytes : 0,
            .total_bytes = said_total(head),
    };
    if (has_wrong_length(expected, verdict.total_bytes, error))
        return fault(FETCH_URL_FAULT, UPDATE_ERROR_PAYLOAD_SIZE);
    if (verdict.is_other_file && is_range) {
        error_say(error, 0, "%s changed while it was fetched", expected->url);
        verdict.fault = FETCH_TRY_AGAIN;
        verdict.code = UPDATE_ERROR_TRANSFER;
    }
    return verdict;
}

bool fetch_etag_is_strong(const char *etag)
{
    return etag[0] == '"';
}
