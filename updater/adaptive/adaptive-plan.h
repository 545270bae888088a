/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What of each operation's blob has to be fetched, for the blocks that a BlockMatch lacks
 * (DESIGN.md section 5, "Adaptive download"): the frames in which such a block lies, single blocks where the
 * blob is not compressed, all of it where it cannot be taken apart or its blocks are not in the
 * index, nothing where every block is at hand. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "updater/adaptive/block-list.h"
#include "updater/adaptive/block-match.h"

typedef struct AdaptivePlan AdaptivePlan;

/* A run of an operation's blob. */
typedef struct {
    uint64_t offset_bytes; /* from the first blob of the file */
    uint64_t n_bytes;
} AdaptivePiece;

/* match is borrowed for the plan's life, and must not change. Errors: -ENOMEM. */
int adaptive_plan_new(const Manifest *manifest, const PartitionUpdate *partition,
        const BlockMatch *match, AdaptivePlan **ret_plan);
void adaptive_plan_free(AdaptivePlan *plan);
DEFINE_CLEANUP(AdaptivePlan *, adaptive_plan_free);

/* How much of an operation (its index in the manifest) is fetched. */
uint64_t adaptive_plan_n_bytes(const AdaptivePlan *plan, size_t operation);

/* The piece in which byte `at` of what is fetched of the operation lies, from that byte on; at is
 * below adaptive_plan_n_bytes(). */
AdaptivePiece adaptive_plan_piece(const AdaptivePlan *plan, size_t operation, uint64_t at_bytes);

/* Whether the operation is put together out of blocks; else its blob is applied whole. */
bool adaptive_plan_is_pieces(const AdaptivePlan *plan, size_t operation);

/* What is here turned out to be something else: the operation's blob is fetched whole. Not while
 * the operation is run. */
void adaptive_plan_fetch_whole(AdaptivePlan *plan, size_t operation);

/* For who puts together an operation for which adaptive_plan_is_pieces(), and has its blocks.
 * Whether frame `frame` is fetched. What has no frames counts each of its blocks as one. */
bool adaptive_plan_has_frame(
        const AdaptivePlan *plan, size_t operation, const BlockList *list, size_t frame);

/* Blocks of target to a frame, and bytes of blob to this one. */
size_t adaptive_plan_frame_blocks(const AdaptivePlan *plan, size_t operation);
size_t adaptive_plan_frame_data_bytes(const AdaptivePlan *plan, size_t operation, size_t frame);

/* How much is fetched in all. */
uint64_t adaptive_plan_n_all_bytes(const AdaptivePlan *plan);

/* Whether that is so much less than the payload's blobs that it should be gone by; else all is
 * fetched, from the first to the last and digested as a whole. */
bool adaptive_plan_is_worthwhile(const AdaptivePlan *plan);

/* As given. */
const BlockMatch *adaptive_plan_match(const AdaptivePlan *plan);
const PartitionUpdate *adaptive_plan_partition(const AdaptivePlan *plan);
