/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/operation.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "updater/payload/bspatch.h"
#include "updater/payload/frame-decoder.h"
#include "updater/payload/operation-decoder.h"
#include "updater/payload/source-reader.h"

/* What the decoder, the patch or the source gives is gathered in one page-aligned buffer and goes
 * out when that is full or they have ended. The extents say how much may come; what exceeds them by
 * a byte ends the operation before it is written, so that a blob which blows up costs one buffer.
 *
 * A source is read twice, once for its hash: what is wrong is never used, and memory is bounded.
 *
 * Frames that refer to what lies before them are decompressed one by one, each to its place in the
 * buffer, before which the end of what has gone out is kept. */
#define BUFFER_BYTES ((size_t)256 * 1024)

static_assert(BUFFER_BYTES % MANIFEST_BLOCK_BYTES == 0, "writes are multiples of a block");
static_assert(BUFFER_BYTES % MANIFEST_FRAME_MAX_BYTES == 0, "a frame lies in one buffer");
static_assert(BUFFER_BYTES >= MANIFEST_FRAME_PREFIX_MAX_BYTES, "what is kept is of one buffer");

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

/* Where new bytes come from. */
typedef struct {
    /* As operation_decoder_read(), but with an UpdateError and its reason. */
    UpdateError (*read)(void *object, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes,
            ErrorText *error);
    void *object;
    size_t n_history_bytes; /* of what it gave: so much of it lies before ret_data, or all of it */
} Supply;

/* Fills buffer; less than BUFFER_BYTES only at the end. */
static UpdateError fill(
        const Supply *supply, uint8_t *buffer, size_t *ret_n_bytes, ErrorText *error)
{
    size_t n_bytes = 0;
    while (n_bytes < BUFFER_BYTES) {
        size_t n;
        UpdateError failure =
                supply->read(supply->object, buffer + n_bytes, BUFFER_BYTES - n_bytes, &n, error);
        if (failure != UPDATE_OK)
            return failure;
        if (n == 0)
            break;
        n_bytes += n;
    }
    *ret_n_bytes = n_bytes;
    return UPDATE_OK;
}

/* The data of format 1 may end inside a block, which is filled up with zeros. The buffer has room:
 * its size is a multiple of a block. */
static size_t pad_block(uint8_t *buffer, size_t n_bytes)
{
    size_t n_pad = -n_bytes % MANIFEST_BLOCK_BYTES;
    memset(buffer + n_bytes, 0, n_pad);
    return n_bytes + n_pad;
}

static UpdateError write_all(Place *place, const Supply *supply, uint8_t *buffer, ErrorText *error)
{
    for (;;) {
        size_t n_bytes;
        UpdateError failure = fill(supply, buffer, &n_bytes, error);
        if (failure != UPDATE_OK)
            return failure;
        if (n_bytes > place->n_left_bytes)
            return refuse_length(place->operation, true, error);
        bool is_end = n_bytes < BUFFER_BYTES;
        if (is_end && place->n_left_bytes - n_bytes > place->operation->n_short_bytes)
            return refuse_length(place->operation, false, error);
        failure = write_out(place, buffer, pad_block(buffer, n_bytes), error);
        if (failure != UPDATE_OK || is_end)
            return failure;
        memcpy(buffer - supply->n_history_bytes, buffer + BUFFER_BYTES - supply->n_history_bytes,
                supply->n_history_bytes);
    }
}

/* All that the supply gives, to the operation's extents. */
static UpdateError write_supply(const Operation *operation, const Supply *supply,
        const OperationSink *sink, ErrorText *error)
{
    Place place = {
            .operation = operation,
            .n_left_bytes = operation->n_dst_bytes,
            .sink = sink,
    };
    _cleanup_free_ uint8_t *memory =
            aligned_alloc(MANIFEST_BLOCK_BYTES, supply->n_history_bytes + BUFFER_BYTES);
    if (!memory)
        return refuse_blob(-ENOMEM, error);
    return write_all(&place, supply, memory + supply->n_history_bytes, error);
}

static UpdateError read_decoder(
        void *object, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes, ErrorText *error)
{
    int r = operation_decoder_read(object, ret_data, n_room_bytes, ret_n_bytes);
    return r < 0 ? refuse_blob(r, error) : UPDATE_OK;
}

static bool is_page_aligned(const void *data)
{
    return (uintptr_t)data % MANIFEST_BLOCK_BYTES == 0;
}

static UpdateError replace(const Operation *operation, const uint8_t *blob,
        const OperationSink *sink, ErrorText *error)
{
    if (operation->type == OPERATION_REPLACE && is_page_aligned(blob) &&
            operation->n_data_bytes == operation->n_dst_bytes) {
        Place place = {
                .operation = operation,
                .n_left_bytes = operation->n_dst_bytes,
                .sink = sink,
        };
        return write_out(&place, blob, (size_t)operation->n_data_bytes, error);
    }
    _cleanup_(operation_decoder_freep) OperationDecoder *decoder = NULL;
    int r = operation_decoder_new(operation->type, blob, (size_t)operation->n_data_bytes, &decoder);
    if (r < 0)
        return refuse_blob(r, error);
    return write_supply(operation, &(Supply){read_decoder, decoder, 0}, sink, error);
}

/* Frames from the first to the last. */
typedef struct {
    FrameDecoder *decoder;
    const Operation *operation;
    size_t i_frame;
    const uint8_t *next; /* of the blob */
    uint64_t n_left_bytes;
    uint64_t at_bytes; /* of the target */
} FrameChain;

/* One frame. The room is a multiple of a frame's target until the last one. */
static UpdateError read_frame(
        void *object, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes, ErrorText *error)
{
    FrameChain *chain = object;
    const Operation *operation = chain->operation;
    *ret_n_bytes = 0;
    if (chain->i_frame == operation->n_frames)
        return chain->n_left_bytes == 0 ? UPDATE_OK : refuse_blob(-EBADMSG, error);
    size_t n_frame_bytes = operation->frame_bytes[chain->i_frame++];
    size_t n_bytes = (size_t)MIN(
            (uint64_t)operation->frame_target_bytes, operation->n_dst_bytes - chain->at_bytes);
    if (n_frame_bytes > chain->n_left_bytes || n_bytes == 0 || n_bytes > n_room_bytes)
        return refuse_blob(-EBADMSG, error);
    size_t n_prefix_bytes = (size_t)MIN((uint64_t)operation->frame_prefix_bytes, chain->at_bytes);
    int r = frame_decoder_take(
            chain->decoder, chain->next, n_frame_bytes, n_prefix_bytes, ret_data, n_bytes);
    if (r < 0)
        return refuse_blob(r, error);
    chain->next += n_frame_bytes;
    chain->n_left_bytes -= n_frame_bytes;
    chain->at_bytes += n_bytes;
    *ret_n_bytes = n_bytes;
    return UPDATE_OK;
}

static UpdateError replace_by_frames(const Operation *operation, const uint8_t *blob,
        const OperationSink *sink, ErrorText *error)
{
    assert(operation->frame_prefix_bytes <= MANIFEST_FRAME_PREFIX_MAX_BYTES &&
            operation->frame_prefix_bytes % MANIFEST_BLOCK_BYTES == 0);
    _cleanup_(frame_decoder_freep) FrameDecoder *decoder = NULL;
    int r = frame_decoder_new(&decoder);
    if (r < 0)
        return refuse_blob(r, error);
    FrameChain chain = {
            .decoder = decoder,
            .operation = operation,
            .next = blob,
            .n_left_bytes = operation->n_data_bytes,
    };
    const Supply supply = {read_frame, &chain, operation->frame_prefix_bytes};
    return write_supply(operation, &supply, sink, error);
}

static UpdateError refuse_source(int r, ErrorText *error)
{
    if (r == -ENOMEM)
        return refuse_blob(r, error);
    return error_say(error, UPDATE_ERROR_SOURCE,
            "what the delta begins with cannot be read: %s: install a full payload", strerror(-r));
}

/* Holds the source against its hash. */
static UpdateError open_source(const Operation *operation, const OperationSource *source,
        SourceReader **ret_reader, ErrorText *error)
{
    if (!source)
        return error_say(error, UPDATE_ERROR_SOURCE,
                "the payload is a delta, and there is nothing here that it could begin with");
    _cleanup_(source_reader_freep) SourceReader *reader = NULL;
    int r = source_reader_new(operation, source, &reader);
    Sha256 hash = operation->src_sha256;
    if (r == 0 && operation->has_src_sha256)
        r = source_reader_hash(reader, &hash);
    if (r < 0)
        return refuse_source(r, error);
    if (!sha256_equal(&hash, &operation->src_sha256))
        return error_say(error, UPDATE_ERROR_SOURCE,
                "what the delta begins with is damaged in the %" PRIu64 " bytes from block %" PRIu64
                ": its hash is not the one in the manifest: install a full payload",
                operation->n_src_bytes, operation->src_extents[0].start_block);
    *ret_reader = TAKE_PTR(reader);
    return UPDATE_OK;
}

/* A source that is read from its start to its end. */
typedef struct {
    SourceReader *reader;
    uint64_t at_bytes;
    uint64_t n_bytes;
} Copy;

static UpdateError read_copy(
        void *object, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes, ErrorText *error)
{
    Copy *copy = object;
    size_t n = (size_t)MIN((uint64_t)n_room_bytes, copy->n_bytes - copy->at_bytes);
    int r = source_reader_read(copy->reader, copy->at_bytes, ret_data, n);
    if (r < 0)
        return refuse_source(r, error);
    copy->at_bytes += n;
    *ret_n_bytes = n;
    return UPDATE_OK;
}

static UpdateError copy_source(const Operation *operation, const OperationSource *source,
        const OperationSink *sink, ErrorText *error)
{
    _cleanup_(source_reader_freep) SourceReader *reader = NULL;
    UpdateError failure = open_source(operation, source, &reader, error);
    if (failure != UPDATE_OK)
        return failure;
    Copy copy = {.reader = reader, .n_bytes = operation->n_src_bytes};
    return write_supply(operation, &(Supply){read_copy, &copy, 0}, sink, error);
}

static UpdateError refuse_patch(int r)
{
    switch (r) {
    case -EIO:
        return UPDATE_ERROR_SOURCE;
    case -ENOMEM:
        return UPDATE_ERROR_GENERIC;
    default:
        return UPDATE_ERROR_OPERATION;
    }
}

static int read_old(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    return source_reader_read(userdata, offset_bytes, ret_data, n_bytes);
}

static UpdateError read_patch(
        void *object, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes, ErrorText *error)
{
    int r = bspatch_read(object, ret_data, n_room_bytes, ret_n_bytes, error);
    return r < 0 ? refuse_patch(r) : UPDATE_OK;
}

static UpdateError patch_source(const Operation *operation, const uint8_t *blob,
        const OperationSource *source, const OperationSink *sink, ErrorText *error)
{
    _cleanup_(source_reader_freep) SourceReader *reader = NULL;
    UpdateError failure = open_source(operation, source, &reader, error);
    if (failure != UPDATE_OK)
        return failure;
    const BspatchOld old = {operation->n_src_bytes, read_old, reader};
    _cleanup_(bspatch_freep) Bspatch *bspatch = NULL;
    int r = bspatch_new(
            blob, (size_t)operation->n_data_bytes, &old, operation->n_dst_bytes, &bspatch, error);
    if (r < 0)
        return refuse_patch(r);
    return write_supply(operation, &(Supply){read_patch, bspatch, 0}, sink, error);
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
    UpdateError failure = operation_check_blob(operation, blob, error);
    if (failure != UPDATE_OK)
        return failure;
    switch (operation->type) {
    case OPERATION_ZERO:
    case OPERATION_DISCARD:
        return make_zero(operation, sink, error);
    case OPERATION_REPLACE:
    case OPERATION_REPLACE_BZ:
    case OPERATION_REPLACE_XZ:
    case OPERATION_REPLACE_ZSTD:
        return replace(operation, blob, sink, error);
    case OPERATION_REPLACE_ZSTD_PREFIX:
        return replace_by_frames(operation, blob, sink, error);
    case OPERATION_SOURCE_COPY:
    case OPERATION_MOVE:
        return copy_source(operation, source, sink, error);
    case OPERATION_SOURCE_BSDIFF:
    case OPERATION_BSDIFF:
        return patch_source(operation, blob, source, sink, error);
    }
    return error_say(error, UPDATE_ERROR_OPERATION, "an operation of an unknown type");
}
