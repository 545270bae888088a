/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A random number for those who pass it on, to jitter and spreads. Not for secrets: early in a boot
 * it may be no better than the clock. */

#include <stdint.h>

uint64_t random_uint64(void);
