/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/byte-range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/bytes.h"
#include "common/cleanup.h"

/* Reads digits at *at and moves it behind them; one that does not fit counts as the largest. */
static bool read_number(const char **at, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *c = *at;
    for (; *c >= '0' && *c <= '9'; c++)
        if (!u64_mul(number, 10, &number) || !u64_add(number, (uint64_t)(*c - '0'), &number))
            number = UINT64_MAX;
    if (c == *at)
        return false;
    *at = c;
    *ret_number = number;
    return true;
}

ByteRange byte_range_parse(
        const char *header, uint64_t size_bytes, uint64_t *ret_first, uint64_t *ret_last)
{
    static const char unit[] = "bytes=";
    if (!header || strncasecmp(header, unit, strlen(unit)) != 0)
        return BYTE_RANGE_WHOLE;
    const char *at = header + strlen(unit);
    uint64_t first = 0, last = UINT64_MAX;
    bool has_first = read_number(&at, &first);
    if (*at++ != '-')
        return BYTE_RANGE_MALFORMED;
    bool has_last = read_number(&at, &last);
    if (*at == ',')
        return BYTE_RANGE_WHOLE;
    if (*at != '\0' || (!has_first && !has_last) || (has_first && last < first))
        return BYTE_RANGE_MALFORMED;
    if (!has_first) { /* the last so many bytes */
        if (last == 0)
            return BYTE_RANGE_UNSATISFIABLE;
        first = last < size_bytes ? size_bytes - last : 0;
        last = UINT64_MAX;
    }
    if (first >= size_bytes)
        return BYTE_RANGE_UNSATISFIABLE;
    *ret_first = first;
    *ret_last = MIN(last, size_bytes - 1);
    return BYTE_RANGE_ONE;
}
