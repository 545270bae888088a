/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The body of an answer to a request for several ranges, multipart/byteranges (RFC 9110 section
 * 14.6, RFC 2046 section 5.1), read as it comes, cut anywhere. Fixed memory, no I/O. A part's
 * length is what its Content-Range says, and its bytes are not looked at. Stricter than the RFCs
 * where servers have no use for the liberty: lines end with CRLF, header fields are not folded. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "updater/fetch/range-plan.h"

#define MULTIPART_BOUNDARY_CHARS 70        /* RFC 2046 section 5.1.1 */
#define MULTIPART_LINE_BYTES 512           /* of a part's header */
#define MULTIPART_HEADER_BYTES 2048        /* of a part, all lines; also the preamble's limit */
#define MULTIPART_EPILOGUE_BYTES (1 << 10) /* that are passed over */

typedef enum {
    MULTIPART_MORE, /* all was used, more is needed */
    MULTIPART_PART, /* a part's header is over: multipart_ranges_part() */
    MULTIPART_BODY, /* what comes now belongs to the part: multipart_ranges_take() */
    MULTIPART_END,  /* the last part is over */
    MULTIPART_BAD,  /* this is no multipart/byteranges: multipart_ranges_error() */
} MultipartEvent;

/* Fields are the parser's own. */
typedef struct {
    int state;
    char delimiter[4 + MULTIPART_BOUNDARY_CHARS + 1]; /* CR LF - - boundary */
    size_t n_delimiter_bytes;
    size_t n_matched_bytes; /* of the delimiter */
    size_t n_framing_bytes; /* of the preamble, the part's header or the epilogue so far */
    char line[MULTIPART_LINE_BYTES];
    size_t n_line_bytes;
    bool has_range;
    FetchRange range;
    uint64_t total_bytes;
    uint64_t n_left_bytes; /* of the part's body */
    const char *error;
} MultipartRanges;

/* Begins with the value of Content-Type. Errors: -EINVAL: it is not multipart/byteranges, or has no
 * boundary that may be one. */
int multipart_ranges_init(MultipartRanges *multipart, const char *content_type);

/* Uses data up to where something happens. *ret_n_used is always set. END and BAD stay. */
MultipartEvent multipart_ranges_next(
        MultipartRanges *multipart, const uint8_t *data, size_t n_bytes, size_t *ret_n_used);

/* After PART: where the part belongs, and the size of the whole file; 0: the server gave '*'. */
FetchRange multipart_ranges_part(const MultipartRanges *multipart, uint64_t *ret_total_bytes);

/* After BODY: how many bytes of the part are still to come, at least 1. */
uint64_t multipart_ranges_n_left(const MultipartRanges *multipart);

/* So many of them, at most that, have been used. */
void multipart_ranges_take(MultipartRanges *multipart, uint64_t n_bytes);

/* More came after the end than anybody needs. */
bool multipart_ranges_has_excess(const MultipartRanges *multipart);

/* What is bad; static. */
const char *multipart_ranges_error(const MultipartRanges *multipart);
