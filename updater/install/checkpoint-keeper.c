/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/checkpoint-keeper.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"

#define INTERVAL_USEC USEC_PER_SEC

struct CheckpointKeeper {
    WorkerPool *pool;
    WorkerJob job;
    InstallTarget *target;
    InstallFiles *files;
    int state_fd;
    Checkpoint checkpoint; /* saved, or being saved */
    uint64_t n_saved;      /* operations */
    uint64_t begun_usec;
    int r;       /* of the job */
    int failure; /* of the last job that failed */
    void (*on_saved)(void *userdata);
    void *userdata;
};

int checkpoint_keeper_save(
        InstallTarget *target, InstallFiles *files, int state_fd, const Checkpoint *checkpoint)
{
    int r = install_target_sync(target);
    if (r >= 0)
        r = install_files_sync(files);
    return r < 0 ? r : checkpoint_save(state_fd, checkpoint);
}

static void run_save(void *userdata)
{
    CheckpointKeeper *keeper = userdata;
    keeper->r = checkpoint_keeper_save(
            keeper->target, keeper->files, keeper->state_fd, &keeper->checkpoint);
}

static void on_save_done(void *userdata)
{
    CheckpointKeeper *keeper = userdata;
    if (keeper->r < 0)
        keeper->failure = keeper->r;
    else
        keeper->n_saved = keeper->checkpoint.next_operation;
    keeper->on_saved(keeper->userdata);
}

int checkpoint_keeper_new(WorkerPool *pool, InstallTarget *target, InstallFiles *files,
        int state_fd, const Checkpoint *first, void (*on_saved)(void *userdata), void *userdata,
        CheckpointKeeper **ret_keeper)
{
    CheckpointKeeper *keeper = calloc(1, sizeof(*keeper));
    if (!keeper)
        return -ENOMEM;
    keeper->pool = pool;
    keeper->job = (WorkerJob){.run = run_save, .on_done = on_save_done, .userdata = keeper};
    keeper->target = target;
    keeper->files = files;
    keeper->state_fd = state_fd;
    keeper->checkpoint = *first;
    keeper->n_saved = first->next_operation;
    keeper->on_saved = on_saved;
    keeper->userdata = userdata;
    *ret_keeper = keeper;
    return 0;
}

void checkpoint_keeper_free(CheckpointKeeper *keeper)
{
    free(keeper);
}

void checkpoint_keeper_note(CheckpointKeeper *keeper, uint64_t next_operation,
        const PayloadDigestState *digest, uint64_t now_usec)
{
    if (keeper->job.is_busy || next_operation <= keeper->n_saved ||
            now_usec - keeper->begun_usec < INTERVAL_USEC)
        return;
    keeper->begun_usec = now_usec;
    keeper->checkpoint.next_operation = next_operation;
    keeper->checkpoint.has_digest = digest != NULL;
    if (digest)
        keeper->checkpoint.digest = *digest;
    worker_pool_submit(keeper->pool, &keeper->job);
}

bool checkpoint_keeper_is_busy(const CheckpointKeeper *keeper)
{
    return keeper->job.is_busy;
}

int checkpoint_keeper_failure(const CheckpointKeeper *keeper)
{
    return keeper->failure;
}
