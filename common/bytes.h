/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* On-disk integers: little- and big-endian wrapper types that cannot be mixed up with native
 * integers, and arithmetic that says when it would overflow. */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct __attribute__((packed)) {
    uint16_t raw;
} Le16;
typedef struct __attribute__((packed)) {
    uint32_t raw;
} Le32;
typedef struct __attribute__((packed)) {
    uint64_t raw;
} Le64;
typedef struct __attribute__((packed)) {
    uint32_t raw;
} Be32;
typedef struct __attribute__((packed)) {
    uint64_t raw;
} Be64;

static inline uint16_t le16_get(Le16 v)
{
    return le16toh(v.raw);
}
static inline uint32_t le32_get(Le32 v)
{
    return le32toh(v.raw);
}
static inline uint64_t le64_get(Le64 v)
{
    return le64toh(v.raw);
}
static inline uint32_t be32_get(Be32 v)
{
    return be32toh(v.raw);
}
static inline uint64_t be64_get(Be64 v)
{
    return be64toh(v.raw);
}
static inline Le16 le16(uint16_t v)
{
    return (Le16){htole16(v)};
}
static inline Le32 le32(uint32_t v)
{
    return (Le32){htole32(v)};
}
static inline Le64 le64(uint64_t v)
{
    return (Le64){htole64(v)};
}
static inline Be32 be32(uint32_t v)
{
    return (Be32){htobe32(v)};
}
static inline Be64 be64(uint64_t v)
{
    return (Be64){htobe64(v)};
}

/* True when the sum (the product) fits; *ret_x is set only then. */
static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret_sum = sum;
    return true;
}
static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *ret_product)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret_product = product;
    return true;
}

/* The smallest count of units that covers n; unit is not zero. */
static inline uint64_t u64_div_round_up(uint64_t n, uint64_t unit)
{
    return n / unit + (n % unit != 0);
}

/* Whether every one of the n bytes at p is zero. */
static inline bool bytes_are_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    return n == 0 || (b[0] == 0 && memcmp(b, b + 1, n - 1) == 0);
}
