/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The address of a sector. A type of its own, never taken for a count or for bytes. */

#include <stdint.h>

typedef struct {
    uint64_t n; /* from 0, in sectors of the disk */
} Lba;

static inline Lba lba(uint64_t n)
{
    return (Lba){n};
}
