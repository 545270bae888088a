/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A number of bytes as a person reads it. */

#include <stdint.h>

typedef struct {
    char text[16];
} ByteCountText;

/* "999 B", "1.0 kB", "35.2 MB", "1.1 GB": three digits or so, powers of 1000. */
ByteCountText byte_count_text(uint64_t n_bytes);
