/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The Range header of one GET (RFC 9110, 14.2). Pure. */

#include <stdint.h>

typedef enum {
    BYTE_RANGE_WHOLE,         /* no header, another unit, or several ranges: answer 200 */
    BYTE_RANGE_ONE,           /* answer 206 */
    BYTE_RANGE_UNSATISFIABLE, /* answer 416 */
    BYTE_RANGE_MALFORMED,     /* answer 400 */
} ByteRange;

/* Reads header (borrowed; NULL: none) for a file of size_bytes. *ret_first and *ret_last, both
 * inside the file, are set with BYTE_RANGE_ONE only. */
ByteRange byte_range_parse(
        const char *header, uint64_t size_bytes, uint64_t *ret_first, uint64_t *ret_last);
