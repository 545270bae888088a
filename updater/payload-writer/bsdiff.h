/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Patches of bsdiff's format BSDIFF40 (updater/payload/bspatch.h): what is new told as pieces of
 * what is old, the bytes by which they differ, and the rest. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* What is old, sorted for search; of at most BSDIFF_OLD_MAX_BYTES. */
typedef struct BsdiffOld BsdiffOld;

#define BSDIFF_OLD_MAX_BYTES ((size_t)256 << 20)

/* Takes n_bytes (not 0) at data, borrowed for the object's life, and 4 times as much memory; some
 * seconds for 16 MiB. Errors: -EINVAL for another length, -ENOMEM. */
int bsdiff_old_new(const uint8_t *data, size_t n_bytes, BsdiffOld **ret_old);
void bsdiff_old_free(BsdiffOld *old);
DEFINE_CLEANUP(BsdiffOld *, bsdiff_old_free);

/* Writes the patch that makes n_new_bytes (not 0) at new_data to ret_patch, if it has at most
 * n_room_bytes. The same old and new make the same patch. Takes some 5 times n_new_bytes of memory;
 * the time is bounded. Errors: -ENOSPC when it is longer, or the two are such that looking for it
 * would take too long; -ENOMEM. */
int bsdiff_make(const BsdiffOld *old, const uint8_t *new_data, size_t n_new_bytes,
        uint8_t *ret_patch, size_t n_room_bytes, size_t *ret_n_bytes);
