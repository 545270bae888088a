/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/small-sha256.h"

#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

#define BLOCK_BYTES 64
#define LENGTH_BYTES 8

/* The cube roots' fractions of the first 64 primes (FIPS 180-4 section 4.2.2). */
static const uint32_t constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
        0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
        0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
        0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
        0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
        0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
        0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
        0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_right(uint32_t n, unsigned bits)
{
    return n >> bits | n << (32 - bits);
}

/* Section 6.2.2, step 1. */
static void make_schedule(const uint8_t *block, uint32_t ret_words[static 64])
{
    for (size_t i = 0; i < 16; i++) {
        Be32 word;
        memcpy(&word, block + i * sizeof(word), sizeof(word));
        ret_words[i] = be32_get(word);
    }
    for (size_t i = 16; i < 64; i++) {
        uint32_t a = ret_words[i - 15], b = ret_words[i - 2];
        uint32_t s0 = rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3;
        uint32_t s1 = rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10;
        ret_words[i] = ret_words[i - 16] + s0 + ret_words[i - 7] + s1;
    }
}

/* Steps 2 to 4, with the standard's names. */
static void add_block(uint32_t state[static 8], const uint8_t *block)
{
    uint32_t words[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    make_schedule(block, words);
    for (size_t i = 0; i < 64; i++) {
        uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + constants[i] + words[i];
        uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    const uint32_t added[8] = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; i++)
        state[i] += added[i];
}

Sha256 small_sha256(const void *data, size_t n_bytes)
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
            0x1f83d9ab, 0x5be0cd19};
    const uint8_t *at = data;
    size_t n_left = n_bytes;
    for (; n_left >= BLOCK_BYTES; n_left -= BLOCK_BYTES, at += BLOCK_BYTES)
        add_block(state, at);

    /* Section 5.1.1: a bit, zeros, and the length in bits at the end of a block. */
    uint8_t last[2 * BLOCK_BYTES] = {0};
    size_t n_last = n_left + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    Be64 n_bits = be64((uint64_t)n_bytes * 8);
    if (n_left > 0)
        memcpy(last, at, n_left);
    last[n_left] = 0x80;
    memcpy(last + n_last - LENGTH_BYTES, &n_bits, LENGTH_BYTES);
    for (size_t i = 0; i < n_last; i += BLOCK_BYTES)
        add_block(state, last + i);

    Sha256 digest;
    for (size_t i = 0; i < 8; i++) {
        Be32 word = be32(state[i]);
        memcpy(digest.bytes + i * sizeof(word), &word, sizeof(word));
    }
    return digest;
}
