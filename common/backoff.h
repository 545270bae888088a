/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Waiting times that spread a fleet: pure functions; the random number is the caller's. */

#include <stdint.h>

/* base doubled n_failures - 1 times (n_failures 0 gives 0), at most max. */
uint64_t backoff_usec(unsigned n_failures, uint64_t base_usec, uint64_t max_usec);

/* wait moved uniformly within +- spread by random; never below 0. */
uint64_t backoff_jitter_usec(uint64_t wait_usec, uint64_t spread_usec, uint64_t random);
