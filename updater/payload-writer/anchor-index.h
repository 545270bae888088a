/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where in an image some content lies, wherever its blocks begin: places that the 64 bytes before
 * them choose, so that the same content chooses the same places however far it was moved. One in
 * 2048 is. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

typedef struct AnchorIndex AnchorIndex;

#define ANCHOR_NONE UINT64_MAX

/* Of an image of n_bytes. Memory is 16 bytes an anchor, 8 MiB for 1 GiB. Errors: -ENOMEM. */
int anchor_index_new(uint64_t n_bytes, AnchorIndex **ret_index);
void anchor_index_free(AnchorIndex *index);
DEFINE_CLEANUP(AnchorIndex *, anchor_index_free);

/* Adds the next bytes of the image. Errors: -ENOMEM. */
int anchor_index_add(AnchorIndex *index, const uint8_t *data, size_t n_bytes);

/* All was added; an anchor that the image has several times is none. */
void anchor_index_finish(AnchorIndex *index);

/* Calls on_anchor for each anchor of the data that the index has: where it lies in the data and in
 * the image. Several threads at once may, after the end. */
void anchor_index_look_up(const AnchorIndex *index, const uint8_t *data, size_t n_bytes,
        void (*on_anchor)(size_t at_bytes, uint64_t old_at_bytes, void *userdata), void *userdata);
