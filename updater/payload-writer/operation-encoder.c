/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/operation-encoder.h"

#include <assert.h>
#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <zstd.h>

#define BZIP2_BLOCK_SIZE 9 /* of 100 kB */

/* What the client's decoder allows for: a dictionary as long as an operation. */
#define XZ_DICTIONARY_BYTES (1 << 20)

static_assert(OPERATION_ENCODER_ROOM_BYTES >=
                      OPERATION_ENCODER_MAX_BYTES + ZSTD_COMPRESSBOUND(MANIFEST_FRAME_MAX_BYTES),
        "compression is given up beyond the target, after a frame more");

struct OperationEncoder {
    ZSTD_CCtx *zstd;
    EncodeFrames frames;
    uint8_t *other; /* OPERATION_ENCODER_MAX_BYTES: a second try */
};

int operation_encoder_new(const EncodeFrames *frames, OperationEncoder **ret_encoder)
{
    _cleanup_(operation_encoder_freep) OperationEncoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return -ENOMEM;
    encoder->frames = *frames;
    encoder->zstd = ZSTD_createCCtx();
    encoder->other = malloc(OPERATION_ENCODER_MAX_BYTES);
    if (!encoder->zstd || !encoder->other)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, frames->level);
    *ret_encoder = TAKE_PTR(encoder);
    return 0;
}

void operation_encoder_free(OperationEncoder *encoder)
{
    if (!encoder)
        return;
    ZSTD_freeCCtx(encoder->zstd);
    free(encoder->other);
    free(encoder);
}

/* The two below return 1 when the blob is smaller, 0 when it would not be, or -ENOMEM. */

static int try_bzip2(const uint8_t *data, size_t n_bytes, uint8_t *ret_blob, Operation *operation)
{
    unsigned n_blob = (unsigned)n_bytes;
    int bz = BZ2_bzBuffToBuffCompress((char *)ret_blob, &n_blob, (char *)(uintptr_t)data,
            (unsigned)n_bytes, BZIP2_BLOCK_SIZE, 0, 0);
    if (bz == BZ_MEM_ERROR)
        return -ENOMEM;
    if (bz != BZ_OK || n_blob >= n_bytes)
        return 0;
    operation->type = OPERATION_REPLACE_BZ;
    operation->n_data_bytes = n_blob;
    return 1;
}

/* The frame that lies at_bytes in the data. Returns its length, or an error of zstd's. */
static size_t make_frame(OperationEncoder *encoder, const uint8_t *data, size_t at_bytes,
        size_t n_bytes, uint8_t *ret_frame, size_t n_room_bytes)
{
    size_t n_prefix = MIN(encoder->frames.prefix_bytes, at_bytes);
    size_t n = 0;
    if (n_prefix > 0) /* for the next frame only; content, whatever it begins with */
        n = ZSTD_CCtx_refPrefix(encoder->zstd, data + at_bytes - n_prefix, n_prefix);
    if (ZSTD_isError(n))
        return n;
    return ZSTD_compress2(encoder->zstd, ret_frame, n_room_bytes, data + at_bytes, n_bytes);
}

static void describe_frames(const OperationEncoder *encoder, size_t n_frames, uint32_t *frame_bytes,
        Operation *operation)
{
    operation->frame_bytes = frame_bytes;
    operation->n_frames = n_frames;
    operation->type = OPERATION_REPLACE_ZSTD;
    if (encoder->frames.prefix_bytes == 0 || n_frames == 1)
        return;
    operation->type = OPERATION_REPLACE_ZSTD_PREFIX;
    operation->frame_target_bytes = (uint32_t)encoder->frames.target_bytes;
    operation->frame_prefix_bytes = (uint32_t)encoder->frames.prefix_bytes;
}

/* Frame by frame. */
static int try_zstd(OperationEncoder *encoder, const uint8_t *data, size_t n_bytes,
        uint8_t *ret_blob, uint32_t *ret_frame_bytes, Operation *operation)
{
    size_t n_blob = 0;
    size_t n_frames = 0;
    for (size_t at = 0; at < n_bytes; at += encoder->frames.target_bytes) {
        size_t n = make_frame(encoder, data, at, MIN(encoder->frames.target_bytes, n_bytes - at),
                ret_blob + n_blob, OPERATION_ENCODER_ROOM_BYTES - n_blob);
        if (ZSTD_isError(n))
            return -ENOMEM;
        ret_frame_bytes[n_frames++] = (uint32_t)n;
        n_blob += n;
        if (n_blob >= n_bytes)
            return 0;
    }
    operation->n_data_bytes = n_blob;
    describe_frames(encoder, n_frames, ret_frame_bytes, operation);
    return 1;
}

int operation_encode(OperationEncoder *encoder, EncodeWay way, const uint8_t *data, size_t n_bytes,
        uint8_t *ret_blob, uint32_t *ret_frame_bytes, Operation *operation)
{
    int r = way == ENCODE_BZIP2
                    ? try_bzip2(data, n_bytes, ret_blob, operation)
                    : try_zstd(encoder, data, n_bytes, ret_blob, ret_frame_bytes, operation);
    if (r == 0) {
        operation->type = OPERATION_REPLACE;
        operation->n_data_bytes = n_bytes;
        memcpy(ret_blob, data, n_bytes);
    }
    return MIN(r, 0);
}

int operation_encode_smaller(OperationEncoder *encoder, const uint8_t *data, size_t n_bytes,
        uint8_t *blob, Operation *operation)
{
    lzma_options_lzma options;
    if (lzma_lzma_preset(&options, LZMA_PRESET_DEFAULT))
        return 0;
    options.dict_size = XZ_DICTIONARY_BYTES;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t n_blob = 0;
    lzma_ret code = lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, data, n_bytes,
            encoder->other, &n_blob, (size_t)operation->n_data_bytes);
    if (code == LZMA_MEM_ERROR)
        return -ENOMEM;
    if (code != LZMA_OK || n_blob >= operation->n_data_bytes)
        return 0;
    memcpy(blob, encoder->other, n_blob);
    operation->type = OPERATION_REPLACE_XZ;
    operation->n_data_bytes = n_blob;
    operation->frame_bytes = NULL;
    operation->n_frames = 0;
    operation->frame_target_bytes = operation->frame_prefix_bytes = 0;
    return 0;
}
