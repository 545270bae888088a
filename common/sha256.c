/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"

/* A stream has to be kept over a restart, which OpenSSL's EVP_MD cannot do: so it is of the older
 * interface, whose state is public and whose compression function is the same. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/hex.h"

struct Sha256Stream {
    SHA256_CTX context;
};

static_assert(sizeof(((SHA256_CTX *)0)->data) == SHA256_BLOCK_BYTES, "a block is gathered");
static_assert(ELEMENTS(((SHA256_CTX *)0)->h) == ELEMENTS(((Sha256State *)0)->words), "H");

int sha256_stream_new(Sha256Stream **ret_stream)
{
    Sha256Stream *stream = malloc(sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    sha256_stream_reset(stream);
    *ret_stream = stream;
    return 0;
}

void sha256_stream_free(Sha256Stream *stream)
{
    free(stream);
}

/* These three cannot fail. */

void sha256_stream_reset(Sha256Stream *stream)
{
    (void)SHA256_Init(&stream->context);
}

void sha256_stream_add(Sha256Stream *stream, const void *data, size_t n_bytes)
{
    (void)SHA256_Update(&stream->context, data, n_bytes);
}

void sha256_stream_finish(Sha256Stream *stream, Sha256 *ret_digest)
{
    (void)SHA256_Final(ret_digest->bytes, &stream->context);
}

void sha256_stream_save(const Sha256Stream *stream, Sha256State *ret_state)
{
    const SHA256_CTX *context = &stream->context;
    uint64_t n_bits = (uint64_t)context->Nh << 32 | context->Nl;
    *ret_state = (Sha256State){.n_bytes = le64(n_bits / 8)};
    for (size_t i = 0; i < ELEMENTS(context->h); i++)
        ret_state->words[i] = le32(context->h[i]);
    memcpy(ret_state->pending, context->data, context->num);
}

void sha256_stream_restore(Sha256Stream *stream, const Sha256State *state)
{
    SHA256_CTX *context = &stream->context;
    uint64_t n_bytes = le64_get(state->n_bytes), n_bits = n_bytes * 8;
    sha256_stream_reset(stream);
    for (size_t i = 0; i < ELEMENTS(context->h); i++)
        context->h[i] = le32_get(state->words[i]);
    context->Nl = (SHA_LONG)n_bits;
    context->Nh = (SHA_LONG)(n_bits >> 32);
    context->num = (unsigned)(n_bytes % SHA256_BLOCK_BYTES);
    memcpy(context->data, state->pending, context->num);
}

Sha256 sha256_of(const void *data, size_t n_bytes)
{
    Sha256 digest;
    int r = EVP_Digest(data, n_bytes, digest.bytes, NULL, EVP_sha256(), NULL);
    if (r != 1)
        abort(); /* out of memory in a call that has no way to say so */
    return digest;
}

bool sha256_equal(const Sha256 *a, const Sha256 *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, SHA256_BYTES) == 0;
}

void sha256_to_hex(const Sha256 *digest, char ret_hex[static SHA256_HEX_CHARS + 1])
{
    hex_encode(digest->bytes, SHA256_BYTES, ret_hex);
}

int sha256_from_hex(const char *hex, Sha256 *ret_digest)
{
    Sha256 digest;
    if (strlen(hex) != SHA256_HEX_CHARS || hex_decode(hex, digest.bytes, SHA256_BYTES) < 0)
        return -EINVAL;
    *ret_digest = digest;
    return 0;
}
