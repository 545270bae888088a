/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/range-plan.h"

#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"

#define HEADER_START "Range: bytes="
#define UINT64_DIGITS 20

bool range_plan_is_valid(const FetchRange *ranges, size_t n_ranges)
{
    uint64_t end_bytes = 0;
    for (size_t i = 0; i < n_ranges; i++) {
        if (ranges[i].first_bytes < end_bytes || ranges[i].first_bytes >= ranges[i].end_bytes)
            return false;
        if (ranges[i].end_bytes == FETCH_END_OF_FILE && n_ranges > 1)
            return false;
        end_bytes = ranges[i].end_bytes;
    }
    return n_ranges > 0;
}

size_t range_plan_find(const FetchRange *ranges, size_t n_ranges, uint64_t at_bytes)
{
    size_t low = 0, high = n_ranges;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].end_bytes > at_bytes)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static size_t n_digits(uint64_t number)
{
    size_t n = 1;
    for (; number >= 10; number /= 10)
        n++;
    return n;
}

void range_plan_next(const FetchRange *ranges, size_t n_ranges, uint64_t at_bytes,
        uint64_t gap_bytes, size_t n_most, RangeSlice *ret_slice)
{
    size_t i = range_plan_find(ranges, n_ranges, at_bytes);
    /* A range's end may still grow into the next gap: each counts with all digits it may need. */
    size_t n_header_bytes = sizeof(HEADER_START);
    ret_slice->n_ranges = 0;
    for (; i < n_ranges; i++) {
        FetchRange range = ranges[i];
        range.first_bytes = MAX(range.first_bytes, at_bytes);
        FetchRange *last = ret_slice->n_ranges ? &ret_slice->ranges[ret_slice->n_ranges - 1] : NULL;
        if (last && range.first_bytes - last->end_bytes <= gap_bytes) {
            last->end_bytes = range.end_bytes;
            continue;
        }
        n_header_bytes += n_digits(range.first_bytes) + UINT64_DIGITS + 2;
        if (ret_slice->n_ranges == n_most || n_header_bytes > RANGE_SLICE_HEADER_BYTES)
            return;
        ret_slice->ranges[ret_slice->n_ranges++] = range;
    }
}

uint64_t range_slice_first(const RangeSlice *slice)
{
    return slice->ranges[0].first_bytes;
}

uint64_t range_slice_end(const RangeSlice *slice)
{
    return slice->ranges[slice->n_ranges - 1].end_bytes;
}

uint64_t range_slice_n_bytes(const RangeSlice *slice)
{
    uint64_t n = 0;
    for (size_t i = 0; i < slice->n_ranges; i++)
        n += slice->ranges[i].end_bytes - slice->ranges[i].first_bytes;
    return n;
}

void range_slice_header(const RangeSlice *slice, char ret_line[RANGE_SLICE_HEADER_BYTES])
{
    memcpy(ret_line, HEADER_START, sizeof(HEADER_START));
    size_t n = sizeof(HEADER_START) - 1;
    for (size_t i = 0; i < slice->n_ranges && n < RANGE_SLICE_HEADER_BYTES; i++) {
        const FetchRange *range = &slice->ranges[i];
        char last[UINT64_DIGITS + 1] = "";
        if (range->end_bytes != FETCH_END_OF_FILE)
            snprintf(last, sizeof(last), "%" PRIu64, range->end_bytes - 1);
        n += (size_t)snprintf(ret_line + n, RANGE_SLICE_HEADER_BYTES - n, "%s%" PRIu64 "-%s",
                i ? "," : "", range->first_bytes, last);
    }
}

size_t range_slice_n_covered(
        const RangeSlice *slice, size_t from, uint64_t first_bytes, uint64_t end_bytes)
{
    if (from >= slice->n_ranges || slice->ranges[from].first_bytes != first_bytes)
        return 0;
    for (size_t i = from; i < slice->n_ranges; i++)
        if (slice->ranges[i].end_bytes == end_bytes)
            return i - from + 1;
    return 0;
}
