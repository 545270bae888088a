/* SPDX-License-Identifier: Apache-2.0 */

/* A full payload with an index is held against what lies here. Where much of it would be fetched
 * all the same, all is, in one stream that is digested as a whole; a budget may rule that out. */

#include "updater/install/install-choice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/byte-count.h"

/* Says why less than all will not do. */
static void say_whole(InstallWork *work, bool is_fallback, const char *reason)
{
    work->plan.way = INSTALL_WHOLE;
    work->plan.is_fallback = is_fallback;
    error_say(&work->plan.reason, 0, "%s", reason);
}

/* Another stream than the one that was signed: nobody digests it. The signature of the metadata
 * vouches for the index, the root hash and the slot's hash. */
static void use_seed(InstallWork *work, SlotSeed *seed)
{
    work->seed = seed;
    payload_digest_free(TAKE_PTR(work->digest));
    free(TAKE_PTR(work->signature));
    work->plan.way = INSTALL_ADAPTIVE;
    error_say(&work->plan.reason, 0, "the rest is in %s", work->options->running_label);
}

/* Also when it saves little: where all is too much, and this is not. */
static bool is_worthwhile(const InstallWork *work, const AdaptivePlan *plan)
{
    uint64_t n_bytes = adaptive_plan_n_all_bytes(plan);
    uint64_t n_all_bytes = work->metadata.manifest->n_blob_bytes;
    uint64_t budget_bytes = work->options->budget_bytes;
    if (adaptive_plan_is_worthwhile(plan))
        return true;
    return budget_bytes > 0 && n_bytes < budget_bytes && n_all_bytes >= budget_bytes;
}

/* Sets why not when there is no use in looking. */
static bool may_have_seed(InstallWork *work)
{
    const PartitionUpdate *partition = work->metadata.partition;
    if (!work->options->running_label)
        say_whole(work, false, "no slot of this disk runs");
    else if (!partition->has_verity || !partition->block_index)
        say_whole(work, false, "the payload has no index of its blocks");
    else if (work->checkpoint.lacks_ranges)
        say_whole(work, true, "the server does not answer requests for a part of a file");
    else
        return true;
    return false;
}

static UpdateError find_seed(InstallWork *work, ErrorText *error)
{
    work->seed_options = (SlotSeedOptions){
            .disk_path = work->options->disk_path,
            .running_label = work->options->running_label,
            .manifest = work->metadata.manifest,
            .partition = work->metadata.partition,
            .target = work->target,
            .n_threads = work->options->n_threads,
            .is_cancelled = work->is_cancelled,
    };
    ErrorText reason = {};
    _cleanup_(slot_seed_freep) SlotSeed *seed = NULL;
    int r = slot_seed_new(&work->seed_options, &seed, &reason);
    if (r == -ECANCELED)
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    if (r < 0) {
        say_whole(work, true, reason.line);
        return UPDATE_OK;
    }
    if (is_worthwhile(work, slot_seed_plan(seed))) {
        use_seed(work, TAKE_PTR(seed));
        return UPDATE_OK;
    }
    error_say(&reason, 0, "hardly anything of it is in %s", work->options->running_label);
    say_whole(work, true, reason.line);
    return UPDATE_OK;
}

static UpdateError choose_way(InstallWork *work, ErrorText *error)
{
    InstallPlan *plan = &work->plan;
    if (work->file_fd >= 0) {
        plan->way = INSTALL_FROM_FILE;
    } else if (work->metadata.partition->has_source) {
        plan->way = INSTALL_DELTA;
        error_say(&plan->reason, 0, "the difference to version %s", work->options->running_version);
    } else if (may_have_seed(work)) {
        return find_seed(work, error);
    }
    return UPDATE_OK;
}

/* Of the blobs, where each operation comes by itself. */
static uint64_t n_bytes_of_operations(const InstallWork *work)
{
    const Manifest *manifest = work->metadata.manifest;
    uint64_t n_bytes = 0;
    for (size_t i = 0; i < manifest->n_operations; i++) {
        bool is_done =
                work->is_done[i] || (work->is_resumed && i < work->checkpoint.next_operation);
        if (!is_done)
            n_bytes += work->seed ? adaptive_plan_n_bytes(slot_seed_plan(work->seed), i)
                                  : manifest->operations[i].n_data_bytes;
    }
    return n_bytes;
}

void install_choice_count(InstallWork *work)
{
    const Manifest *manifest = work->metadata.manifest;
    InstallPlan *plan = &work->plan;
    plan->n_whole_bytes = work->metadata.n_payload_bytes;
    if (plan->way == INSTALL_FROM_FILE)
        return;
    size_t next = work->is_resumed ? (size_t)work->checkpoint.next_operation : 0;
    uint64_t n_before = next == 0 ? 0
                        : next < manifest->n_operations
                                ? manifest->operations[next].data_offset_bytes
                                : manifest->signatures_offset_bytes;
    plan->n_left_bytes =
            work->digest ? manifest->n_blob_bytes - n_before : n_bytes_of_operations(work);
    plan->n_fetch_bytes = plan->n_left_bytes;
    if (!work->is_raw_kept)
        plan->n_fetch_bytes += work->metadata.header.n_metadata_bytes;
}

/* Nothing was written: the next try begins as this one did, but has the metadata. One that goes on
 * with an earlier try has kept it already. */
static void keep_for_later(InstallWork *work)
{
    if (work->is_resumed || work->is_raw_kept || !work->raw)
        return;
    work->checkpoint.metadata = work->metadata.digest;
    work->checkpoint.next_operation = 0;
    work->checkpoint.is_untouched = true;
    work->checkpoint.has_digest = false;
    int state_fd = work->options->state_fd;
    (void)checkpoint_remove(state_fd);
    if (checkpoint_save_metadata(state_fd, work->raw, work->n_raw_bytes) == 0)
        (void)checkpoint_save(state_fd, &work->checkpoint);
}

UpdateError install_choice_make(InstallWork *work, ErrorText *error)
{
    UpdateError code = choose_way(work, error);
    if (code != UPDATE_OK)
        return code;
    install_choice_count(work);
    uint64_t budget_bytes = work->options->budget_bytes;
    if (budget_bytes == 0 || work->plan.n_fetch_bytes <= budget_bytes)
        return UPDATE_OK;
    keep_for_later(work);
    return error_say(error, UPDATE_ERROR_BUDGET,
            "version %s would fetch %s, more than the %s that DOWNLOAD_BUDGET allows",
            work->content.version, byte_count_text(work->plan.n_fetch_bytes).text,
            byte_count_text(budget_bytes).text);
}
