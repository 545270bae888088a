/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which ranges of a file one request asks for, out of the many that are wanted. No I/O. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_END_OF_FILE UINT64_MAX

#define RANGE_SLICE_RANGES_MAX 128
#define RANGE_PLAN_PART_BYTES 128     /* what an answer has between two parts, roughly */
#define RANGE_SLICE_HEADER_BYTES 4096 /* what servers let a header line have, and to spare */

typedef struct {
    uint64_t first_bytes, end_bytes; /* end behind the last byte */
} FetchRange;

/* What one request asks for: ascending, not touching one another, at least one. */
typedef struct {
    FetchRange ranges[RANGE_SLICE_RANGES_MAX];
    size_t n_ranges;
} RangeSlice;

/* Whether ranges can be fetched: at least one, none empty, ascending, not overlapping; only one
 * that is alone may end at FETCH_END_OF_FILE. */
bool range_plan_is_valid(const FetchRange *ranges, size_t n_ranges);

/* The first of the (valid) ranges that ends behind at_bytes; n_ranges: none does. */
size_t range_plan_find(const FetchRange *ranges, size_t n_ranges, uint64_t at_bytes);

/* The next slice, from at_bytes on, which must lie before the last range's end. Ranges with at most
 * gap_bytes between them become one (UINT64_MAX: all of them). At most n_most ranges (from 1 to
 * RANGE_SLICE_RANGES_MAX) that fit into range_slice_header(). */
void range_plan_next(const FetchRange *ranges, size_t n_ranges, uint64_t at_bytes,
        uint64_t gap_bytes, size_t n_most, RangeSlice *ret_slice);

uint64_t range_slice_first(const RangeSlice *slice);
uint64_t range_slice_end(const RangeSlice *slice);

/* Without the gaps. */
uint64_t range_slice_n_bytes(const RangeSlice *slice);

/* "Range: bytes=FIRST-LAST,..." (RFC 9110 sections 14.1.2 and 14.2); an open end has no LAST. */
void range_slice_header(const RangeSlice *slice, char ret_line[RANGE_SLICE_HEADER_BYTES]);

/* How many of the slice's ranges, from the one at `from` on, [first_bytes, end_bytes) covers if it
 * begins with that one and ends with one of them, as a server may coalesce them (RFC 9110 section
 * 15.3.7.2). 0: it is another range. */
size_t range_slice_n_covered(
        const RangeSlice *slice, size_t from, uint64_t first_bytes, uint64_t end_bytes);
