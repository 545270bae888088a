/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The decompression of one operation's blob, in pieces whose size the caller chooses. What a blob
 * can make it allocate is bounded: zstd windows of 1 MiB, 16 MiB for xz, bzip2's 4 MiB. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "updater/payload/manifest.h"

typedef struct OperationDecoder OperationDecoder;

/* Makes a decoder for a REPLACE type but REPLACE_ZSTD_PREFIX, whose frames are decoded one by one
 * (updater/payload/frame-decoder.h); blob is borrowed for its life.
 * Errors: -EINVAL for another type, -ENOMEM. */
int operation_decoder_new(OperationType type, const uint8_t *blob, size_t n_blob_bytes,
        OperationDecoder **ret_decoder);
void operation_decoder_free(OperationDecoder *decoder);
DEFINE_CLEANUP(OperationDecoder *, operation_decoder_free);

/* Writes at most n_room_bytes (not 0) to ret_data; *ret_n_bytes is 0 only at the end, when the
 * blob was used up exactly.
 * Errors: -EBADMSG when the blob is damaged, cut, followed by something else, or wants more memory
 * than is allowed; -ENOMEM. */
int operation_decoder_read(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes);
