/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One bit for each of many things, eight to a byte. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* n_bits of false; freed with free(). NULL: not enough memory. */
static inline uint8_t *bits_new(uint64_t n_bits)
{
    return calloc((size_t)(n_bits / 8 + 1), 1);
}
static inline bool bits_get(const uint8_t *bits, uint64_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}
static inline void bits_put(uint8_t *bits, uint64_t i, bool value)
{
    uint8_t bit = (uint8_t)(1u << (i % 8));
    bits[i / 8] = (uint8_t)(value ? bits[i / 8] | bit : bits[i / 8] & ~bit);
}
