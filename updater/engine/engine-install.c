/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "updater/engine/foreign-marks.h"
#include "updater/engine/offer.h"
#include "updater/omaha/download-policy.h"

/* From an offer (or a file, or a URL) to a flipped slot: the options, the state that goes to the
 * disk before the target is touched and before the flip, the events, the end. */

static EnginePhase phase_of(InstallPhase phase)
{
    switch (phase) {
    case INSTALL_STARTING:
        return ENGINE_STARTING;
    case INSTALL_PREPARING:
        return ENGINE_PREPARING;
    case INSTALL_DOWNLOADING:
        return ENGINE_DOWNLOADING;
    case INSTALL_VERIFYING:
        return ENGINE_VERIFYING;
    case INSTALL_COMMITTING:
        return ENGINE_COMMITTING;
    }
    return ENGINE_STARTING;
}

static void succeed(Engine *engine);

static void on_recorded(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    Engine *engine = userdata;
    if (r < 0) {
        log_warning("the running slot is not recorded, a rollback to it could not be verified: %s",
                error->line);
    } else {
        engine_state_set_slot(engine->state, engine->running_label, slot_task_content(task));
        (void)engine_save(engine, NULL);
    }
    slot_task_free(TAKE_PTR(engine->record_task));
    if (engine->is_flipped)
        succeed(engine);
}

/* Then a rollback proves it by that. */
static bool describes_itself(const Engine *engine, const char *label)
{
    TrailerFault fault;
    SlotTrailer trailer;
    return engine_read_trailer(engine, label, &fault, &trailer, NULL) == 0 &&
           fault == TRAILER_VALID && trailer.tree_bytes > 0;
}

static void record_running_slot(Engine *engine)
{
    const char *label = engine->running_label;
    if (!label[0] || engine->record_task)
        return;
    const SlotContent *known = engine_state_slot(engine->state, label);
    if ((known && strcmp(known->version, engine->config->version) == 0) ||
            describes_itself(engine, label))
        return;
    SlotContent content = {};
    snprintf(content.version, sizeof(content.version), "%s", engine->config->version);
    snprintf(content.product, sizeof(content.product), "%s", engine->config->product);
    SlotTaskOptions options = {.kind = SLOT_TASK_RECORD,
            .disk_path = engine->disk_path,
            .label = label,
            .content = &content};
    int r = slot_task_new(engine->event, &options, on_recorded, engine, &engine->record_task);
    if (r < 0)
        log_warning("the running slot is not recorded: %s", strerror(-r));
}

/* The download has just come to its end: a payload that fails from here on is not fetched again
 * every hour. */
static void on_downloaded(Engine *engine)
{
    engine_report(engine, OMAHA_EVENT_DOWNLOAD_FINISHED, OMAHA_RESULT_SUCCESS, 0, "");
    if (engine->offer && !engine->delta)
        download_policy_on_complete(&engine->state->policy, engine->offer,
                clock_now_usec(CLOCK_REALTIME) / USEC_PER_SEC, random_uint64());
}

static void on_phase(Engine *engine, EnginePhase phase)
{
    switch (phase) {
    case ENGINE_DOWNLOADING:
        engine_report(engine, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");
        break;
    case ENGINE_VERIFYING:
        on_downloaded(engine);
        break;
    case ENGINE_IDLE:
    case ENGINE_CHECKING:
    case ENGINE_STARTING:
    case ENGINE_PREPARING:
    case ENGINE_COMMITTING:
    case ENGINE_ROLLING_BACK:
    case ENGINE_NEED_REBOOT:
    case ENGINE_REPORTING_ERROR:
        break;
    }
    engine_set_phase(engine, phase);
}

static void on_progress(Install *install, const InstallProgress *progress, void *userdata)
{
    (void)install;
    Engine *engine = userdata;
    engine->progress = *progress;
    if (progress->version[0])
        snprintf(engine->new_version, sizeof(engine->new_version), "%s", progress->version);
    engine->progress.version = engine->new_version;
    if (progress->warning[0] && !engine->has_warned)
        log_warning("%s", progress->warning);
    engine->has_warned = progress->warning[0];
    engine->progress.warning = "";
    if (engine->offer && progress->phase == INSTALL_DOWNLOADING && progress->n_bytes_fetched > 0)
        (void)download_policy_on_bytes(&engine->state->policy);
    engine_follow_fetch(engine, progress);
    EnginePhase phase = phase_of(progress->phase);
    if (phase != engine->phase)
        on_phase(engine, phase);
    else
        engine->observer->on_progress(engine->userdata);
}

static int on_accepted(Install *install, const char *version, const InstallPlan *plan,
        void *userdata, ErrorText *error)
{
    (void)install;
    Engine *engine = userdata;
    EngineState *state = engine->state;
    /* An Omaha answer need not name its version: then this is the first time that we see it. */
    if (!engine->request.is_explicit && strcmp(version, engine->config->version) == 0)
        return error_say(error, -EALREADY, "version %s runs already", version);
    bool allows_downgrade = engine->request.allows_downgrade || engine->config->allow_downgrade;
    if (!engine->request.is_explicit && !allows_downgrade &&
            offer_is_older_than_pending(state, version))
        return error_say(error, -EALREADY,
                "version %s is older than the one that waits for its reboot", version);
    if (!engine->request.is_explicit && engine_state_has_failed(state, version))
        return error_say(error, -EALREADY, "version %s failed here before", version);
    if (engine_prefers_delta(engine, plan))
        return error_say(error, -ECANCELED, "the delta is cheaper");
    /* What waited for its reboot, and what was known of the slot, ends here; but not if this
     * install fails before it has touched the slot. */
    if (engine_state_waits(state))
        state->pending.is_replaced = true;
    const SlotContent *old = engine_state_slot(state, engine->target_label);
    engine->has_old_content = old;
    if (old)
        engine->old_content = *old;
    engine_state_set_slot(state, engine->target_label, NULL);
    state->has_interrupted = true;
    state->interrupted = (InterruptedInstall){
            .is_explicit = engine->request.is_explicit,
            .allows_downgrade = engine->request.allows_downgrade,
    };
    memcpy(state->interrupted.source, engine->request.source, sizeof(state->interrupted.source));
    memcpy(state->interrupted.version, engine->request.version, sizeof(state->interrupted.version));
    memcpy(state->interrupted.extensions, engine->request.extensions,
            sizeof(state->interrupted.extensions));
    return engine_save(engine, error);
}

/* A power cut may hit after the program's own flip, and the next boot must know what it runs. */
static int on_postinst(
        Install *install, const SlotContent *content, void *userdata, ErrorText *error)
{
    (void)install;
    Engine *engine = userdata;
    engine_set_pending(engine, content->version, false);
    engine->state->pending.awaits_postinst = true;
    engine_state_set_slot(engine->state, engine->target_label, content);
    engine->has_old_content = false;
    log_info("version %s is proven in %s: its postinst is run", content->version,
            engine->target_label);
    int r = engine_save(engine, error);
    /* The program takes the server's answer for this update's when it is not older than the
     * previous version beside it. */
    if (r >= 0)
        engine_keep_answer(engine);
    return r;
}

static int on_commit(Install *install, const SlotContent *content, void *userdata, ErrorText *error)
{
    (void)install;
    Engine *engine = userdata;
    engine_set_pending(engine, content->version, false);
    engine_state_set_slot(engine->state, engine->target_label, content);
    engine->has_old_content = false;
    return engine_save(engine, error);
}

static void succeed(Engine *engine)
{
    EngineState *state = engine->state;
    engine->is_flipped = false;
    state->pending.is_flipped = true;
    state->has_interrupted = false;
    /* Its back-off was for the case that it would fail here. */
    state->policy = (DownloadPolicy){};
    engine_state_remove_failed(state, state->pending.version);
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS, 0, "");
    ErrorText text;
    error_say(&text, 0, "version %s is installed in %s; reboot to run it", state->pending.version,
            state->pending.label);
    engine_remember(engine, engine->request.task == ENGINE_INSTALL ? "install" : "update", "done",
            state->pending.version, state->pending.label, 0, engine->ways.line);
    engine_finish(engine, ENGINE_DONE, UPDATE_OK, text.line);
}

void engine_forget_install(Engine *engine)
{
    bool was_accepted = engine->state->has_interrupted;
    engine->state->has_interrupted = false;
    /* A flip that failed may have been made, and what was to be replaced may still stand. */
    if (was_accepted)
        engine_settle_target(engine, true);
}

static void fail(Engine *engine, UpdateError code, const char *text)
{
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, code, "");
    engine_remember(engine, engine->request.task == ENGINE_INSTALL ? "install" : "update", "failed",
            engine->new_version, engine->target_label, code, text);
    engine_forget_install(engine);
    engine_finish(engine, ENGINE_FAILED, code, text);
}

/* Whether the policy moved on to another URL that was not tried in this round. */
static bool has_other_url(Engine *engine, UpdateError code)
{
    if (!engine->offer)
        return false;
    DownloadPolicy *policy = &engine->state->policy;
    unsigned n_attempts = policy->n_attempts, url = policy->url_index;
    (void)download_policy_on_failure(policy, engine->offer, code,
            clock_now_usec(CLOCK_REALTIME) / USEC_PER_SEC, random_uint64());
    return policy->n_attempts == n_attempts && policy->url_index != url;
}

static void start_install(Engine *engine, const OmahaResponse *offer);

/* With what is chosen now; inside the install's on_done. */
static void start_again(Engine *engine, const InstallResult *result)
{
    engine_begin_fetch_again(engine, result);
    install_free(TAKE_PTR(engine->install));
    start_install(engine, engine->offer);
}

static void on_installed(Install *install, const InstallResult *result, void *userdata)
{
    (void)install;
    Engine *engine = userdata;
    engine_end_fetch(engine, result);
    /* Who hears of the success may reboot at once, and then nobody could go back to a slot of which
     * it is not known what it holds. */
    engine->is_flipped = result->code == UPDATE_OK && engine->record_task;
    if (engine->is_flipped)
        return;
    if (result->code == UPDATE_OK) {
        succeed(engine);
        return;
    }
    if (engine_turns_to_delta(engine, result)) {
        start_again(engine, result);
        return;
    }
    if (result->code == UPDATE_ERROR_BUDGET) {
        engine_defer(engine, result);
        return;
    }
    if (engine_leaves_delta(engine, result)) {
        start_again(engine, result);
        return;
    }
    bool tries_next = has_other_url(engine, result->code) && result->is_url_fault;
    if (!tries_next) {
        fail(engine, result->code, result->error);
        return;
    }
    log_warning("%s; trying the next URL", result->error);
    start_again(engine, result);
}

static const InstallHandlers handlers = {
        .on_progress = on_progress,
        .on_accepted = on_accepted,
        .on_postinst = on_postinst,
        .on_commit = on_commit,
        .on_done = on_installed,
};

/* Who typed a URL means its host; what an offer names is to be trusted first. */
static void set_credentials(InstallOptions *options, const Engine *engine)
{
    const Config *config = engine->config;
    if (engine->offer && !engine->may_offer_name_hosts) {
        if (config->download_user)
            log_warning("DOWNLOAD_USER is not used: %s is not https, so anybody on the way could "
                        "name a host that is told the password",
                    engine->server_shown.text);
        return;
    }
    options->user = config->download_user;
    options->password = config->download_password;
}

static void set_source(InstallOptions *options, Engine *engine, const OmahaResponse *offer,
        const char **source_url)
{
    if (offer && engine->delta && !engine->is_weighing) {
        options->urls = engine->delta->urls;
        options->n_urls = offer->n_urls;
        options->max_failures_per_url = offer->max_failures_per_url;
        options->payload_bytes = engine->delta->size_bytes;
        options->has_payload_sha256 = true;
        options->payload_sha256 = engine->delta->sha256;
        options->offered_version = offer->version[0] ? offer->version : NULL;
    } else if (offer) {
        options->urls = offer->urls;
        options->n_urls = offer->n_urls;
        options->first_url = engine->state->policy.url_index;
        options->max_failures_per_url = offer->max_failures_per_url;
        options->payload_bytes = offer->packages[0].size_bytes;
        options->has_payload_sha256 = true;
        options->payload_sha256 = offer->payload_sha256;
        options->offered_version = offer->version[0] ? offer->version : NULL;
        options->metadata_bytes = offer->metadata_size_bytes;
        options->metadata_signature_base64 = offer->metadata_signature_base64;
    } else if (engine->request.source[0] == '/') {
        options->file_path = engine->request.source;
    } else {
        *source_url = engine->request.source;
        options->urls = source_url;
        options->n_urls = 1;
    }
    if (engine->request.version[0])
        options->offered_version = engine->request.version;
}

/* Where the kernels of payloads of format 1 lie: a machine that began as CoreOS has them below that
 * name. *ret_path is new. Errors: -ENOMEM. */
static int find_kernel_dir(const Engine *engine, char **ret_path)
{
    bool is_coreos = faccessat(engine->root_fd, "boot/coreos/vmlinuz-a", F_OK, 0) == 0 ||
                     faccessat(engine->root_fd, "boot/coreos/vmlinuz-b", F_OK, 0) == 0;
    const char *name = is_coreos ? "coreos" : FLIPSIDE_OS;
    return asprintf(ret_path, "%s/boot/%s", engine->root, name) < 0 ? -ENOMEM : 0;
}

static void start_install(Engine *engine, const OmahaResponse *offer)
{
    const Config *config = engine->config;
    if (!engine->disk_path[0] || engine->disk_error.line[0]) {
        /* It may have been repaired since. */
        engine->disk_error.line[0] = '\0';
        engine_find_slots(engine);
    }
    if (engine->disk_error.line[0]) {
        fail(engine, UPDATE_ERROR_OPEN_TARGET, engine->disk_error.line);
        return;
    }
    engine_settle_boot_again(engine);
    record_running_slot(engine);
    const char *source_url = NULL;
    InstallOptions options = {
            .disk_path = engine->disk_path,
            .running_label = engine->running_label[0] ? engine->running_label : NULL,
            .target_label = engine->target_label[0] ? engine->target_label : NULL,
            .key_dir = engine->key_dir,
            .product = config->product,
            .running_version = config->version,
            .allow_downgrade = engine->request.allows_downgrade || config->allow_downgrade,
            .boot_tries = config->boot_tries,
            .state_fd = engine->state_fd,
            .postinst_limit_usec = engine->postinst_limit_usec,
            .budget_bytes = engine_budget_bytes(engine),
            .rate_bytes_per_second = config->download_rate_bytes,
    };
    _cleanup_free_ char *kernel_dir = NULL;
    _cleanup_free_ char *prefs_dir = NULL;
    if (find_kernel_dir(engine, &kernel_dir) < 0 ||
            asprintf(&prefs_dir, "%s/" FOREIGN_PREFS_FOLDER, engine->root) < 0) {
        fail(engine, UPDATE_ERROR_GENERIC, strerror(ENOMEM));
        return;
    }
    options.kernel_dir = kernel_dir;
    options.policy_dir = config->policy_server ? engine->state_dir : NULL;
    options.policy_url = config->policy_server;
    if (engine->request.extensions[0])
        options.extensions = engine->request.extensions;
    options.prefs_dir = prefs_dir;
    options.app_id = config->app_id;
    set_source(&options, engine, offer, &source_url);
    set_credentials(&options, engine);
    engine_keep_answer(engine);
    if (engine->phase != ENGINE_STARTING)
        engine_set_phase(engine, ENGINE_STARTING);
    int r = install_new(engine->event, engine->http, &options, &handlers, engine, &engine->install);
    if (r < 0)
        fail(engine, UPDATE_ERROR_GENERIC, strerror(-r));
}

void engine_start_install(Engine *engine, const OmahaResponse *offer)
{
    engine_begin_fetch(engine);
    start_install(engine, offer);
}
