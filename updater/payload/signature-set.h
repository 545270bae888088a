/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A signature blob of a payload: AOSP's `Signatures` message, whose size is fixed before anything
 * is signed. An entry that is not signed yet is zeros, as long as its signature will be. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define SIGNATURE_SET_ENTRIES_MAX 16
#define SIGNATURE_SET_MAX_BYTES (64 * 1024)
#define SIGNATURE_MAX_BYTES 512 /* RSA of 4096 bits */

typedef struct SignatureSet SignatureSet;

typedef struct {
    const uint8_t *data; /* inside the set */
    size_t n_bytes;
} Signature;

/* Makes a set without entries. Errors: -ENOMEM. */
int signature_set_new(SignatureSet **ret_set);

/* Reads a blob (borrowed). Errors: -EINVAL when it is no such message or has an entry longer than
 * SIGNATURE_MAX_BYTES, -E2BIG when there are more than SIGNATURE_SET_ENTRIES_MAX, -ENOMEM. */
int signature_set_parse(const uint8_t *blob, size_t n_bytes, SignatureSet **ret_set);
void signature_set_free(SignatureSet *set);
DEFINE_CLEANUP(SignatureSet *, signature_set_free);

/* The entries, in the order of the blob; i below their number. */
size_t signature_set_n_entries(const SignatureSet *set);
Signature signature_set_get(const SignatureSet *set, size_t i);

/* Whether entry i still waits for its signature. */
bool signature_set_is_open(const SignatureSet *set, size_t i);

/* Adds an entry of n_bytes zeros, to be filled later.
 * Errors: -EINVAL for 0 or more than SIGNATURE_MAX_BYTES, -E2BIG when the set is full. */
int signature_set_add_open(SignatureSet *set, size_t n_bytes);

/* Gives the entries the versions that clients of format 1 look for: the last one 2, before it 1,
 * and 0 for the rest. The blob grows by that. */
void signature_set_number_entries(SignatureSet *set);

/* Puts a signature into the first open entry of its length.
 * Errors: -ENOENT when there is none. */
int signature_set_fill(SignatureSet *set, const uint8_t *signature, size_t n_bytes);

/* The size of the set's blob, which filling does not change. */
size_t signature_set_blob_bytes(const SignatureSet *set);

/* Writes signature_set_blob_bytes() to ret_blob. */
void signature_set_write(const SignatureSet *set, uint8_t *ret_blob);
