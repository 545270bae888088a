/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"

uint64_t clock_now_usec(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}
