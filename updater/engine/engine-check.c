/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <fcntl.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/random.h"
#include "updater/engine/offer.h"

/* Asking the server: the timer that begins it, request with the events that wait, answer, decision,
 * and then either the end of the task or an install. */

#define DEVELOPER_FILE "root/.dev_mode" /* update_engine's */
#define RESUME_RETRY_MIN_USEC (5 * USEC_PER_SEC)
#define RESUME_RETRY_MAX_USEC (10 * USEC_PER_MINUTE)

static int on_check_timer(sd_event_source *source, uint64_t usec, void *userdata);

void engine_arm_check(Engine *engine, uint64_t wait_usec)
{
    uint64_t now = clock_now_usec(CLOCK_BOOTTIME);
    if (wait_usec == UINT64_MAX) {
        CheckSettings settings = {7 * USEC_PER_MINUTE, 45 * USEC_PER_MINUTE, 11};
        if (engine->config)
            settings = (CheckSettings){engine->config->first_check_usec,
                    engine->config->poll_interval_usec, engine->config->poll_jitter_percent};
        if (!engine->check_timer)
            check_schedule_start(&engine->schedule, &settings, now, random_uint64());
        else
            check_schedule_plan(
                    &engine->schedule, &settings, &engine->check_result, now, random_uint64());
        wait_usec = check_schedule_wait_usec(&engine->schedule, now);
    }
    int r = 0;
    if (!engine->check_timer)
        r = sd_event_add_time(engine->event, &engine->check_timer, CLOCK_BOOTTIME, now + wait_usec,
                0, on_check_timer, engine);
    else
        r = sd_event_source_set_time(engine->check_timer, now + wait_usec);
    if (r >= 0)
        r = sd_event_source_set_enabled(engine->check_timer, SD_EVENT_ONESHOT);
    if (r < 0)
        log_error("cannot plan the next check: %s", strerror(-r));
    engine->next_check_realtime_usec = clock_now_usec(CLOCK_REALTIME) + wait_usec;
}

/* The answer, and no answer, are facts for the schedule. */
static void plan_next(Engine *engine, const OmahaOutcome *outcome)
{
    engine->check_result = (CheckResult){
            .http_status = outcome->http_status,
            .poll_interval_sec = outcome->response ? outcome->response->poll_interval_sec : 0,
            .retry_after_sec = outcome->retry_after_sec,
    };
    engine_arm_check(engine, UINT64_MAX);
    /* The network may need a while longer than we do after a reboot. */
    if (engine->request.is_resumed && outcome->code == UPDATE_ERROR_OMAHA_REQUEST) {
        uint64_t wait = backoff_usec(
                ++engine->n_resume_failures, RESUME_RETRY_MIN_USEC, RESUME_RETRY_MAX_USEC);
        engine_arm_check(engine, backoff_jitter_usec(wait, wait / 4, random_uint64()));
    }
}

static void fail(Engine *engine, const OmahaOutcome *outcome)
{
    /* The server can hear of a bad answer, not of being out of reach. */
    bool is_answer =
            outcome->code != UPDATE_ERROR_OMAHA_REQUEST && outcome->code < UPDATE_ERROR_HTTP_BASE;
    if (is_answer)
        engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, outcome->code, "");
    engine_finish(engine, ENGINE_FAILED, outcome->code, outcome->error);
}

/* Says a lasting refusal once per version; true the first time. */
static bool is_first_refusal(Engine *engine, const char *version)
{
    if (engine->refused_version && strcmp(engine->refused_version, version) == 0)
        return false;
    free(engine->refused_version);
    engine->refused_version = strdup(version);
    return true;
}

static void refuse_downgrade(Engine *engine, const char *text)
{
    if (engine->request.is_explicit || is_first_refusal(engine, engine->new_version))
        engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR,
                UPDATE_ERROR_DOWNGRADE, "");
    engine_finish(engine, ENGINE_FAILED, UPDATE_ERROR_DOWNGRADE, text);
}

/* Whether it leaves nothing for an install that was interrupted to go on with. */
static bool is_final(OfferDecision decision)
{
    switch (decision) {
    case OFFER_NOTHING:
    case OFFER_ALREADY_RUNS:
    case OFFER_ALREADY_WAITS:
    case OFFER_FAILED_BEFORE:
    case OFFER_DOWNGRADE:
        return true;
    case OFFER_NOT_NOW:
    case OFFER_BACK_OFF:
    case OFFER_INSTALL:
        return false;
    }
    return false;
}

/* A person's request is refused by the install itself, with the reason. */
static void wait_until_good(Engine *engine)
{
    ErrorText text;
    error_say(&text, 0, "version %s is available; it waits until %s, which runs, is marked good",
            engine->new_version, engine->running_label);
    engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text.line);
}

static void act(Engine *engine, OfferDecision decision, const char *text)
{
    if (decision != OFFER_INSTALL)
        engine->deferred.line[0] = '\0';
    /* What a person allowed for that install is not allowed for the next. */
    if (engine->request.is_resumed && is_final(decision))
        engine->state->has_interrupted = false;
    switch (decision) {
    case OFFER_NOTHING:
    case OFFER_ALREADY_RUNS:
    case OFFER_ALREADY_WAITS:
        engine_finish(engine, ENGINE_NO_UPDATE, UPDATE_OK, text);
        return;
    case OFFER_FAILED_BEFORE:
        if (is_first_refusal(engine, engine->new_version))
            log_notice("%s", text);
        /* Not a success: what failed is still what an administrator should see. */
        engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text);
        return;
    case OFFER_NOT_NOW:
        engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text);
        return;
    case OFFER_DOWNGRADE:
        refuse_downgrade(engine, text);
        return;
    case OFFER_BACK_OFF:
        if (engine->request.task == ENGINE_UPDATE)
            engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_DEFERRED,
                    UPDATE_ERROR_BACKOFF, "");
        engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text);
        return;
    case OFFER_INSTALL:
        break;
    }
    if (engine->request.task == ENGINE_CHECK) {
        engine_finish(engine, ENGINE_DONE, UPDATE_OK, text);
        return;
    }
    if (!engine->request.is_explicit && !engine_runs_what_is_good(engine)) {
        wait_until_good(engine);
        return;
    }
    log_notice("%s", text);
    engine_choose_delta(engine);
    engine_start_install(engine, engine->offer);
}

static void on_checked(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata)
{
    (void)exchange;
    Engine *engine = userdata;
    plan_next(engine, outcome);
    if (outcome->code != UPDATE_OK) {
        fail(engine, outcome);
        return;
    }
    engine->n_resume_failures = 0;
    engine_reports_delivered(engine, engine->n_events_sent);
    engine->n_events_sent = 0;
    engine->state->last_checked_usec = clock_now_usec(CLOCK_REALTIME);
    const OmahaResponse *response = outcome->response;
    engine->offer = response;
    if (response->verdict == OMAHA_UPDATE) {
        (void)download_policy_bind(&engine->state->policy, response);
        printable_copy(engine->new_version, sizeof(engine->new_version), response->version);
    }
    OfferContext context = {
            .running_version = engine->config->version,
            .allows_downgrade = engine->request.allows_downgrade || engine->config->allow_downgrade,
            .is_explicit = engine->request.is_explicit,
            .is_resumed = engine->request.is_resumed,
            .now_sec = clock_now_usec(CLOCK_REALTIME) / USEC_PER_SEC,
    };
    ErrorText text = {};
    OfferDecision decision = offer_decide(response, engine->state, &context, &text);
    act(engine, decision, text.line);
}

void engine_start_check(Engine *engine, const EngineRequest *request)
{
    engine_look_at_table(engine);
    engine_settle_boot_again(engine);
    engine_begin(engine, request, ENGINE_CHECKING);
    engine->may_offer_name_hosts = offer_may_name_hosts(engine->config->server);
    /* Events that are on their way by themselves would be sent twice. */
    size_t n_events = 0;
    const OmahaEvent *events = event_outbox_peek(engine->outbox, &n_events);
    if (engine->report)
        n_events = 0;
    OmahaIdentity identity = engine_omaha_identity(engine, request->is_explicit);
    OmahaEvent steady = {OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, ""};
    _cleanup_free_ char *xml = NULL;
    int r = omaha_request_check(
            &identity, n_events > 0 ? events : &steady, n_events > 0 ? n_events : 1, &xml);
    engine->n_events_sent = n_events;
    if (r == 0)
        r = omaha_exchange_new(engine->http, engine->config->server, xml, identity.app_id, true,
                on_checked, engine, &engine->exchange);
    if (r < 0) {
        OmahaOutcome outcome = {.code = UPDATE_ERROR_OMAHA_REQUEST};
        plan_next(engine, &outcome);
        engine_finish(engine, ENGINE_FAILED, UPDATE_ERROR_OMAHA_REQUEST, strerror(-r));
    }
}

/* Goes on with what a restart cut. */
static void resume(Engine *engine)
{
    const InterruptedInstall *interrupted = &engine->state->interrupted;
    EngineRequest request = {
            .task = interrupted->source[0] ? ENGINE_INSTALL : ENGINE_UPDATE,
            .is_explicit = interrupted->is_explicit,
            .is_resumed = true,
            .allows_downgrade = interrupted->allows_downgrade,
    };
    memcpy(request.source, interrupted->source, sizeof(request.source));
    memcpy(request.version, interrupted->version, sizeof(request.version));
    memcpy(request.extensions, interrupted->extensions, sizeof(request.extensions));
    if (request.task == ENGINE_UPDATE) {
        engine_start_check(engine, &request);
        return;
    }
    engine_begin(engine, &request, ENGINE_STARTING);
    engine_start_install(engine, NULL);
}

/* Whoever tries builds of their own there does not want them replaced. */
static bool is_developers(const Engine *engine)
{
    bool is_theirs = faccessat(engine->root_fd, DEVELOPER_FILE, F_OK, 0) == 0;
    if (is_theirs)
        log_info("/" DEVELOPER_FILE " is there: no update by itself");
    return is_theirs;
}

static int on_check_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Engine *engine = userdata;
    engine->schedule.next_usec = 0;
    if (engine_is_free(engine) && engine_load_config(engine, NULL) == 0) {
        if (engine->state->has_interrupted &&
                (engine->config->server || engine->state->interrupted.source[0])) {
            resume(engine);
            return 0;
        }
        if (engine->config->server && !is_developers(engine)) {
            engine_start_check(engine, &(EngineRequest){.task = ENGINE_UPDATE});
            return 0;
        }
    }
    /* Nothing was started that would look at the table, and plan the next check at its end. */
    engine_look_at_table(engine);
    engine->check_result = (CheckResult){};
    engine_arm_check(engine, UINT64_MAX);
    return 0;
}
