/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What of a new slot lies on this machine already: in the slot that runs, which is the seed, and in
 * the slot that is to be written. All calls block; worker threads only. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "updater/adaptive/adaptive-run.h"
#include "updater/slot/install-target.h"
#include "updater/payload/manifest.h"

typedef struct SlotSeed SlotSeed;

typedef struct {
    const char *disk_path;
    const char *running_label;
    const Manifest *manifest;
    const PartitionUpdate *partition; /* has a block index */
    const InstallTarget *target;      /* found; not prepared yet */
    unsigned n_threads;
    const atomic_bool *is_cancelled;
} SlotSeedOptions;

/* Looks. The leaves of the running slot's own tree are read where its trailer tells of one with the
 * same salt; else its blocks are hashed. Of the target only a tree is looked at. All in options is
 * borrowed for the seed's life. Errors: -ECANCELED; any other means that the payload is fetched
 * whole, and is no reason to stop: with error. */
int slot_seed_new(const SlotSeedOptions *options, SlotSeed **ret_seed, ErrorText *error);
void slot_seed_free(SlotSeed *seed);
DEFINE_CLEANUP(SlotSeed *, slot_seed_free);

/* The target was prepared: from here on it is read by the descriptor that writes it. */
void slot_seed_use_target(SlotSeed *seed);

/* What is to be fetched, inside seed. */
AdaptivePlan *slot_seed_plan(const SlotSeed *seed);

/* Whether the slot that is to be written held a tree with the payload's salt: much of it may be
 * that of the new slot. */
bool slot_seed_target_has_tree(const SlotSeed *seed);

/* Where the rest is, inside seed. After slot_seed_use_target(). */
const AdaptivePlace *slot_seed_place(const SlotSeed *seed);
