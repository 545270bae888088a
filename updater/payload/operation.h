/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Applying one operation: the blob is checked, decompressed in bounded pieces, and handed out as
 * writes into the operation's extents. No I/O of its own; any thread. */

#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"

typedef struct {
    /* Writes n_bytes (a multiple of 4096, page-aligned memory) at offset_bytes of the partition.
     * Returns 0 or -errno, which ends the operation. */
    int (*write)(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata);
    /* Makes n_bytes read as zeros. */
    int (*zero)(uint64_t offset_bytes, uint64_t n_bytes, void *userdata);
    void *userdata;
} OperationSink;

/* What operations of a delta read: the slot that runs, or an image of it. */
typedef struct {
    /* Reads n_bytes (a multiple of 4096) at offset_bytes. Returns 0 or -errno, which ends the
     * operation. */
    int (*read)(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata);
    void *userdata;
} OperationSource;

/* source may be NULL where the partition has none. blob: n_data_bytes of the operation, whole
 * (borrowed; NULL where there are none). Its hash is checked before anything is decompressed, and
 * that of the source, where the manifest has it, before any of the source is used. A blob that
 * yields more than the extents hold, or less where it may not be short, is an error; what was
 * written until then stays (the slot is not bootable). Format 1's MOVE and BSDIFF may write
 * where they read: their source must go on to give what was there before.
 * Returns UPDATE_OK, UPDATE_ERROR_OPERATION_HASH, UPDATE_ERROR_OPERATION, UPDATE_ERROR_WRITE,
 * UPDATE_ERROR_SOURCE (there is none, it cannot be read, or it holds something else),
 * UPDATE_ERROR_GENERIC (memory). */
UpdateError operation_apply(const Operation *operation, const uint8_t *blob,
        const OperationSource *source, const OperationSink *sink, ErrorText *error);

/* Holds a blob against its hash, as operation_apply() does first. Returns UPDATE_OK,
 * UPDATE_ERROR_OPERATION_HASH. */
UpdateError operation_check_blob(const Operation *operation, const uint8_t *blob, ErrorText *error);
