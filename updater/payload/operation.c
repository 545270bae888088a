/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/operation.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "updater/payload/operation-decoder.h"

/* What the decoder gives is gathered in one page-aligned buffer and goes out when that is full or
 * the blob has ended. The extents say how much may come; what exceeds them by a byte ends the
 * operation before it is written, so that a blob which blows up costs one buffer. */
#define BUFFER_BYTES ((size_t)256 * 1024)

static_assert(BUFFER_BYTES % MANIFEST_BLOCK_BYTES == 0, "writes are multiples of a block");

/* Where the next decompressed byte goes. */
typedef struct {
    const Operation *operation;
    size_t i_extent;
    uint64_t n_done_bytes; /* of extent i */
    uint64_t n_left_bytes; /* of all extents */
    const OperationSink *sink;
} Place;

static UpdateError refuse_write(int r, uint64_t offset_bytes, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_WRITE,
            "the slot cannot be written at byte %" PRIu64 ": %s", offset_bytes, strerror(-r));
}

/* n_bytes is not more than what is left, and a multiple of a block. */
static UpdateError write_out(Place *place, const uint8_t *data, size_t n_bytes, ErrorText *error)
{
    while (n_bytes > 0) {
        const Extent *extent = &place->operation->dst_extents[place->i_extent];
        uint64_t n_extent_bytes = extent->n_blocks * MANIFEST_BLOCK_BYTES;
        size_t n = MIN(n_bytes, n_extent_bytes - place->n_done_bytes);
        uint64_t at_bytes = extent->start_block * MANIFEST_BLOCK_BYTES + place->n_done_bytes;
        bool is_hole = extent->start_block == EXTENT_HOLE;
        int r = is_hole ? 0 : place->sink->write(at_bytes, data, n, place->sink->userdata);
        if (r < 0)
            return refuse_write(r, at_bytes, error);
        data += n;
        n_bytes -= n;
        place->n_left_bytes -= n;
        place->n_done_bytes += n;
        if (place->n_done_bytes == n_extent_bytes) {
            place->i_extent++;
            place->n_done_bytes = 0;
        }
    }
    return UPDATE_OK;
}

static UpdateError refuse_blob(int r, ErrorText *error)
{
    if (r == -ENOMEM)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    return error_say(error, UPDATE_ERROR_OPERATION,
            "an operation's data cannot be decompressed: the payload was made wrong");
}

static UpdateError refuse_length(const Operation *operation, bool is_more, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_OPERATION,
            "an operation's data yields %s than the %" PRIu64
            " bytes that it must write: the payload was made wrong",
            is_more ? "more" : "less", operation->n_dst_bytes);
}

/* Fills buffer from the decoder; less than BUFFER_BYTES only at the end. */
static int fill(OperationDecoder *decoder, uint8_t *buffer, size_t *ret_n_bytes)
{
    size_t n_bytes = 0;
    while (n_bytes < BUFFER_BYTES) {
        size_t n;
        int r = operation_decoder_read(decoder, buffer + n_bytes, BUFFER_BYTES - n_bytes, &n);
        if (r < 0)
            return r;
        if (n == 0)
            break;
        n_bytes += n;
    }
    *ret_n_bytes = n_bytes;
    return 0;
}

/* The data of format 1 may end inside a block, which is filled up with zeros. The buffer has room:
 * its size is a multiple of a block. */
static size_t pad_block(uint8_t *buffer, size_t n_bytes)
{
    size_t n_pad = -n_bytes % MANIFEST_BLOCK_BYTES;
    memset(buffer + n_bytes, 0, n_pad);
    return n_bytes + n_pad;
}

static UpdateError decompress(
        Place *place, OperationDecoder *decoder, uint8_t *buffer, ErrorText *error)
{
    for (;;) {
        size_t n_bytes;
        int r = fill(decoder, buffer, &n_bytes);
        if (r < 0)
            return refuse_blob(r, error);
        if (n_bytes > place->n_left_bytes)
            return refuse_length(place->operation, true, error);
        bool is_end = n_bytes < BUFFER_BYTES;
        if (is_end && place->n_left_bytes - n_bytes > place->operation->n_short_bytes)
            return refuse_length(place->operation, false, error);
        UpdateError failure = write_out(place, buffer, pad_block(buffer, n_bytes), error);
        if (failure != UPDATE_OK || is_end)
            return failure;
    }
}

static bool is_page_aligned(const void *data)
{
    return (uintptr_t)data % MANIFEST_BLOCK_BYTES == 0;
}

static UpdateError replace(const Operation *operation, const uint8_t *blob,
        const OperationSink *sink, ErrorText *error)
{
    Place place = {
            .operation = operation,
            .n_left_bytes = operation->n_dst_bytes,
            .sink = sink,
    };
    if (operation->type == OPERATION_REPLACE && is_page_aligned(blob) &&
            operation->n_data_bytes == operation->n_dst_bytes)
        return write_out(&place, blob, (size_t)operation->n_data_bytes, error);

    _cleanup_free_ uint8_t *buffer = aligned_alloc(MANIFEST_BLOCK_BYTES, BUFFER_BYTES);
    if (!buffer)
        return refuse_blob(-ENOMEM, error);
    _cleanup_(operation_decoder_freep) OperationDecoder *decoder = NULL;
    int r = operation_decoder_new(operation->type, blob, (size_t)operation->n_data_bytes, &decoder);
    if (r < 0)
        return refuse_blob(r, error);
    return decompress(&place, decoder, buffer, error);
}

static UpdateError make_zero(
        const Operation *operation, const OperationSink *sink, ErrorText *error)
{
    for (size_t i = 0; i < operation->n_dst_extents; i++) {
        const Extent *extent = &operation->dst_extents[i];
        uint64_t at_bytes = extent->start_block * MANIFEST_BLOCK_BYTES;
        int r = sink->zero(at_bytes, extent->n_blocks * MANIFEST_BLOCK_BYTES, sink->userdata);
        if (r < 0)
            return refuse_write(r, at_bytes, error);
    }
    return UPDATE_OK;
}

UpdateError operation_check_blob(const Operation *operation, const uint8_t *blob, ErrorText *error)
{
    if (operation->n_data_bytes == 0)
        return UPDATE_OK;
    Sha256 digest = sha256_of(blob, (size_t)operation->n_data_bytes);
    if (sha256_equal(&digest, &operation->data_sha256))
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_OPERATION_HASH,
            "the payload is damaged in the %" PRIu64 " bytes from %" PRIu64
            " of its data: its hash is not the one in the manifest",
            operation->n_data_bytes, operation->data_offset_bytes);
}

UpdateError operation_apply(const Operation *operation, const uint8_t *blob,
        const OperationSource *source, const OperationSink *sink, ErrorText *error)
{
    (void)source;
    switch (operation->type) {
    case OPERATION_ZERO:
    case OPERATION_DISCARD:
        return make_zero(operation, sink, error);
    case OPERATION_REPLACE:
    case OPERATION_REPLACE_BZ:
    case OPERATION_REPLACE_XZ:
    case OPERATION_REPLACE_ZSTD:
        break;
    case OPERATION_MOVE:
    case OPERATION_BSDIFF:
    case OPERATION_SOURCE_COPY:
    case OPERATION_SOURCE_BSDIFF:
        return error_say(error, UPDATE_ERROR_OPERATION, "delta payloads are not supported yet");
    }
    UpdateError failure = operation_check_blob(operation, blob, error);
    return failure == UPDATE_OK ? replace(operation, blob, sink, error) : failure;
}
