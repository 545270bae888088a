/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 (FIPS 180-4) on OpenSSL, which picks the processor's instructions where it has them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/cleanup.h"

#define SHA256_BYTES 32
#define SHA256_HEX_CHARS 64
#define SHA256_BLOCK_BYTES 64

typedef struct {
    uint8_t bytes[SHA256_BYTES];
} Sha256;

/* A running hash. One thread at a time. */
typedef struct Sha256Stream Sha256Stream;

/* Makes a stream at its start. Errors: -ENOMEM. */
int sha256_stream_new(Sha256Stream **ret_stream);
void sha256_stream_free(Sha256Stream *stream);
DEFINE_CLEANUP(Sha256Stream *, sha256_stream_free);

/* Puts the stream back to its start. */
void sha256_stream_reset(Sha256Stream *stream);

/* Adds n bytes at data (borrowed). */
void sha256_stream_add(Sha256Stream *stream, const void *data, size_t n_bytes);

/* Sets *ret_digest; the stream must be reset (or freed) afterwards. */
void sha256_stream_finish(Sha256Stream *stream, Sha256 *ret_digest);

/* What a stream has come to, little-endian, to be kept in a file; what it holds is no secret. */
typedef struct __attribute__((packed)) {
    Le32 words[8];                       /* FIPS 180-4's H */
    Le64 n_bytes;                        /* that were added */
    uint8_t pending[SHA256_BLOCK_BYTES]; /* of them: what fills no block yet; the rest is zero */
} Sha256State;

void sha256_stream_save(const Sha256Stream *stream, Sha256State *ret_state);

/* Goes on where a stream was saved. Any state will do, as far as memory goes. */
void sha256_stream_restore(Sha256Stream *stream, const Sha256State *state);

/* The digest of n bytes at data (borrowed); cannot fail. */
Sha256 sha256_of(const void *data, size_t n_bytes);

/* Whether both are equal, in constant time. */
bool sha256_equal(const Sha256 *a, const Sha256 *b);

/* Writes 64 lower-case hexadecimal digits and a NUL. */
void sha256_to_hex(const Sha256 *digest, char ret_hex[static SHA256_HEX_CHARS + 1]);

/* Reads exactly 64 hexadecimal digits of either case. Errors: -EINVAL. */
int sha256_from_hex(const char *hex, Sha256 *ret_digest);
