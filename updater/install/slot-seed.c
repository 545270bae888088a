/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/slot-seed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "partitions/slot-reader.h"
#include "partitions/slot-trailer-read.h"
#include "verity/leaves.h"

struct SlotSeed {
    const SlotSeedOptions *options;
    int source_fd;
    BlockMatch *match;
    AdaptivePlan *plan;
    AdaptivePlace place;
};

/* Whether a trailer tells of a tree whose leaves the index can be held against. */
static bool has_same_salt(const SlotTrailer *trailer, const VerityParameters *verity)
{
    return trailer->tree_bytes > 0 && trailer->n_salt_bytes == verity->n_salt_bytes &&
           memcmp(trailer->salt, verity->salt, verity->n_salt_bytes) == 0;
}

/* Parameters of a slot that holds n_bytes, with the salt of the new one. */
static VerityParameters parameters_of(const SlotSeed *seed, uint64_t n_bytes)
{
    VerityParameters parameters = seed->options->partition->verity;
    parameters.n_data_blocks = n_bytes / VERITY_BLOCK_BYTES;
    return parameters;
}

static int read_leaves(
        SlotSeed *seed, VerityRegion slot, const SlotTrailer *trailer, VerityLeavesTaker take)
{
    VerityParameters parameters = parameters_of(seed, trailer->fs_bytes);
    VerityRegion tree = {.fd = slot.fd, .offset_bytes = slot.offset_bytes + trailer->tree_offset};
    return verity_leaves_read(&parameters, tree, seed->options->is_cancelled, take, seed->match);
}

/* n_bytes: of the slot, where no trailer says how much of it counts. */
static int hash_leaves(SlotSeed *seed, uint64_t n_bytes, ErrorText *error)
{
    VerityParameters parameters = parameters_of(seed, n_bytes);
    const VerityRun run = {
            .n_threads = seed->options->n_threads,
            .is_cancelled = seed->options->is_cancelled,
    };
    return verity_leaves_hash(
            &parameters, seed->place.source, &run, block_match_add_source, seed->match, error);
}

static int look_at_source(SlotSeed *seed, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(seed->options->disk_path, false, NULL, 0, &disk, error);
    if (r < 0)
        return r;
    size_t index = slot_disk_find(disk, seed->options->running_label);
    if (index == SLOT_NONE)
        return error_say(error, -ENODEV, "there is no slot %s", seed->options->running_label);
    r = slot_reader_open(disk, index, &seed->source_fd, &seed->place.source.offset_bytes, error);
    if (r < 0)
        return r;
    seed->place.source.fd = seed->source_fd;
    uint64_t slot_bytes = slot_disk_slots(disk, &(size_t){0})[index].size_bytes;
    TrailerFault fault;
    SlotTrailer trailer;
    r = slot_trailer_read_at(
            seed->source_fd, seed->place.source.offset_bytes, slot_bytes, &fault, &trailer);
    if (r < 0)
        return error_say(
                error, r, "%s cannot be read: %s", seed->options->running_label, strerror(-r));
    if (fault == TRAILER_VALID && has_same_salt(&trailer, &seed->options->partition->verity))
        return read_leaves(seed, seed->place.source, &trailer, block_match_add_source);
    return hash_leaves(seed, fault == TRAILER_VALID ? trailer.fs_bytes : slot_bytes, error);
}

/* What a slot without a trailer, or with another salt, holds is not worth reading it all. */
static int look_at_target(SlotSeed *seed)
{
    uint64_t slot_bytes = install_target_slot(seed->options->target)->size_bytes;
    seed->place.target.fd =
            install_target_fd(seed->options->target, &seed->place.target.offset_bytes);
    TrailerFault fault;
    SlotTrailer trailer;
    int r = slot_trailer_read_at(
            seed->place.target.fd, seed->place.target.offset_bytes, slot_bytes, &fault, &trailer);
    if (r < 0 || fault != TRAILER_VALID ||
            !has_same_salt(&trailer, &seed->options->partition->verity))
        return r;
    return read_leaves(seed, seed->place.target, &trailer, block_match_add_target);
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
        r = look_at_target(seed);
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

AdaptivePlan *slot_seed_plan(const SlotSeed *seed)
{
    return seed->plan;
}

const AdaptivePlace *slot_seed_place(const SlotSeed *seed)
{
    return &seed->place;
}
