/* SPDX-License-Identifier: Apache-2.0 */
#include "common/random.h"

#include <sys/random.h>

#include "common/clock.h"

uint64_t random_uint64(void)
{
    uint64_t random;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = clock_now_usec(CLOCK_MONOTONIC) * UINT64_C(0x9e3779b97f4a7c15);
    return random;
}
