/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/hex.h"

/* Fetching the algorithm costs more than hashing a block, so a stream fetches it once and is then
 * reset and used again. OpenSSL's calls below fail only for lack of memory at the start or for a
 * misuse of the API: after a successful _new they are asserted. */
struct Sha256Stream {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

int sha256_stream_new(Sha256Stream **ret_stream)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    stream->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    stream->context = EVP_MD_CTX_new();
    if (!stream->algorithm || !stream->context ||
            EVP_DigestInit_ex2(stream->context, stream->algorithm, NULL) != 1)
        return -ENOMEM;
    *ret_stream = TAKE_PTR(stream);
    return 0;
}

void sha256_stream_free(Sha256Stream *stream)
{
    if (!stream)
        return;
    EVP_MD_CTX_free(stream->context);
    EVP_MD_free(stream->algorithm);
    free(stream);
}

void sha256_stream_reset(Sha256Stream *stream)
{
    int r = EVP_DigestInit_ex2(stream->context, stream->algorithm, NULL);
    assert(r == 1);
    (void)r;
}

void sha256_stream_add(Sha256Stream *stream, const void *data, size_t n_bytes)
{
    int r = EVP_DigestUpdate(stream->context, data, n_bytes);
    assert(r == 1);
    (void)r;
}

void sha256_stream_finish(Sha256Stream *stream, Sha256 *ret_digest)
{
    int r = EVP_DigestFinal_ex(stream->context, ret_digest->bytes, NULL);
    assert(r == 1);
    (void)r;
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
