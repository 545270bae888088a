/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two digests over a payload that is read from its first byte to its last: the one that the
 * payload signature covers (all but the metadata signature and itself), and the one of the whole
 * file, which an Omaha server tells. One thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sha256.h"

typedef struct PayloadDigest PayloadDigest;

/* wants_file: whether the digest of the whole file is asked for. Errors: -ENOMEM. */
int payload_digest_new(bool wants_file, PayloadDigest **ret_digest);
void payload_digest_free(PayloadDigest *digest);
DEFINE_CLEANUP(PayloadDigest *, payload_digest_free);

/* The metadata (borrowed), once and first: n_signed_bytes of header and manifest, then the
 * metadata signature up to n_bytes. */
void payload_digest_add_metadata(
        PayloadDigest *digest, const uint8_t *data, size_t n_signed_bytes, size_t n_bytes);

/* The next bytes of the blobs (borrowed). */
void payload_digest_add_blob(PayloadDigest *digest, const uint8_t *data, size_t n_bytes);

/* What both have come to, to be kept in a file (sha256.h). */
typedef struct __attribute__((packed)) {
    Sha256State signed_state;
    Sha256State file_state; /* zeros when not asked for */
} PayloadDigestState;

void payload_digest_save(const PayloadDigest *digest, PayloadDigestState *ret_state);

/* Goes on where one that wants the same was saved, in place of adding the metadata. */
void payload_digest_restore(PayloadDigest *digest, const PayloadDigestState *state);

/* The payload signature (borrowed), last. *ret_file is set only when it was asked for. */
void payload_digest_finish(PayloadDigest *digest, const uint8_t *signature,
        size_t n_signature_bytes, Sha256 *ret_signed, Sha256 *ret_file);
