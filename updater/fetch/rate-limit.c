/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/rate-limit.h"

#include "common/cleanup.h"
#include "common/clock.h"

static double most_bytes(const RateLimit *limit)
{
    return (double)limit->bytes_per_second / 4;
}

RateLimit rate_limit_of(uint64_t bytes_per_second, uint64_t now_usec)
{
    RateLimit limit = {.bytes_per_second = bytes_per_second, .filled_usec = now_usec};
    limit.n_bytes = most_bytes(&limit);
    return limit;
}

uint64_t rate_limit_take(RateLimit *limit, uint64_t n_bytes, uint64_t now_usec)
{
    if (limit->bytes_per_second == 0)
        return 0;
    double rate = (double)limit->bytes_per_second;
    double passed = (double)(now_usec - limit->filled_usec) / (double)USEC_PER_SEC;
    limit->filled_usec = now_usec;
    limit->n_bytes = MIN(limit->n_bytes + passed * rate, most_bytes(limit));
    if (limit->n_bytes < 0)
        return (uint64_t)(-limit->n_bytes / rate * (double)USEC_PER_SEC) + 1;
    limit->n_bytes -= (double)n_bytes;
    return 0;
}
