/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The public keys that payloads may be signed with, and the signatures they hold against.
 *
 * A signature blob is AOSP's `Signatures` message; any entry that verifies with any key is enough.
 * RSA of 2048 to 4096 bits: PKCS#1 v1.5 over the SHA-256 digest (RFC 8017 section 8.2). Ed25519
 * (RFC 8032): over the 32 bytes of the SHA-256 digest, so that a stream can be signed. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/update-error.h"

typedef struct KeyRing KeyRing;

/* Loads every *.pem of a folder (SubjectPublicKeyInfo, one or more in a file); blocks. A file that
 * is no usable key is an error that names it: a ring is never silently smaller than its folder. A
 * folder that is empty or missing gives an empty ring, with which nothing verifies (promise 6).
 * Names that begin with a dot are skipped. Nor is a key usable that everybody may write, or whose
 * folder everybody may. Errors: -EINVAL, -ENOMEM, errno. */
int key_ring_load(const char *folder_path, KeyRing **ret_ring, ErrorText *error);

/* Makes an empty ring. Errors: -ENOMEM. */
int key_ring_new(KeyRing **ret_ring);

/* Adds the keys of one file to a ring; blocks. After an error the ring is as it was or holds some
 * of the file's keys. Errors: -EINVAL when it is no usable key, -ENOMEM, errno. */
int key_ring_add_file(KeyRing *ring, const char *path, ErrorText *error);

/* Adds every key of a folder, as key_ring_load() does. */
int key_ring_add_folder(KeyRing *ring, const char *folder_path, ErrorText *error);

void key_ring_free(KeyRing *ring);
DEFINE_CLEANUP(KeyRing *, key_ring_free);
size_t key_ring_n_keys(const KeyRing *ring);

/* Holds one RSA signature in base64, as Omaha answers have it, against the digest. Returns as
 * key_ring_verify(). */
UpdateError key_ring_verify_base64(const KeyRing *ring, const Sha256 *digest, const char *text,
        UpdateError failure, ErrorText *error);

/* Holds a signature blob (borrowed) against the digest of what was signed. Returns UPDATE_OK or
 * `failure` (UPDATE_ERROR_METADATA_SIGNATURE or UPDATE_ERROR_SIGNATURE) with the reason: no key
 * installed, not parsable, no entry verifies. */
UpdateError key_ring_verify(const KeyRing *ring, const Sha256 *digest, const uint8_t *blob,
        size_t n_blob_bytes, UpdateError failure, ErrorText *error);
