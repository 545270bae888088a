/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/source-reader.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"

/* A patch reads onwards in small pieces and jumps now and then, so the source is read by windows
 * that begin on a block: one read of the device serves many of the patch. */
#define WINDOW_BYTES ((size_t)128 * 1024)

struct SourceReader {
    const Operation *operation;
    const OperationSource *source;
    uint8_t *window;          /* WINDOW_BYTES, page-aligned */
    uint64_t window_at_bytes; /* of what the extents hold; a multiple of a block */
    size_t n_window_bytes;    /* 0: nothing was read */
};

int source_reader_new(
        const Operation *operation, const OperationSource *source, SourceReader **ret_reader)
{
    _cleanup_(source_reader_freep) SourceReader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->operation = operation;
    reader->source = source;
    reader->window = aligned_alloc(MANIFEST_BLOCK_BYTES, WINDOW_BYTES);
    if (!reader->window)
        return -ENOMEM;
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

void source_reader_free(SourceReader *reader)
{
    if (!reader)
        return;
    free(reader->window);
    free(reader);
}

/* n_bytes inside one extent. */
static int read_extent(const SourceReader *reader, const Extent *extent, uint64_t skip_bytes,
        uint8_t *ret_data, size_t n_bytes)
{
    if (extent->start_block == EXTENT_HOLE) {
        memset(ret_data, 0, n_bytes);
        return 0;
    }
    return reader->source->read(extent->start_block * MANIFEST_BLOCK_BYTES + skip_bytes, ret_data,
            n_bytes, reader->source->userdata);
}

/* Whole blocks, which the extents hold. */
static int read_blocks(
        const SourceReader *reader, uint64_t at_bytes, uint8_t *ret_data, size_t n_bytes)
{
    const Operation *operation = reader->operation;
    for (size_t i = 0; n_bytes > 0 && i < operation->n_src_extents; i++) {
        const Extent *extent = &operation->src_extents[i];
        uint64_t n_extent_bytes = extent->n_blocks * MANIFEST_BLOCK_BYTES;
        if (at_bytes >= n_extent_bytes) {
            at_bytes -= n_extent_bytes;
            continue;
        }
        size_t n = (size_t)MIN(n_bytes, n_extent_bytes - at_bytes);
        int r = read_extent(reader, extent, at_bytes, ret_data, n);
        if (r < 0)
            return r;
        ret_data += n;
        n_bytes -= n;
        at_bytes = 0;
    }
    return n_bytes == 0 ? 0 : -EINVAL;
}

/* Makes the window hold this byte. */
static int move_window(SourceReader *reader, uint64_t offset_bytes)
{
    if (offset_bytes >= reader->window_at_bytes &&
            offset_bytes - reader->window_at_bytes < reader->n_window_bytes)
        return 0;
    uint64_t at_bytes = offset_bytes - offset_bytes % MANIFEST_BLOCK_BYTES;
    size_t n = (size_t)MIN(reader->operation->n_src_bytes - at_bytes, (uint64_t)WINDOW_BYTES);
    reader->n_window_bytes = 0;
    /* The last block is read whole, as sources want it. */
    size_t n_block_bytes = (size_t)u64_div_round_up(n, MANIFEST_BLOCK_BYTES) * MANIFEST_BLOCK_BYTES;
    int r = read_blocks(reader, at_bytes, reader->window, n_block_bytes);
    if (r < 0)
        return r;
    reader->window_at_bytes = at_bytes;
    reader->n_window_bytes = n;
    return 0;
}

int source_reader_read(
        SourceReader *reader, uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes)
{
    uint64_t n_all_bytes = reader->operation->n_src_bytes;
    if (offset_bytes > n_all_bytes || n_bytes > n_all_bytes - offset_bytes)
        return -EINVAL;
    while (n_bytes > 0) {
        int r = move_window(reader, offset_bytes);
        if (r < 0)
            return r;
        size_t skip = (size_t)(offset_bytes - reader->window_at_bytes);
        size_t n = MIN(n_bytes, reader->n_window_bytes - skip);
        memcpy(ret_data, reader->window + skip, n);
        ret_data += n;
        offset_bytes += n;
        n_bytes -= n;
    }
    return 0;
}

int source_reader_hash(SourceReader *reader, Sha256 *ret_hash)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    int r = sha256_stream_new(&stream);
    if (r < 0)
        return r;
    for (uint64_t at = 0; at < reader->operation->n_src_bytes;) {
        r = move_window(reader, at);
        if (r < 0)
            return r;
        size_t skip = (size_t)(at - reader->window_at_bytes);
        sha256_stream_add(stream, reader->window + skip, reader->n_window_bytes - skip);
        at += reader->n_window_bytes - skip;
    }
    sha256_stream_finish(stream, ret_hash);
    return 0;
}
