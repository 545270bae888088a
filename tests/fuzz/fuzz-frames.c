/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "updater/payload/operation.h"

#define BLOCKS_MAX 256
#define FRAMES_MAX 32

static uint64_t n_written_bytes;

static int on_write(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    static uint8_t target[BLOCKS_MAX * MANIFEST_BLOCK_BYTES];
    (void)userdata;
    if (offset_bytes != n_written_bytes || n_bytes > sizeof(target) - offset_bytes)
        abort();
    memcpy(target + offset_bytes, data, n_bytes);
    n_written_bytes += n_bytes;
    return 0;
}

static int on_zero(uint64_t offset_bytes, uint64_t n_bytes, void *userdata)
{
    (void)offset_bytes, (void)n_bytes, (void)userdata;
    abort();
}

/* An operation of frames that refer back, without the checks of its manifest: blocks to a frame (as
 * a power of 2), before a frame and in all, how many frames; the length of each in two bytes; and
 * the blob. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const OperationSink sink = {on_write, on_zero, NULL};
    uint32_t frame_bytes[FRAMES_MAX];
    if (n_bytes < 4)
        return 0;
    size_t n_frames = data[3] % (FRAMES_MAX + 1);
    const uint8_t *blob = data + 4 + 2 * n_frames;
    if (n_bytes < 4 + 2 * n_frames)
        return 0;
    for (size_t i = 0; i < n_frames; i++)
        frame_bytes[i] = data[4 + 2 * i] | (uint32_t)data[5 + 2 * i] << 8;
    const Extent extent = {.start_block = 0, .n_blocks = 1 + data[2] % BLOCKS_MAX};
    Operation operation = {
            .type = OPERATION_REPLACE_ZSTD_PREFIX,
            .n_data_bytes = n_bytes - 4 - 2 * n_frames,
            .dst_extents = &extent,
            .n_dst_extents = 1,
            .n_dst_bytes = extent.n_blocks * MANIFEST_BLOCK_BYTES,
            .frame_bytes = frame_bytes,
            .n_frames = n_frames,
            .frame_target_bytes = MANIFEST_BLOCK_BYTES << data[0] % 7,
            .frame_prefix_bytes = data[1] % 33 * MANIFEST_BLOCK_BYTES,
    };
    operation.data_sha256 = sha256_of(blob, (size_t)operation.n_data_bytes);
    n_written_bytes = 0;
    ErrorText error = {0};
    UpdateError failure = operation_apply(&operation, blob, NULL, &sink, &error);
    if (failure == UPDATE_OK ? n_written_bytes != operation.n_dst_bytes
                             : failure != UPDATE_ERROR_OPERATION)
        abort();
    return 0;
}
