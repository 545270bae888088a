/* SPDX-License-Identifier: Apache-2.0 */

/* An answer in parts out of any bytes: the first line is the Content-Type, the rest the body. It
 * gives the same in pieces of any size, and uses no byte twice. */

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/fuzz/fuzz.h"
#include "updater/fetch/multipart-ranges.h"

#define TYPE_MAX_BYTES 255

static void require(bool holds)
{
    if (!holds)
        abort();
}

static uint64_t mix(uint64_t sum, uint64_t n)
{
    return (sum ^ n) * UINT64_C(0x100000001b3);
}

/* Reads on in a piece; false: it is over. */
static bool read_piece(
        MultipartRanges *multipart, const uint8_t *data, size_t n_bytes, uint64_t *sum)
{
    for (size_t at = 0;;) {
        size_t n;
        MultipartEvent event = multipart_ranges_next(multipart, data + at, n_bytes - at, &n);
        require(n <= n_bytes - at);
        at += n;
        uint64_t total;
        FetchRange part;
        switch (event) {
        case MULTIPART_MORE:
            require(at == n_bytes);
            return true;
        case MULTIPART_PART:
            part = multipart_ranges_part(multipart, &total);
            require(part.first_bytes < part.end_bytes);
            require(total == 0 || part.end_bytes <= total);
            *sum = mix(mix(mix(*sum, part.first_bytes), part.end_bytes), total);
            break;
        case MULTIPART_BODY:
            require(at < n_bytes);
            for (size_t n_left = (size_t)MIN(
                         multipart_ranges_n_left(multipart), (uint64_t)(n_bytes - at));
                    n_left > 0; n_left--)
                *sum = mix(*sum, data[at++]), multipart_ranges_take(multipart, 1);
            break;
        case MULTIPART_END:
        case MULTIPART_BAD:
            require(event == MULTIPART_END || multipart_ranges_error(multipart));
            *sum = mix(*sum, event);
            return false;
        }
    }
}

static uint64_t read_all(const char *type, const uint8_t *data, size_t n_bytes, size_t n_piece)
{
    MultipartRanges multipart;
    uint64_t sum = 0;
    if (multipart_ranges_init(&multipart, type) < 0)
        return 0;
    require(strlen(multipart.delimiter) == multipart.n_delimiter_bytes);
    for (size_t at = 0; at < n_bytes; at += n_piece)
        if (!read_piece(&multipart, data + at, MIN(n_piece, n_bytes - at), &sum))
            break;
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const uint8_t *end = n_bytes ? memchr(data, '\n', n_bytes) : NULL;
    char type[TYPE_MAX_BYTES + 1];
    size_t n_type = end ? (size_t)(end - data) : 0;
    if (!end || n_type > TYPE_MAX_BYTES)
        return -1;
    memcpy(type, data, n_type);
    type[n_type] = '\0';
    const uint8_t *body = end + 1;
    size_t n_body = n_bytes - n_type - 1;
    uint64_t sum = read_all(type, body, n_body, n_body ? n_body : 1);
    require(sum == read_all(type, body, n_body, 1));
    require(sum == read_all(type, body, n_body, 7));
    return 0;
}
