/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/adaptive/adaptive-plan.h"

#include <errno.h>
#include <stdlib.h>

#define WORTHWHILE_PERCENT 90 /* of the payload's blobs */

/* An operation is 8 bytes here: which of its frames are fetched is asked each time. */
typedef struct {
    uint64_t n_bytes; /* to be fetched */
    bool is_pieces;
} Want;

struct AdaptivePlan {
    const Manifest *manifest;
    const PartitionUpdate *partition;
    const BlockMatch *match;
    Want *wants; /* of each operation of the manifest */
};

static const Operation *operation_at(const AdaptivePlan *plan, size_t i)
{
    return &plan->manifest->operations[i];
}

/* Frames of which the manifest says how long they are; a blob that is no frames is its blocks. */
static bool has_frames(const Operation *operation)
{
    return (operation->type == OPERATION_REPLACE_ZSTD ||
                   operation->type == OPERATION_REPLACE_ZSTD_PREFIX) &&
           operation->n_frames > 0;
}

static bool is_blocks(const Operation *operation)
{
    return operation->type == OPERATION_REPLACE &&
           operation->n_data_bytes == operation->n_dst_bytes;
}

static size_t frame_blocks(const AdaptivePlan *plan, const Operation *operation)
{
    return has_frames(operation) ? plan->manifest->frame_target_bytes / MANIFEST_BLOCK_BYTES : 1;
}

static uint64_t frame_data_bytes(const Operation *operation, size_t frame)
{
    return has_frames(operation) ? operation->frame_bytes[frame] : MANIFEST_BLOCK_BYTES;
}

static size_t n_frames(const Operation *operation)
{
    return has_frames(operation) ? operation->n_frames
                                 : (size_t)(operation->n_dst_bytes / MANIFEST_BLOCK_BYTES);
}

/* Whether one of n blocks is nowhere on this machine. */
static bool is_lacking(const BlockMatch *match, const uint64_t *blocks, size_t n)
{
    uint64_t source;
    for (size_t i = 0; i < n; i++)
        if (block_match_get(match, blocks[i], &source) == BLOCK_LACKING)
            return true;
    return false;
}

static bool frame_is_lacking(
        const AdaptivePlan *plan, const Operation *operation, const BlockList *list, size_t frame)
{
    size_t n_per_frame = frame_blocks(plan, operation);
    size_t first = frame * n_per_frame;
    return is_lacking(plan->match, list->blocks + first, MIN(n_per_frame, list->n_blocks - first));
}

/* Whether the index says what each of the blocks is. */
static bool is_indexed(const AdaptivePlan *plan, const BlockList *list)
{
    for (size_t i = 0; i < list->n_blocks; i++)
        if (list->blocks[i] >= plan->partition->verity.n_data_blocks)
            return false;
    return true;
}

static Want want_of(const AdaptivePlan *plan, const Operation *operation, BlockList *list)
{
    const Want whole = {.n_bytes = operation->n_data_bytes};
    if (&plan->manifest->partitions[operation->partition] != plan->partition)
        return whole;
    block_list_fill(list, operation);
    if (!is_indexed(plan, list))
        return whole;
    if (!has_frames(operation) && !is_blocks(operation))
        return is_lacking(plan->match, list->blocks, list->n_blocks)
                       ? whole
                       : (Want){.n_bytes = 0, .is_pieces = true};
    Want want = {.is_pieces = true};
    for (size_t i = 0; i < n_frames(operation); i++)
        if (frame_is_lacking(plan, operation, list, i))
            want.n_bytes += frame_data_bytes(operation, i);
    return want.n_bytes < operation->n_data_bytes ? want : whole;
}

int adaptive_plan_new(const Manifest *manifest, const PartitionUpdate *partition,
        const BlockMatch *match, AdaptivePlan **ret_plan)
{
    _cleanup_(adaptive_plan_freep) AdaptivePlan *plan = calloc(1, sizeof(*plan));
    _cleanup_free_ BlockList *list = malloc(sizeof(*list));
    if (!plan || !list)
        return -ENOMEM;
    *plan = (AdaptivePlan){.manifest = manifest, .partition = partition, .match = match};
    plan->wants = calloc(manifest->n_operations + 1, sizeof(*plan->wants));
    if (!plan->wants)
        return -ENOMEM;
    for (size_t i = 0; i < manifest->n_operations; i++)
        plan->wants[i] = want_of(plan, operation_at(plan, i), list);
    *ret_plan = TAKE_PTR(plan);
    return 0;
}

void adaptive_plan_free(AdaptivePlan *plan)
{
    if (!plan)
        return;
    free(plan->wants);
    free(plan);
}

uint64_t adaptive_plan_n_bytes(const AdaptivePlan *plan, size_t operation)
{
    return plan->wants[operation].n_bytes;
}

/* Of the blob as it is fetched: at_bytes lies in a run of frames that are fetched; how far that
 * run reaches, and where at_bytes is in the blob. */
static AdaptivePiece find_piece(
        const AdaptivePlan *plan, const Operation *operation, uint64_t at_bytes)
{
    BlockList list;
    block_list_fill(&list, operation);
    AdaptivePiece piece = {.offset_bytes = operation->data_offset_bytes};
    uint64_t n_passed_bytes = 0; /* of what is fetched */
    for (size_t i = 0; i < n_frames(operation); i++) {
        uint64_t n = frame_data_bytes(operation, i);
        bool is_fetched = frame_is_lacking(plan, operation, &list, i);
        if (piece.n_bytes > 0 && !is_fetched)
            break;
        uint64_t n_before = 0; /* of this frame, before at_bytes */
        if (is_fetched && n_passed_bytes + n > at_bytes) {
            n_before = at_bytes > n_passed_bytes ? at_bytes - n_passed_bytes : 0;
            piece.n_bytes += n - n_before;
        }
        if (piece.n_bytes == 0)
            piece.offset_bytes += n;
        piece.offset_bytes += n_before;
        n_passed_bytes += is_fetched ? n : 0;
    }
    return piece;
}

AdaptivePiece adaptive_plan_piece(const AdaptivePlan *plan, size_t i, uint64_t at_bytes)
{
    const Operation *operation = operation_at(plan, i);
    if (plan->wants[i].is_pieces)
        return find_piece(plan, operation, at_bytes);
    return (AdaptivePiece){
            .offset_bytes = operation->data_offset_bytes + at_bytes,
            .n_bytes = operation->n_data_bytes - at_bytes,
    };
}

bool adaptive_plan_is_pieces(const AdaptivePlan *plan, size_t operation)
{
    return plan->wants[operation].is_pieces;
}

void adaptive_plan_fetch_whole(AdaptivePlan *plan, size_t operation)
{
    plan->wants[operation] = (Want){.n_bytes = operation_at(plan, operation)->n_data_bytes};
}

uint64_t adaptive_plan_n_all_bytes(const AdaptivePlan *plan)
{
    uint64_t n_bytes = 0;
    for (size_t i = 0; i < plan->manifest->n_operations; i++)
        n_bytes += plan->wants[i].n_bytes;
    return n_bytes;
}

bool adaptive_plan_is_worthwhile(const AdaptivePlan *plan)
{
    return adaptive_plan_n_all_bytes(plan) / WORTHWHILE_PERCENT <
           plan->manifest->n_blob_bytes / 100;
}

bool adaptive_plan_has_frame(
        const AdaptivePlan *plan, size_t operation, const BlockList *list, size_t frame)
{
    return frame_is_lacking(plan, operation_at(plan, operation), list, frame);
}

size_t adaptive_plan_frame_blocks(const AdaptivePlan *plan, size_t operation)
{
    return frame_blocks(plan, operation_at(plan, operation));
}

size_t adaptive_plan_frame_data_bytes(const AdaptivePlan *plan, size_t operation, size_t frame)
{
    return (size_t)frame_data_bytes(operation_at(plan, operation), frame);
}

const BlockMatch *adaptive_plan_match(const AdaptivePlan *plan)
{
    return plan->match;
}

const PartitionUpdate *adaptive_plan_partition(const AdaptivePlan *plan)
{
    return plan->partition;
}
