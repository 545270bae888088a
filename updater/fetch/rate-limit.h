/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bound on bytes per second, shared by all requests of a fetch: what may come fills up at that
 * rate, to a quarter of a second's worth, and may be overdrawn by one piece. Pure. */

#include <stdint.h>

typedef struct {
    uint64_t bytes_per_second; /* 0: no bound */
    double n_bytes;            /* that may come now; below 0 when overdrawn */
    uint64_t filled_usec;      /* when that was so */
} RateLimit;

/* now_usec: CLOCK_MONOTONIC. */
RateLimit rate_limit_of(uint64_t bytes_per_second, uint64_t now_usec);

/* Takes n_bytes and returns 0; or takes nothing and returns in how many microseconds the next piece
 * may come. */
uint64_t rate_limit_take(RateLimit *limit, uint64_t n_bytes, uint64_t now_usec);
