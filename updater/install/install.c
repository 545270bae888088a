/* SPDX-License-Identifier: Apache-2.0 */

/* The install as a state machine. What blocks are the steps of install-work.h, one at a time in a
 * worker thread; what goes on beside each other, in APPLYING, is transfer.h's.
 *
 *     LOADING -> FETCHING -> CHECKING -> CHOOSING -> PREPARING -> APPLYING -> PROVING
 *        |                      ^  |                                             |
 *        +-- local file, kept --+  |            (TELLING) -> (POSTINST) -> COMMITTING -> DONE
 *                                  +-- kept metadata did not pass: -> FETCHING
 *
 * Every callback only notes what happened and lets the loop come back to on_step, which alone
 * moves the state on. A failure from anywhere leads to ENDING, which waits until no thread works
 * any more, and then on_done is called. */

#include "updater/install/install.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "updater/install/download.h"
#include "updater/install/install-choice.h"
#include "updater/install/install-fault.h"
#include "updater/install/install-options.h"
#include "updater/install/install-work.h"
#include "updater/install/policy-post.h"
#include "updater/install/settling.h"
#include "updater/install/transfer.h"
#include "updater/install/worker-pool.h"

#define TICK_USEC (USEC_PER_SEC / 5)         /* progress */
#define PLAN_SLACK_BYTES (UINT64_C(1) << 20) /* what stands between ranges, and a retry or two */

typedef enum {
    STATE_LOADING,
    STATE_FETCHING,
    STATE_CHECKING,
    STATE_CHOOSING, /* what of it is fetched */
    STATE_PREPARING,
    STATE_APPLYING,
    STATE_PROVING,
    STATE_TELLING, /* the PCR policy server of what it will measure */
    STATE_POSTINST,
    STATE_COMMITTING,
    STATE_ENDING, /* waits for the threads */
    STATE_DONE,   /* on_done was called */
} InstallState;

static const InstallPhase state_phases[] = {
        [STATE_LOADING] = INSTALL_STARTING,
        [STATE_FETCHING] = INSTALL_STARTING,
        [STATE_CHECKING] = INSTALL_STARTING,
        [STATE_CHOOSING] = INSTALL_STARTING,
        [STATE_PREPARING] = INSTALL_PREPARING,
        [STATE_APPLYING] = INSTALL_DOWNLOADING,
        [STATE_PROVING] = INSTALL_VERIFYING,
        [STATE_TELLING] = INSTALL_VERIFYING,
        [STATE_POSTINST] = INSTALL_VERIFYING,
        [STATE_COMMITTING] = INSTALL_COMMITTING,
};

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
    InstallPlan plan;
    uint64_t n_bytes_read; /* beside what download and transfer count */
    uint64_t n_requests;   /* the same */

    Download *download;
    Transfer *transfer;
    PolicyPost *policy_post;

    UpdateError code; /* of the first failure */
    ErrorText error;
    bool is_forgotten; /* ENDING: what could be resumed was removed */
};

/* --- progress ---------------------------------------------------------------------------- */

static uint64_t n_bytes_fetched(const Install *install)
{
    uint64_t n = install->n_bytes_read;
    if (install->download)
        n += download_n_bytes(install->download);
    if (install->transfer)
        n += transfer_n_bytes_read(install->transfer);
    return n;
}

static uint64_t n_requests(const Install *install)
{
    return install->n_requests + (install->download ? download_n_requests(install->download) : 0);
}

static void measure(const Install *install, InstallProgress *progress)
{
    switch (install->state) {
    case STATE_FETCHING:
        download_metadata_progress(
                install->download, &progress->n_bytes_done, &progress->n_bytes_total);
        return;
    case STATE_APPLYING:
        progress->n_bytes_done = transfer_n_bytes_done(install->transfer);
        progress->n_bytes_total = install->work.metadata.n_payload_bytes;
        return;
    case STATE_PROVING:
        progress->n_bytes_done = atomic_load(&install->work.n_bytes_proven);
        progress->n_bytes_total = install->work.content.size_bytes;
        return;
    case STATE_TELLING:
    case STATE_POSTINST:
    case STATE_COMMITTING:
        progress->n_bytes_done = progress->n_bytes_total = install->work.content.size_bytes;
        return;
    case STATE_LOADING:
    case STATE_CHECKING:
    case STATE_CHOOSING:
    case STATE_PREPARING:
    case STATE_ENDING:
    case STATE_DONE:
        return;
    }
}

static void report_progress(Install *install)
{
    if (!install->handlers.on_progress || install->state >= STATE_ENDING)
        return;
    InstallProgress progress = {
            .phase = install->phase,
            .n_bytes_fetched = n_bytes_fetched(install),
            .n_requests = n_requests(install),
            .plan = install->plan,
            .version = install->version,
            .warning = install->warning.line,
    };
    measure(install, &progress);
    install->handlers.on_progress(install, &progress, install->userdata);
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
    if (state != STATE_ENDING)
        install->phase = state_phases[state];
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
    if (install->state == STATE_CHOOSING || install->state == STATE_PREPARING)
        install->plan = work->plan;
    if (work->warning.line[0])
        install->warning = work->warning;
    if (install->state == STATE_CHECKING && work->file_fd >= 0)
        install->n_bytes_read = work->metadata.header.n_metadata_bytes;
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

static int need_download(Install *install)
{
    if (install->download)
        return 0;
    return download_new(
            install->event, install->http, &install->work, wake, install, &install->download);
}

static void start_fetching(Install *install)
{
    if (need_download(install) < 0) {
        fail(install, UPDATE_ERROR_GENERIC, "not enough memory to download");
        return;
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
            install->handlers.on_accepted(install, install->work.content.version, &install->plan,
                    install->userdata, &error) < 0) {
        fail(install, UPDATE_ERROR_GENERIC, error.line);
        return;
    }
    start_step(install, STATE_PREPARING, install_work_prepare);
}

static void start_applying(Install *install)
{
    /* Resumed with kept metadata: the download begins with the first missing blob. */
    if ((!install->options->file_path && need_download(install) < 0) ||
            transfer_new(install->pool, &install->work, install->download, wake, install,
                    &install->transfer) < 0) {
        fail(install, UPDATE_ERROR_GENERIC, "not enough memory to install");
        return;
    }
    set_state(install, STATE_APPLYING);
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

/* Network and buffers are given back; their counts stay. */
static void end_transfer(Install *install)
{
    if (install->transfer)
        install->n_bytes_read += transfer_n_bytes_read(install->transfer);
    if (install->download) {
        install->n_bytes_read += download_n_bytes(install->download);
        install->n_requests += download_n_requests(install->download);
    }
    download_free(TAKE_PTR(install->download));
    transfer_free(TAKE_PTR(install->transfer));
}

static void step_applying(Install *install)
{
    UpdateError code;
    const char *error;
    switch (transfer_step(install->transfer, &code, &error)) {
    case TRANSFER_GOES_ON:
        break;
    case TRANSFER_COMPLETE:
        end_transfer(install);
        start_step(install, STATE_PROVING, install_work_prove);
        break;
    case TRANSFER_FAILED:
        fail(install, code, error);
        break;
    }
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

static void start_postinst(Install *install)
{
    ErrorText error = {0};
    if (install->handlers.on_postinst &&
            install->handlers.on_postinst(
                    install, &install->work.content, install->userdata, &error) < 0)
        fail(install, UPDATE_ERROR_GENERIC, error.line);
    else
        start_step(install, STATE_POSTINST, install_work_postinst);
}

/* All is proven, and who must know of it does. */
static void end_install(Install *install)
{
    if (install->options->postinst_limit_usec > 0)
        start_postinst(install);
    else
        commit(install);
}

static void on_told(const char *error, void *userdata)
{
    Install *install = userdata;
    policy_post_free(TAKE_PTR(install->policy_post));
    if (error)
        fail(install, UPDATE_ERROR_POLICY_POST, error);
    else
        end_install(install);
}

static void tell_policy(Install *install)
{
    const InstallWork *work = &install->work;
    if (!work->policy) {
        end_install(install);
        return;
    }
    set_state(install, STATE_TELLING);
    if (policy_post_new(install->event, install->http, install->options->policy_url, work->policy,
                work->n_policy_bytes, install->options->retry_delay_usec, on_told, install,
                &install->policy_post) < 0)
        fail(install, UPDATE_ERROR_GENERIC, "not enough memory to send the PCR policy");
}

static void keep_checkpoint(Install *install, uint64_t now_usec)
{
    transfer_tick(install->transfer, now_usec);
    int r = transfer_checkpoint_failure(install->transfer);
    if (r < 0 && !install->warning.line[0])
        error_say(&install->warning, r,
                "the progress cannot be saved (%s): after an interruption it is downloaded again",
                strerror(-r));
}

/* What is fetched twice, or passed over, where a server does not do what it was asked for. */
static void watch_plan(Install *install)
{
    uint64_t n_planned_bytes = install->plan.n_fetch_bytes;
    if (install->plan.way != INSTALL_ADAPTIVE || install->plan.is_fallback || !install->download ||
            n_bytes_fetched(install) <= n_planned_bytes + n_planned_bytes / 8 + PLAN_SLACK_BYTES)
        return;
    const char *reason = download_why_more(install->download);
    install->plan.is_fallback = true;
    install->plan.n_fetch_bytes = install->plan.n_whole_bytes;
    error_say(&install->plan.reason, 0, "%s",
            reason[0] ? reason : "what was fetched or found here had to be fetched again");
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    Install *install = userdata;
    if (install->state == STATE_APPLYING)
        keep_checkpoint(install, usec);
    if (install->state == STATE_APPLYING)
        watch_plan(install);
    report_progress(install);
    (void)sd_event_source_set_time_relative(source, TICK_USEC);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* --- the end ----------------------------------------------------------------------------- */

static void finish(Install *install)
{
    const InstallResult result = {
            .code = install->code,
            .error = install->error.line,
            .is_url_fault = !install->options->file_path && install_fault_is_url(install->code),
            .content = install->code == UPDATE_OK ? &install->work.content : NULL,
            .n_bytes_fetched = n_bytes_fetched(install),
            .n_requests = n_requests(install),
            .plan = install->plan,
    };
    (void)sd_event_source_set_enabled(install->tick_source, SD_EVENT_OFF);
    install->handlers.on_done(install, &result, install->userdata);
}

static void step_ending(Install *install)
{
    if (install->step_job.is_busy || (install->transfer && transfer_is_busy(install->transfer)))
        return;
    end_transfer(install);
    if (install->work.may_be_flipped) {
        install->step = install_work_undo;
        worker_pool_submit(install->pool, &install->step_job);
        return;
    }
    if (!install->is_forgotten && install->work.target &&
            install_fault_is_kept(install->code, install->work.is_resumed)) {
        install->is_forgotten = true;
        install->step = install_work_forget;
        worker_pool_submit(install->pool, &install->step_job);
        return;
    }
    install->state = STATE_DONE;
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
            start_step(install, STATE_CHOOSING, install_choice_make);
        else
            start_fetching(install);
        break;
    case STATE_CHOOSING:
        accept_payload(install);
        break;
    case STATE_PREPARING:
        start_applying(install);
        break;
    case STATE_APPLYING:
        step_applying(install);
        break;
    case STATE_PROVING:
        tell_policy(install);
        break;
    case STATE_TELLING:
        break;
    case STATE_POSTINST:
        commit(install);
        break;
    case STATE_COMMITTING:
        set_state(install, STATE_ENDING);
        step_ending(install);
        break;
    case STATE_ENDING:
        step_ending(install);
        break;
    case STATE_DONE:
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
    install_work_init(&install->work, NULL, &install->is_cancelled);
    int r = install_options_copy(options, &install->options);
    if (r < 0)
        return r;
    install->work.options = install->options;
    r = worker_pool_new(event, install->options->n_threads + SETTLING_JOBS, &install->pool);
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
    if (install->work.may_be_flipped)
        (void)install_work_undo(&install->work, NULL);
    download_free(install->download);
    transfer_free(install->transfer);
    policy_post_free(install->policy_post);
    sd_event_source_disable_unref(install->step_source);
    sd_event_source_disable_unref(install->tick_source);
    install_work_done(&install->work);
    install_options_free(install->options);
    sd_event_unref(install->event);
    free(install);
}
