/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/frame-decoder.h"

#include <errno.h>
#include <zstd.h>

/* A prefix is content and nothing else. As a dictionary, by ZSTD_decompress_usingDict(), one that
 * happens to begin with the four bytes of a trained dictionary would be read as such. */
struct FrameDecoder {
    ZSTD_DCtx *zstd;
};

int frame_decoder_new(FrameDecoder **ret_decoder)
{
    _cleanup_(frame_decoder_freep) FrameDecoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return -ENOMEM;
    decoder->zstd = ZSTD_createDCtx();
    if (!decoder->zstd)
        return -ENOMEM;
    *ret_decoder = TAKE_PTR(decoder);
    return 0;
}

void frame_decoder_free(FrameDecoder *decoder)
{
    if (!decoder)
        return;
    ZSTD_freeDCtx(decoder->zstd);
    free(decoder);
}

int frame_decoder_take(FrameDecoder *decoder, const uint8_t *frame, size_t n_frame_bytes,
        size_t n_prefix_bytes, uint8_t *ret_data, size_t n_bytes)
{
    size_t n = 0;
    if (n_prefix_bytes > 0) /* for this call alone, even if it fails */
        n = ZSTD_DCtx_refPrefix(decoder->zstd, ret_data - n_prefix_bytes, n_prefix_bytes);
    if (ZSTD_isError(n))
        return -ENOMEM;
    n = ZSTD_decompressDCtx(decoder->zstd, ret_data, n_bytes, frame, n_frame_bytes);
    return !ZSTD_isError(n) && n == n_bytes ? 0 : -EBADMSG;
}
