/* SPDX-License-Identifier: Apache-2.0 */
#include "common/backoff.h"

#include "common/cleanup.h"

uint64_t backoff_usec(unsigned n_failures, uint64_t base_usec, uint64_t max_usec)
{
    if (n_failures == 0)
        return 0;
    unsigned n_doublings = n_failures - 1;
    if (n_doublings >= 63 || base_usec > max_usec >> n_doublings)
        return max_usec;
    return base_usec << n_doublings;
}

uint64_t backoff_jitter_usec(uint64_t wait_usec, uint64_t spread_usec, uint64_t random)
{
    uint64_t down = MIN(spread_usec, wait_usec);
    uint64_t offset = random % (down + spread_usec + 1);
    return wait_usec - down + offset;
}
