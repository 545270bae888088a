/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The blob of an operation that replaces what was there: the counterpart of
 * updater/payload/operation-decoder.h. One thread at a time. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "updater/payload/manifest.h"

#define OPERATION_ENCODER_MAX_BYTES ((size_t)1 << 20) /* of target */
#define OPERATION_ENCODER_FRAMES_MAX (OPERATION_ENCODER_MAX_BYTES / MANIFEST_BLOCK_BYTES)

/* What a blob needs room for, of which it uses no more than its target has. */
#define OPERATION_ENCODER_ROOM_BYTES (OPERATION_ENCODER_MAX_BYTES + 272 * 1024)

typedef struct OperationEncoder OperationEncoder;

typedef enum {
    ENCODE_BZIP2, /* as delta_generator does, byte for byte */
    ENCODE_ZSTD,  /* in frames, any of which can be fetched without the others */
} EncodeWay;

/* Of zstd. */
typedef struct {
    int level;
    size_t target_bytes; /* of each frame: manifest_is_frame_size() holds */
    size_t prefix_bytes; /* before it, to which it may refer: manifest_is_frame_prefix(), or 0 */
} EncodeFrames;

/* Errors: -ENOMEM. */
int operation_encoder_new(const EncodeFrames *frames, OperationEncoder **ret_encoder);
void operation_encoder_free(OperationEncoder *encoder);
DEFINE_CLEANUP(OperationEncoder *, operation_encoder_free);

/* Compresses n_bytes (1 to OPERATION_ENCODER_MAX_BYTES) to ret_blob, or copies them where that is
 * not smaller, and sets the operation's type, n_data_bytes and frames; ret_frame_bytes is for
 * OPERATION_ENCODER_FRAMES_MAX. A single frame has nothing to refer to, and is REPLACE_ZSTD.
 * Errors: -ENOMEM. */
int operation_encode(OperationEncoder *encoder, EncodeWay way, const uint8_t *data, size_t n_bytes,
        uint8_t *ret_blob, uint32_t *ret_frame_bytes, Operation *operation);

/* Compresses the same by xz, which has no frames, where that is smaller than what
 * operation_encode() has made. Errors: -ENOMEM. */
int operation_encode_smaller(OperationEncoder *encoder, const uint8_t *data, size_t n_bytes,
        uint8_t *blob, Operation *operation);
