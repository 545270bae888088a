/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The decompression of single zstd frames, each to the bytes of target that it must yield: of the
 * frames of REPLACE_ZSTD, and of REPLACE_ZSTD_PREFIX, which refer to what lies before them. A frame
 * goes from memory to memory, so what it can make the decoder allocate does not depend on it. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

typedef struct FrameDecoder FrameDecoder;

/* Errors: -ENOMEM. */
int frame_decoder_new(FrameDecoder **ret_decoder);
void frame_decoder_free(FrameDecoder *decoder);
DEFINE_CLEANUP(FrameDecoder *, frame_decoder_free);

/* Writes n_bytes to ret_data. The n_prefix_bytes (0: none) directly before ret_data are those to
 * which the frame may refer.
 * Errors: -EBADMSG when it is damaged or yields more or less, and ret_data holds anything; -ENOMEM.
 */
int frame_decoder_take(FrameDecoder *decoder, const uint8_t *frame, size_t n_frame_bytes,
        size_t n_prefix_bytes, uint8_t *ret_data, size_t n_bytes);
