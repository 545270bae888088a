/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fixed start of a CrAU payload, major version 2 (AOSP update_engine payload_metadata):
 *
 *     "CrAU" | u64 BE major version | u64 BE manifest size | u32 BE metadata signature size |
 *     manifest | metadata signature | blobs ... (the last of them: the payload signature)
 *
 * The metadata signature covers [0, 24 + manifest size). This header and the lengths in it are all
 * that is looked at before that signature holds (promise 5). */

#include <stdint.h>

#include "common/error-text.h"
#include "updater/update-error.h"

#define PAYLOAD_HEADER_BYTES 24
#define PAYLOAD_MANIFEST_MAX_BYTES (UINT64_C(64) << 20)
#define PAYLOAD_METADATA_SIGNATURE_MAX_BYTES (UINT32_C(64) << 10)

typedef struct {
    uint64_t n_manifest_bytes;
    uint32_t n_metadata_signature_bytes; /* never 0 */
    uint64_t n_signed_bytes;             /* 24 + manifest: what the metadata signature covers */
    uint64_t n_metadata_bytes;           /* where the blobs begin in the file */
} PayloadHeader;

/* Reads PAYLOAD_HEADER_BYTES at data (borrowed). Returns UPDATE_OK, UPDATE_ERROR_MAGIC,
 * UPDATE_ERROR_VERSION_REFUSED, UPDATE_ERROR_METADATA_SIZE or UPDATE_ERROR_NO_SIGNATURE. */
UpdateError payload_header_parse(const uint8_t *data, PayloadHeader *ret_header, ErrorText *error);

/* Writes PAYLOAD_HEADER_BYTES. */
void payload_header_write(
        uint64_t n_manifest_bytes, uint32_t n_metadata_signature_bytes, uint8_t *ret_data);
