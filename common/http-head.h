/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an HTTP answer says before its body. */

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#define HTTP_HEAD_MAX_FIELD_CHARS 255
#define HTTP_HEAD_MAX_RETRY_AFTER_SEC (24 * 60 * 60)

/* All text is inside and "" when absent, when longer than HTTP_HEAD_MAX_FIELD_CHARS or when it
 * holds control characters. */
typedef struct {
    unsigned status; /* of the last answer, redirects followed; 0 when none came */
    bool has_length;
    uint64_t length_bytes; /* Content-Length, unless the body is chunked */
    bool has_range;
    uint64_t range_first;     /* Content-Range of a 206: first byte, ... */
    uint64_t range_last;      /* ... last byte, ... */
    uint64_t range_total;     /* ... and the whole size; 0 when the server gave '*' */
    uint64_t retry_after_sec; /* Retry-After, seconds or date; a day at most, 0 when absent */
    /* As sent: W/"..." is a weak one and of no use in If-Range. */
    char etag[HTTP_HEAD_MAX_FIELD_CHARS + 1];
    char content_type[HTTP_HEAD_MAX_FIELD_CHARS + 1];
} HttpHead;

/* Fills it from the answer that easy (borrowed) is receiving or has received. */
void http_head_read(CURL *easy, HttpHead *ret_head);

/* Whether that answer asks to go elsewhere: 301, 302, 303, 307 or 308 with a Location. */
bool http_head_is_redirect(CURL *easy);

/* Reads the value of a 206's Content-Range, "bytes FIRST-LAST/TOTAL", TOTAL being a number or a
 * star (RFC 9110, 14.4), strictly; false when it is anything else or contradicts itself. Sets the
 * three range_* of head on success. Pure. */
bool http_head_parse_range(const char *value, HttpHead *head);
