/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A private key that signs payloads: RSA of 2048 to 4096 bits or Ed25519, in PEM without a
 * passphrase. What it signs verifies with key_ring_verify(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"

typedef struct SigningKey SigningKey;

/* Reads a key file; blocks.
 * Errors: -EINVAL when it is no usable private key, -ENOMEM, errno. */
int signing_key_load(const char *path, SigningKey **ret_key, ErrorText *error);
void signing_key_free(SigningKey *key);
DEFINE_CLEANUP(SigningKey *, signing_key_free);

/* Whether it is an RSA key. */
bool signing_key_is_rsa(const SigningKey *key);

/* The length of its signatures, at most SIGNATURE_MAX_BYTES. */
size_t signing_key_signature_bytes(const SigningKey *key);

/* Writes signing_key_signature_bytes() to ret_signature. Errors: -EIO when OpenSSL fails. */
int signing_key_sign(const SigningKey *key, const Sha256 *digest, uint8_t *ret_signature);
