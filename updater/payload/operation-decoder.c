/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/operation-decoder.h"

#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <zstd.h>

/* One interface over three libraries and none. Each turn hands the library all that is left of the
 * blob and the room; a turn that neither takes nor gives anything before the stream's end means
 * that the blob was cut. */
#define ZSTD_WINDOW_LOG_MAX 20
#define XZ_MEMORY_MAX_BYTES (UINT64_C(16) << 20)

struct OperationDecoder {
    OperationType type;
    const uint8_t *next; /* of the blob */
    size_t n_left_bytes;
    bool is_at_end; /* of a stream */
    ZSTD_DCtx *zstd;
    bz_stream bzip2;
    bool has_bzip2;
    lzma_stream xz;
};

static int start(OperationDecoder *decoder)
{
    switch (decoder->type) {
    case OPERATION_REPLACE:
        return 0;
    case OPERATION_REPLACE_BZ:
        decoder->has_bzip2 = BZ2_bzDecompressInit(&decoder->bzip2, 0, 0) == BZ_OK;
        return decoder->has_bzip2 ? 0 : -ENOMEM;
    case OPERATION_REPLACE_XZ:
        return lzma_stream_decoder(&decoder->xz, XZ_MEMORY_MAX_BYTES, 0) == LZMA_OK ? 0 : -ENOMEM;
    case OPERATION_REPLACE_ZSTD:
        decoder->zstd = ZSTD_createDCtx();
        if (!decoder->zstd)
            return -ENOMEM;
        ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        return 0;
    case OPERATION_REPLACE_ZSTD_PREFIX:
    case OPERATION_MOVE:
    case OPERATION_BSDIFF:
    case OPERATION_SOURCE_COPY:
    case OPERATION_SOURCE_BSDIFF:
    case OPERATION_ZERO:
    case OPERATION_DISCARD:
        return -EINVAL;
    }
    return -EINVAL;
}

int operation_decoder_new(OperationType type, const uint8_t *blob, size_t n_blob_bytes,
        OperationDecoder **ret_decoder)
{
    _cleanup_(operation_decoder_freep) OperationDecoder *decoder = malloc(sizeof(*decoder));
    if (!decoder)
        return -ENOMEM;
    *decoder = (OperationDecoder){
            .type = type,
            .next = blob,
            .n_left_bytes = n_blob_bytes,
            .xz = LZMA_STREAM_INIT,
    };
    int r = start(decoder);
    if (r < 0)
        return r;
    *ret_decoder = TAKE_PTR(decoder);
    return 0;
}

void operation_decoder_free(OperationDecoder *decoder)
{
    if (!decoder)
        return;
    ZSTD_freeDCtx(decoder->zstd);
    if (decoder->has_bzip2)
        BZ2_bzDecompressEnd(&decoder->bzip2);
    lzma_end(&decoder->xz);
    free(decoder);
}

static void take_input(OperationDecoder *decoder, size_t n_bytes)
{
    decoder->next += n_bytes;
    decoder->n_left_bytes -= n_bytes;
}

static int turn_plain(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes)
{
    size_t n = MIN(n_room_bytes, decoder->n_left_bytes);
    if (n > 0)
        memcpy(ret_data, decoder->next, n);
    take_input(decoder, n);
    decoder->is_at_end = decoder->n_left_bytes == 0;
    *ret_n_bytes = n;
    return 0;
}

static int turn_bzip2(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes)
{
    bz_stream *stream = &decoder->bzip2;
    stream->next_in = (char *)decoder->next; /* only read */
    stream->avail_in = (unsigned)decoder->n_left_bytes;
    stream->next_out = (char *)ret_data;
    stream->avail_out = (unsigned)n_room_bytes;
    int code = BZ2_bzDecompress(stream);
    if (code == BZ_MEM_ERROR)
        return -ENOMEM;
    if (code != BZ_OK && code != BZ_STREAM_END)
        return -EBADMSG;
    take_input(decoder, decoder->n_left_bytes - stream->avail_in);
    decoder->is_at_end = code == BZ_STREAM_END;
    *ret_n_bytes = n_room_bytes - stream->avail_out;
    return 0;
}

static int turn_xz(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes)
{
    lzma_stream *stream = &decoder->xz;
    stream->next_in = decoder->next;
    stream->avail_in = decoder->n_left_bytes;
    stream->next_out = ret_data;
    stream->avail_out = n_room_bytes;
    lzma_ret code = lzma_code(stream, LZMA_RUN);
    if (code == LZMA_MEM_ERROR)
        return -ENOMEM;
    if (code != LZMA_OK && code != LZMA_STREAM_END && code != LZMA_BUF_ERROR)
        return -EBADMSG;
    take_input(decoder, decoder->n_left_bytes - stream->avail_in);
    decoder->is_at_end = code == LZMA_STREAM_END;
    *ret_n_bytes = n_room_bytes - stream->avail_out;
    return 0;
}

/* At a frame's end with input left the next frame begins: the chain is one stream. */
static int turn_zstd(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes)
{
    ZSTD_inBuffer in = {decoder->next, decoder->n_left_bytes, 0};
    ZSTD_outBuffer out = {ret_data, n_room_bytes, 0};
    size_t hint;
    do {
        hint = ZSTD_decompressStream(decoder->zstd, &out, &in);
        if (ZSTD_isError(hint))
            return -EBADMSG;
    } while (hint == 0 && in.pos < in.size && out.pos < out.size);
    take_input(decoder, in.pos);
    decoder->is_at_end = hint == 0 && decoder->n_left_bytes == 0;
    *ret_n_bytes = out.pos;
    return 0;
}

static int turn(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes)
{
    switch (decoder->type) {
    case OPERATION_REPLACE:
        return turn_plain(decoder, ret_data, n_room_bytes, ret_n_bytes);
    case OPERATION_REPLACE_BZ:
        return turn_bzip2(decoder, ret_data, n_room_bytes, ret_n_bytes);
    case OPERATION_REPLACE_XZ:
        return turn_xz(decoder, ret_data, n_room_bytes, ret_n_bytes);
    case OPERATION_REPLACE_ZSTD:
        return turn_zstd(decoder, ret_data, n_room_bytes, ret_n_bytes);
    case OPERATION_REPLACE_ZSTD_PREFIX:
    case OPERATION_MOVE:
    case OPERATION_BSDIFF:
    case OPERATION_SOURCE_COPY:
    case OPERATION_SOURCE_BSDIFF:
    case OPERATION_ZERO:
    case OPERATION_DISCARD:
        break;
    }
    return -EBADMSG;
}

int operation_decoder_read(
        OperationDecoder *decoder, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes)
{
    while (!decoder->is_at_end) {
        size_t n_before = decoder->n_left_bytes;
        size_t n = 0;
        int r = turn(decoder, ret_data, n_room_bytes, &n);
        if (r < 0)
            return r;
        if (n > 0) {
            *ret_n_bytes = n;
            return 0;
        }
        if (!decoder->is_at_end && decoder->n_left_bytes == n_before)
            return -EBADMSG;
    }
    if (decoder->n_left_bytes > 0)
        return -EBADMSG;
    *ret_n_bytes = 0;
    return 0;
}
