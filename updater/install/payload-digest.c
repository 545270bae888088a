/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/payload-digest.h"

#include <errno.h>
#include <stdlib.h>

struct PayloadDigest {
    Sha256Stream *signed_stream;
    Sha256Stream *file_stream; /* NULL: not asked for */
};

int payload_digest_new(bool wants_file, PayloadDigest **ret_digest)
{
    _cleanup_(payload_digest_freep) PayloadDigest *digest = calloc(1, sizeof(*digest));
    if (!digest)
        return -ENOMEM;
    int r = sha256_stream_new(&digest->signed_stream);
    if (r == 0 && wants_file)
        r = sha256_stream_new(&digest->file_stream);
    if (r < 0)
        return r;
    *ret_digest = TAKE_PTR(digest);
    return 0;
}

void payload_digest_free(PayloadDigest *digest)
{
    if (!digest)
        return;
    sha256_stream_free(digest->signed_stream);
    sha256_stream_free(digest->file_stream);
    free(digest);
}

void payload_digest_add_metadata(
        PayloadDigest *digest, const uint8_t *data, size_t n_signed_bytes, size_t n_bytes)
{
    sha256_stream_add(digest->signed_stream, data, n_signed_bytes);
    if (digest->file_stream)
        sha256_stream_add(digest->file_stream, data, n_bytes);
}

void payload_digest_add_blob(PayloadDigest *digest, const uint8_t *data, size_t n_bytes)
{
    sha256_stream_add(digest->signed_stream, data, n_bytes);
    if (digest->file_stream)
        sha256_stream_add(digest->file_stream, data, n_bytes);
}

void payload_digest_save(const PayloadDigest *digest, PayloadDigestState *ret_state)
{
    *ret_state = (PayloadDigestState){0};
    sha256_stream_save(digest->signed_stream, &ret_state->signed_state);
    if (digest->file_stream)
        sha256_stream_save(digest->file_stream, &ret_state->file_state);
}

void payload_digest_restore(PayloadDigest *digest, const PayloadDigestState *state)
{
    sha256_stream_restore(digest->signed_stream, &state->signed_state);
    if (digest->file_stream)
        sha256_stream_restore(digest->file_stream, &state->file_state);
}

void payload_digest_finish(PayloadDigest *digest, const uint8_t *signature,
        size_t n_signature_bytes, Sha256 *ret_signed, Sha256 *ret_file)
{
    sha256_stream_finish(digest->signed_stream, ret_signed);
    if (!digest->file_stream)
        return;
    sha256_stream_add(digest->file_stream, signature, n_signature_bytes);
    sha256_stream_finish(digest->file_stream, ret_file);
}
