/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-seed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "partitions/slot-reader.h"
#include "updater/slot/slot-leaves.h"

struct SlotSeed {
    const SlotSeedOptions *options;
    int source_fd;
    BlockMatch *match;
    AdaptivePlan *plan;
    AdaptivePlace place;
    bool target_has_tree;
};

static SlotLeaves leaves_of(const SlotSeed *seed, VerityRegion slot, uint64_t slot_bytes)
{
    return (SlotLeaves){
            .region = slot,
            .n_bytes = slot_bytes,
            .verity = &seed->options->partition->verity,
            .n_threads = seed->options->n_threads,
            .is_cancelled = seed->options->is_cancelled,
    };
}

static int look_at_source(SlotSeed *seed, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    const char *label = seed->options->running_label;
    int r = slot_disk_open(seed->options->disk_path, false, NULL, 0, &disk, error);
    if (r < 0)
        return r;
    size_t index = slot_disk_find(disk, label);
    if (index == SLOT_NONE)
        return error_say(error, -ENODEV, "there is no slot %s", label);
    r = slot_reader_open(disk, index, &seed->source_fd, &seed->place.source.offset_bytes, error);
    if (r < 0)
        return r;
    seed->place.source.fd = seed->source_fd;
    uint64_t slot_bytes = slot_disk_slots(disk, &(size_t){0})[index].size_bytes;
    const SlotLeaves leaves = leaves_of(seed, seed->place.source, slot_bytes);
    ErrorText reason = {};
    r = slot_leaves_take(&leaves, block_match_add_source, seed->match, &reason);
    if (r < 0)
        return error_say(error, r, "%s cannot be read: %s", label,
                reason.line[0] ? reason.line : strerror(-r));
    return 0;
}

/* What a slot without a trailer, or with another salt, holds is not worth reading it all. */
static int look_at_target(SlotSeed *seed, ErrorText *error)
{
    uint64_t slot_bytes = install_target_slot(seed->options->target)->size_bytes;
    _cleanup_close_ int fd = -1;
    VerityRegion slot;
    int r = install_target_open_direct(seed->options->target, &fd, &slot.offset_bytes, error);
    if (r < 0)
        return r;
    slot.fd = fd;
    const SlotLeaves leaves = leaves_of(seed, slot, slot_bytes);
    r = slot_leaves_read(&leaves, block_match_add_target, seed->match);
    seed->target_has_tree = r > 0;
    return MIN(r, 0);
}

int slot_seed_new(const SlotSeedOptions *options, SlotSeed **ret_seed, ErrorText *error)
{
    _cleanup_(slot_seed_freep) SlotSeed *seed = calloc(1, sizeof(*seed));
    if (!seed)
        return error_say(error, -ENOMEM, "out of memory");
    seed->options = options;
    seed->source_fd = -1;
    int r = block_match_new(options->partition, &seed->match);
    if (r >= 0)
        r = look_at_source(seed, error);
    if (r >= 0)
        r = look_at_target(seed, error);
    if (r >= 0)
        block_match_finish(seed->match);
    if (r >= 0)
        r = adaptive_plan_new(options->manifest, options->partition, seed->match, &seed->plan);
    if (r < 0)
        return error && error->line[0] ? r : error_say(error, r, "%s", strerror(-r));
    seed->place.plan = seed->plan;
    *ret_seed = TAKE_PTR(seed);
    return 0;
}

void slot_seed_free(SlotSeed *seed)
{
    if (!seed)
        return;
    safe_close(seed->source_fd);
    adaptive_plan_free(seed->plan);
    block_match_free(seed->match);
    free(seed);
}

void slot_seed_use_target(SlotSeed *seed)
{
    seed->place.target.fd =
            install_target_fd(seed->options->target, &seed->place.target.offset_bytes);
}

AdaptivePlan *slot_seed_plan(const SlotSeed *seed)
{
    return seed->plan;
}

bool slot_seed_target_has_tree(const SlotSeed *seed)
{
    return seed->target_has_tree;
}

const AdaptivePlace *slot_seed_place(const SlotSeed *seed)
{
    return &seed->place;
}
