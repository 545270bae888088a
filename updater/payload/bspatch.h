/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A patch of bsdiff's format BSDIFF40 (Colin Percival's bsdiff 4): what is new comes out in pieces
 * whose size the caller chooses, what is old is read where the patch wants it. Neither is held
 * whole. The patch may be hostile: what it can cost is bounded by its size and that of the new.
 * No I/O of its own; any thread, one at a time. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

#define BSPATCH_HEADER_BYTES 32

typedef struct Bspatch Bspatch;

typedef struct {
    uint64_t n_bytes;
    /* Reads n_bytes (not 0) at offset_bytes, of any alignment, inside n_bytes above. Returns 0 or
     * -errno, which ends the patching. */
    int (*read)(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata);
    void *userdata;
} BspatchOld;

/* Begins to apply the patch of n_patch_bytes (borrowed for the object's life, as what the copied
 * `old` refers to). A patch that says of itself that it makes more than n_new_max_bytes is refused
 * here. Takes three decompressors of bzip2, at most 4 MiB each, and some 32 KiB.
 * Errors, with the reason in error: -EBADMSG (the patch was made wrong), -ENOMEM. */
int bspatch_new(const uint8_t *patch, size_t n_patch_bytes, const BspatchOld *old,
        uint64_t n_new_max_bytes, Bspatch **ret_bspatch, ErrorText *error);
void bspatch_free(Bspatch *bspatch);
DEFINE_CLEANUP(Bspatch *, bspatch_free);

/* How much the patch says that it makes; bspatch_read() gives as much, or fails. */
uint64_t bspatch_n_new_bytes(const Bspatch *bspatch);

/* Writes the next bytes, at most n_room_bytes (not 0), to ret_data; *ret_n_bytes is 0 only at the
 * end, when all that the patch holds was used up exactly. Blocks as long as the reads do.
 * Errors, with the reason in error: -EBADMSG (the patch was made wrong), -EIO (the old cannot be
 * read), -ENOMEM. Afterwards the object is good for bspatch_free() only. */
int bspatch_read(Bspatch *bspatch, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes,
        ErrorText *error);
