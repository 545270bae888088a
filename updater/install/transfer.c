/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/transfer.h"

#include <errno.h>
#include <stdlib.h>

#include "updater/install/checkpoint-keeper.h"
#include "updater/install/pipeline.h"

/* Blobs that have come and are not applied yet are fetched again after a kill: they stay below
 * 1/128 of the payload, but enough to keep two threads at work. */
#define PENDING_SHARE 128
#define PENDING_MIN_BYTES (256 * 1024)

struct Transfer {
    InstallWork *work;
    Download *download;
    Pipeline *pipeline;
    CheckpointKeeper *keeper;
};

static uint64_t pending_max_bytes(const InstallWork *work)
{
    if (work->file_fd >= 0)
        return 0;
    return MAX(work->metadata.n_payload_bytes / PENDING_SHARE, (uint64_t)PENDING_MIN_BYTES);
}

int transfer_new(WorkerPool *pool, InstallWork *work, Download *download,
        void (*on_change)(void *userdata), void *userdata, Transfer **ret_transfer)
{
    _cleanup_(transfer_freep) Transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return -ENOMEM;
    transfer->work = work;
    transfer->download = download;
    const PipelineOptions options = {
            .operations = work->metadata.manifest->operations,
            .n_operations = work->metadata.manifest->n_operations,
            .is_done = work->is_done,
            .digest = work->digest,
            .place = {.target = work->target,
                    .manifest = work->metadata.manifest,
                    .files = work->files,
                    .source = work->source,
                    .delta_v1 = work->delta_v1,
                    .file_fd = work->file_fd,
                    .blobs_offset_bytes = work->metadata.header.n_metadata_bytes,
                    .read_back = work->read_back,
                    .adaptive = work->seed ? slot_seed_place(work->seed) : NULL,
                    .is_cancelled = work->is_cancelled},
            .plan = work->seed ? slot_seed_plan(work->seed) : NULL,
            .n_pending_max_bytes = pending_max_bytes(work),
            .on_change = on_change,
            .userdata = userdata,
    };
    int r = pipeline_new(pool, &options, &transfer->pipeline);
    if (r < 0)
        return r;
    r = checkpoint_keeper_new(pool, work->target, work->files, work->options->state_fd,
            &work->checkpoint, on_change, userdata, &transfer->keeper);
    if (r < 0)
        return r;
    if (download)
        download_start_blobs(download, transfer->pipeline);
    *ret_transfer = TAKE_PTR(transfer);
    return 0;
}

void transfer_free(Transfer *transfer)
{
    if (!transfer)
        return;
    pipeline_free(transfer->pipeline);
    checkpoint_keeper_free(transfer->keeper);
    free(transfer);
}

TransferState transfer_step(Transfer *transfer, UpdateError *ret_code, const char **ret_error)
{
    const char *error;
    UpdateError code = pipeline_failure(transfer->pipeline, &error);
    if (code == UPDATE_OK && transfer->download)
        code = download_failure(transfer->download, &error);
    if (code != UPDATE_OK) {
        *ret_code = code;
        *ret_error = error;
        return TRANSFER_FAILED;
    }
    pipeline_pump(transfer->pipeline);
    if (transfer->download)
        download_pump(transfer->download);
    bool is_complete = pipeline_is_complete(transfer->pipeline) &&
                       !checkpoint_keeper_is_busy(transfer->keeper) &&
                       (!transfer->download || download_is_complete(transfer->download));
    return is_complete ? TRANSFER_COMPLETE : TRANSFER_GOES_ON;
}

void transfer_tick(Transfer *transfer, uint64_t now_usec)
{
    if (transfer->work->delta_v1)
        return; /* it could not be gone on with */
    if (!install_work_keeps_digest(transfer->work)) {
        checkpoint_keeper_note(
                transfer->keeper, pipeline_n_done_in_order(transfer->pipeline), NULL, now_usec);
        return;
    }
    PayloadDigestState digest;
    size_t n = pipeline_n_digested_in_order(transfer->pipeline, &digest);
    checkpoint_keeper_note(transfer->keeper, n, &digest, now_usec);
}

bool transfer_is_busy(const Transfer *transfer)
{
    return pipeline_is_busy(transfer->pipeline) || checkpoint_keeper_is_busy(transfer->keeper);
}

uint64_t transfer_n_bytes_done(const Transfer *transfer)
{
    return transfer->work->metadata.header.n_metadata_bytes +
           pipeline_n_bytes_done(transfer->pipeline);
}

uint64_t transfer_n_bytes_read(const Transfer *transfer)
{
    return pipeline_n_bytes_read(transfer->pipeline);
}

int transfer_checkpoint_failure(const Transfer *transfer)
{
    return checkpoint_keeper_failure(transfer->keeper);
}
