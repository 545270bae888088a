/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the time is, for those who pass it on: whoever computes with it takes it as now_usec. */

#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* The clock's time in microseconds. The clock is one that every kernel has; it cannot fail. */
uint64_t clock_now_usec(clockid_t clock);
