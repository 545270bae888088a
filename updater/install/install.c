/* SPDX-License-Identifier: Apache-2.0 */

/* The install as a state machine. What blocks are the steps of install-work.h, one at a time in a
 * worker thread; what goes on beside each other is in APPLYING: the network (download.h), the
 * operations (pipeline.h) and the checkpoints.
 *
 *     LOADING -> FETCHING -> CHECKING -> PREPARING -> APPLYING -> PROVING -> COMMITTING -> DONE
 *        |                      ^  |
 *        +-- local file, kept --+  +-- kept metadata did not pass: -> FETCHING
 *
 * Every callback only notes what happened and lets the loop come back to on_step, which alone
 * moves the state on. A failure from anywhere leads to ENDING, which waits until no thread works
 * any more, and then on_done is called. */

#include "updater/install/install.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "updater/install/download.h"
#include "updater/install/install-options.h"
#include "updater/install/install-work.h"
#include "updater/install/pipeline.h"
#include "updater/install/worker-pool.h"

#define TICK_USEC (USEC_PER_SEC / 5) /* progress */
#define CHECKPOINT_USEC USEC_PER_SEC /* at most once in */
#define PENDING_SHARE 128            /* of the payload: what a kill may make fetch again */
#define PENDING_MIN_BYTES (256 * 1024)

typedef enum {
    STATE_LOADING,
    STATE_FETCHING,
    STATE_CHECKING,
    STATE_PREPARING,
    STATE_APPLYING,
    STATE_PROVING,
    STATE_COMMITTING,
    STATE_ENDING,
} InstallState;

typedef UpdateError (*InstallStep)(InstallWork *work, ErrorText *error);

struct Install {
    sd_event *event;
    HttpClient *http;
    InstallOptions *options;
    InstallHandlers handlers;
    void *userdata;
    WorkerPool *pool;
    sd_event_source *step_source;
    sd_event_source *tick_source;

    InstallState state;
    InstallPhase phase; /* as told; stays when the install ends */
    InstallWork work;
    atomic_bool is_cancelled;

    WorkerJob step_job;
    InstallStep step; /* that the job runs */
    UpdateError step_code;
    ErrorText step_error;

    /* What of work is told while a step may be changing it. */
    const char *version;
    ErrorText warning;
    uint64_t n_file_metadata_bytes;

    Download *download;
    Pipeline *pipeline;

    WorkerJob checkpoint_job;
    Checkpoint checkpoint; /* that the job saves */
    int checkpoint_r;
    uint64_t n_checkpointed;
    uint64_t checkpoint_usec; /* when the last was begun */

    UpdateError code; /* of the first failure */
    ErrorText error;
    bool is_forgotten; /* ENDING: what could be resumed was removed */
};

const char *install_phase_text(InstallPhase phase)
{
    switch (phase) {
    case INSTALL_STARTING:
        return "starting";
    case INSTALL_PREPARING:
        return "preparing";
    case INSTALL_DOWNLOADING:
        return "downloading";
    case INSTALL_VERIFYING:
        return "verifying";
    case INSTALL_COMMITTING:
        return "committing";
    }
    return "unknown";
}

/* --- progress ---------------------------------------------------------------------------- */

static uint64_t n_bytes_fetched(const Install *install)
{
    uint64_t n = install->download ? download_n_bytes(install->download) : 0;
    n += install->n_file_metadata_bytes;
    return install->pipeline ? n + pipeline_n_bytes_read(install->pipeline) : n;
}

static void measure(const Install *install, InstallProgress *progress)
{
    const PayloadMetadata *metadata = &install->work.metadata;
    switch (install->state) {
    case STATE_FETCHING:
        download_metadata_progress(
                install->download, &progress->n_bytes_done, &progress->n_bytes_total);
        return;
    case STATE_APPLYING:
        progress->n_bytes_done =
                metadata->header.n_metadata_bytes + pipeline_n_bytes_done(install->pipeline);
        progress->n_bytes_total = metadata->n_payload_bytes;
        return;
    case STATE_PROVING:
        progress->n_bytes_done = atomic_load(&install->work.n_bytes_proven);
        progress->n_bytes_total = install->work.content.size_bytes;
        return;
    case STATE_COMMITTING:
        progress->n_bytes_done = progress->n_bytes_total = install->work.content.size_bytes;
        return;
    case STATE_LOADING:
    case STATE_CHECKING:
    case STATE_PREPARING:
    case STATE_ENDING:
        return;
    }
}

static void report_progress(Install *install)
{
    if (!install->handlers.on_progress || install->state == STATE_ENDING)
        return;
    InstallProgress progress = {
            .phase = install->phase,
            .n_bytes_fetched = n_bytes_fetched(install),
            .version = install->version,
            .warning = install->warning.line,
    };
    measure(install, &progress);
    install->handlers.on_progress(install, &progress, install->userdata);
}

static InstallPhase state_phase(InstallState state, InstallPhase before)
{
    switch (state) {
    case STATE_LOADING:
    case STATE_FETCHING:
    case STATE_CHECKING:
        return INSTALL_STARTING;
    case STATE_PREPARING:
        return INSTALL_PREPARING;
    case STATE_APPLYING:
        return INSTALL_DOWNLOADING;
    case STATE_PROVING:
        return INSTALL_VERIFYING;
    case STATE_COMMITTING:
        return INSTALL_COMMITTING;
    case STATE_ENDING:
        return before;
    }
    return before;
}

/* --- moving on --------------------------------------------------------------------------- */

static void wake(void *userdata)
{
    Install *install = userdata;
    (void)sd_event_source_set_enabled(install->step_source, SD_EVENT_ONESHOT);
}

static void set_state(Install *install, InstallState state)
{
    install->state = state;
    install->phase = state_phase(state, install->phase);
    report_progress(install);
}

static void fail(Install *install, UpdateError code, const char *error)
{
    if (install->code != UPDATE_OK)
        return;
    install->code = code;
    error_say(&install->error, 0, "%s", error[0] ? error : update_error_text(code));
    atomic_store(&install->is_cancelled, true);
    set_state(install, STATE_ENDING);
    wake(install);
}

static void run_step(void *userdata)
{
    Install *install = userdata;
    install->step_code = install->step(&install->work, &install->step_error);
}

static void on_step_done(void *userdata)
{
    Install *install = userdata;
    const InstallWork *work = &install->work;
    install->version = work->content.version;
    if (work->warning.line[0])
        install->warning = work->warning;
    if (work->file_fd >= 0)
        install->n_file_metadata_bytes = work->metadata.header.n_metadata_bytes;
    if (install->step_code != UPDATE_OK)
        fail(install, install->step_code, install->step_error.line);
    wake(install);
}

static void start_step(Install *install, InstallState state, InstallStep step)
{
    set_state(install, state);
    install->step = step;
    worker_pool_submit(install->pool, &install->step_job);
}

static void start_fetching(Install *install)
{
    if (!install->download) {
        int r = download_new(
                install->event, install->http, &install->work, wake, install, &install->download);
        if (r < 0) {
            fail(install, UPDATE_ERROR_GENERIC, "not enough memory to download");
            return;
        }
    }
    set_state(install, STATE_FETCHING);
    download_start_metadata(install->download);
}

static void start_checking_or_fetching(Install *install)
{
    if (install->work.raw)
        start_step(install, STATE_CHECKING, install_work_check);
    else
        start_fetching(install);
}

static void accept_payload(Install *install)
{
    ErrorText error = {0};
    if (install->handlers.on_accepted &&
            install->handlers.on_accepted(
                    install, install->work.content.version, install->userdata, &error) < 0) {
        fail(install, UPDATE_ERROR_GENERIC, error.line);
        return;
    }
    start_step(install, STATE_PREPARING, install_work_prepare);
}

/* Resumed without having fetched: the download begins with the first missing blob. */
static int need_download(Install *install)
{
    if (install->options->file_path || install->download)
        return 0;
    return download_new(
            install->event, install->http, &install->work, wake, install, &install->download);
}

static void start_applying(Install *install)
{
    InstallWork *work = &install->work;
    const PipelineOptions options = {
            .partition = work->metadata.partition,
            .target = work->target,
            .is_done = work->is_done,
            .digest = work->digest,
            .file_fd = work->file_fd,
            .blobs_offset_bytes = work->metadata.header.n_metadata_bytes,
            .n_pending_max_bytes = work->file_fd >= 0
                                           ? 0
                                           : MAX(work->metadata.n_payload_bytes / PENDING_SHARE,
                                                     (uint64_t)PENDING_MIN_BYTES),
            .is_cancelled = &install->is_cancelled,
            .on_change = wake,
            .userdata = install,
    };
    if (need_download(install) < 0 ||
            pipeline_new(install->pool, &options, &install->pipeline) < 0) {
        fail(install, UPDATE_ERROR_GENERIC, "not enough memory to install");
        return;
    }
    install->n_checkpointed = work->checkpoint.next_operation;
    set_state(install, STATE_APPLYING);
    if (install->download)
        download_start_blobs(install->download, install->pipeline);
    wake(install);
}

static void step_fetching(Install *install)
{
    const char *error;
    UpdateError code = download_failure(install->download, &error);
    if (code != UPDATE_OK)
        fail(install, code, error);
    else if (download_has_metadata(install->download))
        start_step(install, STATE_CHECKING, install_work_check);
}

static void step_applying(Install *install)
{
    const char *error;
    UpdateError code = pipeline_failure(install->pipeline, &error);
    if (code == UPDATE_OK && install->download)
        code = download_failure(install->download, &error);
    if (code != UPDATE_OK) {
        fail(install, code, error);
        return;
    }
    pipeline_pump(install->pipeline);
    if (install->download)
        download_pump(install->download);
    if (pipeline_is_complete(install->pipeline) && !install->checkpoint_job.is_busy &&
            (!install->download || download_is_complete(install->download)))
        start_step(install, STATE_PROVING, install_work_prove);
}

static void commit(Install *install)
{
    ErrorText error = {0};
    if (install->handlers.on_commit && install->handlers.on_commit(install, &install->work.content,
                                               install->userdata, &error) < 0) {
        fail(install, UPDATE_ERROR_GENERIC, error.line);
        return;
    }
    start_step(install, STATE_COMMITTING, install_work_commit);
}

/* --- checkpoints ------------------------------------------------------------------------- */

static void run_checkpoint(void *userdata)
{
    Install *install = userdata;
    install->checkpoint_r = install_work_save_checkpoint(&install->work, &install->checkpoint);
}

static void on_checkpoint_saved(void *userdata)
{
    Install *install = userdata;
    if (install->checkpoint_r >= 0)
        install->n_checkpointed = install->checkpoint.next_operation;
    else if (!install->warning.line[0])
        error_say(&install->warning, 0,
                "the progress cannot be saved (%s): after an interruption it is downloaded again",
                strerror(-install->checkpoint_r));
    wake(install);
}

static void save_checkpoint(Install *install, uint64_t now_usec)
{
    uint64_t n_done = pipeline_n_done_in_order(install->pipeline);
    if (install->checkpoint_job.is_busy || n_done <= install->n_checkpointed ||
            now_usec - install->checkpoint_usec < CHECKPOINT_USEC)
        return;
    install->checkpoint_usec = now_usec;
    install->checkpoint = install->work.checkpoint;
    install->checkpoint.next_operation = n_done;
    worker_pool_submit(install->pool, &install->checkpoint_job);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    Install *install = userdata;
    report_progress(install);
    if (install->state == STATE_APPLYING)
        save_checkpoint(install, usec);
    (void)sd_event_source_set_time(source, usec + TICK_USEC);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* --- the end ----------------------------------------------------------------------------- */

/* Faults of the copy that was fetched, not of this machine or of what is installed here. */
static bool is_url_fault(const Install *install)
{
    if (install->options->file_path)
        return false;
    static const UpdateError faults[] = {UPDATE_ERROR_TRANSFER, UPDATE_ERROR_PAYLOAD_HASH,
            UPDATE_ERROR_PAYLOAD_SIZE, UPDATE_ERROR_MAGIC, UPDATE_ERROR_METADATA_SIZE,
            UPDATE_ERROR_METADATA_SIGNATURE, UPDATE_ERROR_NO_SIGNATURE,
            UPDATE_ERROR_OPERATION_HASH};
    for (size_t i = 0; i < ELEMENTS(faults); i++)
        if (install->code == faults[i])
            return true;
    return false;
}

/* Whether what is in the slot or kept of the payload may be what is wrong. */
static bool must_forget(const Install *install)
{
    static const UpdateError faults[] = {UPDATE_ERROR_PARTITION_HASH, UPDATE_ERROR_VERITY,
            UPDATE_ERROR_OPERATION, UPDATE_ERROR_PAYLOAD_HASH, UPDATE_ERROR_SIGNATURE,
            UPDATE_ERROR_PAYLOAD_SIZE};
    if (install->code == UPDATE_ERROR_OPERATION_HASH)
        return install->work.is_resumed;
    for (size_t i = 0; i < ELEMENTS(faults); i++)
        if (install->code == faults[i])
            return true;
    return false;
}

static void finish(Install *install)
{
    const InstallResult result = {
            .code = install->code,
            .error = install->error.line,
            .is_url_fault = is_url_fault(install),
            .content = install->code == UPDATE_OK ? &install->work.content : NULL,
            .n_bytes_fetched = n_bytes_fetched(install),
    };
    (void)sd_event_source_set_enabled(install->tick_source, SD_EVENT_OFF);
    install->handlers.on_done(install, &result, install->userdata);
}

static void step_ending(Install *install)
{
    if (install->step_job.is_busy || install->checkpoint_job.is_busy ||
            (install->pipeline && pipeline_is_busy(install->pipeline)))
        return;
    if (!install->is_forgotten && install->work.target && must_forget(install)) {
        install->is_forgotten = true;
        install->step = install_work_forget;
        worker_pool_submit(install->pool, &install->step_job);
        return;
    }
    finish(install);
}

static int on_step(sd_event_source *source, void *userdata)
{
    (void)source;
    Install *install = userdata;
    if (install->step_job.is_busy && install->state != STATE_ENDING)
        return 0;
    switch (install->state) {
    case STATE_LOADING:
        start_checking_or_fetching(install);
        break;
    case STATE_FETCHING:
        step_fetching(install);
        break;
    case STATE_CHECKING:
        if (install->work.raw)
            accept_payload(install);
        else
            start_fetching(install);
        break;
    case STATE_PREPARING:
        start_applying(install);
        break;
    case STATE_APPLYING:
        step_applying(install);
        break;
    case STATE_PROVING:
        commit(install);
        break;
    case STATE_COMMITTING:
        set_state(install, STATE_ENDING);
        step_ending(install);
        break;
    case STATE_ENDING:
        step_ending(install);
        break;
    }
    return 0;
}

/* --- the object -------------------------------------------------------------------------- */

static int add_sources(Install *install)
{
    int r = sd_event_add_defer(install->event, &install->step_source, on_step, install);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(install->step_source, SD_EVENT_OFF);
    if (r < 0)
        return r;
    return sd_event_add_time_relative(
            install->event, &install->tick_source, CLOCK_MONOTONIC, TICK_USEC, 1, on_tick, install);
}

int install_new(sd_event *event, HttpClient *http, const InstallOptions *options,
        const InstallHandlers *handlers, void *userdata, Install **ret_install)
{
    if (!options->file_path && options->n_urls == 0)
        return -EINVAL;
    _cleanup_(install_freep) Install *install = calloc(1, sizeof(*install));
    if (!install)
        return -ENOMEM;
    install->event = sd_event_ref(event);
    install->http = http;
    install->handlers = *handlers;
    install->userdata = userdata;
    install->code = UPDATE_OK;
    install->version = "";
    install->step_job = (WorkerJob){.run = run_step, .on_done = on_step_done, .userdata = install};
    install->checkpoint_job =
            (WorkerJob){.run = run_checkpoint, .on_done = on_checkpoint_saved, .userdata = install};
    install_work_init(&install->work, NULL, &install->is_cancelled);
    int r = install_options_copy(options, &install->options);
    if (r < 0)
        return r;
    install->work.options = install->options;
    r = worker_pool_new(event, install->options->n_threads, &install->pool);
    if (r < 0)
        return r;
    r = add_sources(install);
    if (r < 0)
        return r;
    install->step = install_work_load;
    worker_pool_submit(install->pool, &install->step_job);
    *ret_install = TAKE_PTR(install);
    return 0;
}

void install_free(Install *install)
{
    if (!install)
        return;
    atomic_store(&install->is_cancelled, true);
    worker_pool_free(install->pool);
    download_free(install->download);
    pipeline_free(install->pipeline);
    sd_event_source_disable_unref(install->step_source);
    sd_event_source_disable_unref(install->tick_source);
    install_work_done(&install->work);
    install_options_free(install->options);
    sd_event_unref(install->event);
    free(install);
}
