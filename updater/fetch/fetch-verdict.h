/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the head of an HTTP answer means for a fetch: whether it is the file that was begun, and
 * where its bytes belong. No I/O. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"
#include "common/http-client.h"
#include "updater/fetch/range-plan.h"
#include "updater/update-error.h"

typedef enum {
    FETCH_OK,
    FETCH_TRY_AGAIN, /* another try of this URL may do: cut, timeout, 5xx, a file that changed */
    FETCH_ASK_LESS,  /* several ranges are no form of request for this URL: one by one may do */
    FETCH_URL_FAULT, /* this URL will not do */
} FetchFault;

/* What is expected of an answer; all text is borrowed. */
typedef struct {
    const char *url;         /* for messages, as http_url_show() gives it */
    const RangeSlice *asked; /* FETCH_END_OF_FILE: whatever there is */
    uint64_t total_bytes;    /* of the file; 0: not known */
    const char *etag;        /* of the file; "": not known */
} FetchExpectation;

typedef struct {
    FetchFault fault;
    UpdateError code;          /* what the fault is called: TRANSFER or PAYLOAD_SIZE */
    bool is_other_file;        /* the file has changed; with FETCH_OK, it comes from its start */
    bool has_parts;            /* the body is multipart/byteranges */
    size_t n_answered;         /* of the ranges asked for, from the first on; parts: all */
    uint64_t body_at_bytes;    /* where the body's first byte lies in the file; not with parts */
    uint64_t total_bytes;      /* as the answer says; 0: it does not */
    uint64_t retry_after_usec; /* the server asks for it; 0: it does not */
} FetchVerdict;

/* Judges a head; error is set with a fault. */
FetchVerdict fetch_verdict(
        const FetchExpectation *expected, const HttpHead *head, ErrorText *error);

/* Judges a part of the body that says where it belongs, and the file's size in total_bytes (0: it
 * does not say). *from is the first of the ranges asked for that is still to come, and is moved
 * behind those that the part brings. error is set with a fault; of the verdict, only the fault, its
 * code and total_bytes mean something. */
FetchVerdict fetch_verdict_part(const FetchExpectation *expected, FetchRange part,
        uint64_t total_bytes, size_t *from, ErrorText *error);

/* Whether an ETag can tell two files apart byte by byte (RFC 9110 section 8.8.1). */
bool fetch_etag_is_strong(const char *etag);
