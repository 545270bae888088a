/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fixed start of a CrAU payload, in both formats (2: AOSP update_engine's payload_metadata;
 * 1: CoreOS's and Flatcar's):
 *
 *     "CrAU" | u64 BE format | u64 BE manifest size | u32 BE metadata signature size (format 2) |
 *     manifest | metadata signature (format 2) | blobs ... (the last of them: payload signature)
 *
 * The metadata signature covers header and manifest. This header and the lengths in it are all that
 * is looked at before that signature holds (promise 5). Format 1 has none: there the bound on the
 * manifest is tighter. */

#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "updater/update-error.h"

#define PAYLOAD_HEADER_BYTES 24 /* as many are looked at in either format */
#define PAYLOAD_MANIFEST_MAX_BYTES (UINT64_C(64) << 20)
#define PAYLOAD_MANIFEST_V1_MAX_BYTES (UINT64_C(8) << 20)
#define PAYLOAD_METADATA_SIGNATURE_MAX_BYTES (UINT32_C(64) << 10)

typedef struct {
    unsigned format;       /* 1 or 2 */
    size_t n_header_bytes; /* where the manifest begins: 20 or 24 */
    uint64_t n_manifest_bytes;
    uint32_t n_metadata_signature_bytes; /* 0 in format 1, and only there */
    uint64_t n_signed_bytes;   /* header and manifest: what the metadata signature covers */
    uint64_t n_metadata_bytes; /* where the blobs begin in the file; PAYLOAD_HEADER_BYTES or more */
} PayloadHeader;

/* Reads PAYLOAD_HEADER_BYTES at data (borrowed). Returns UPDATE_OK, UPDATE_ERROR_MAGIC,
 * UPDATE_ERROR_VERSION_REFUSED, UPDATE_ERROR_METADATA_SIZE or UPDATE_ERROR_NO_SIGNATURE. */
UpdateError payload_header_parse(const uint8_t *data, PayloadHeader *ret_header, ErrorText *error);

/* Writes the header of a format, n_header_bytes or fewer than PAYLOAD_HEADER_BYTES; returns how
 * many. n_metadata_signature_bytes is not in format 1. */
size_t payload_header_write(unsigned format, uint64_t n_manifest_bytes,
        uint32_t n_metadata_signature_bytes, uint8_t ret_data[static PAYLOAD_HEADER_BYTES]);
