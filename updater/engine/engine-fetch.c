/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/byte-count.h"
#include "common/log.h"
#include "updater/engine/offer.h"
#include "updater/install/checkpoint.h"

/* What an install costs of the network: said when it is known and at its end, kept until the next
 * one, and held against the machine's budget. That less than all would have done is a warning: an
 * operator who counts on it should hear of it. */

static void log_fetch(const Engine *engine, bool is_warning, const char *line)
{
    const LogField fields[] = {
            {"FLIPSIDE_VERSION", engine->new_version},
            {"FLIPSIDE_WAY", install_way_text(engine->fetch.plan.way)},
            {},
    };
    log_fields(is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, fields, "%s", line);
}

uint64_t engine_budget_bytes(const Engine *engine)
{
    return engine->request.is_explicit ? 0 : engine->config->download_budget_bytes;
}

void engine_choose_delta(Engine *engine)
{
    const OmahaPackage *delta =
            offer_delta(engine->offer, engine->config->version, engine_budget_bytes(engine));
    bool is_bad =
            delta && engine->has_bad_delta && sha256_equal(&delta->sha256, &engine->bad_delta);
    engine->delta = is_bad ? NULL : delta;
    engine->is_weighing = false;
    engine->ways.line[0] = engine->delta_error.line[0] = '\0';
    if (is_bad)
        error_say(&engine->delta_error, 0, "the delta from version %s failed before",
                delta->delta_from);
    if (!engine->delta || checkpoint_has_begun(engine->state_fd, &delta->sha256))
        return;
    if (checkpoint_has_begun(engine->state_fd, &engine->offer->payload_sha256))
        engine->delta = NULL;
    else
        engine->is_weighing = engine->running_label[0] && offer_is_weighed(engine->offer, delta);
}

/* What the look has cost is spent either way. */
static void say_ways(Engine *engine, const InstallPlan *plan)
{
    error_say(&engine->ways, 0, "to choose from: delta %s, %s %s",
            byte_count_text(engine->delta->size_bytes).text, install_way_text(plan->way),
            byte_count_text(plan->n_left_bytes).text);
}

bool engine_prefers_delta(Engine *engine, const InstallPlan *plan)
{
    if (!engine->is_weighing)
        return false;
    say_ways(engine, plan);
    if (engine->delta->size_bytes <= plan->n_left_bytes)
        return true;
    engine->is_weighing = false;
    engine->delta = NULL;
    return false;
}

bool engine_turns_to_delta(Engine *engine, const InstallResult *result)
{
    if (!engine->is_weighing)
        return false;
    engine->is_weighing = false;
    if (result->code == UPDATE_ERROR_BUDGET)
        say_ways(engine, &result->plan);
    if (!engine->ways.line[0])
        log_warning("what the full payload costs here is not known: %s (error %d); the delta from "
                    "version %s is fetched",
                result->error, (int)result->code, engine->delta->delta_from);
    return true;
}

bool engine_leaves_delta(Engine *engine, const InstallResult *result)
{
    static const UpdateError codes[] = {UPDATE_ERROR_SOURCE, UPDATE_ERROR_MANIFEST,
            UPDATE_ERROR_OPERATION, UPDATE_ERROR_PARTITION_HASH, UPDATE_ERROR_VERITY,
            UPDATE_ERROR_VERSION_REFUSED, UPDATE_ERROR_SIGNATURE, UPDATE_ERROR_NO_PARTITION_INFO};
    bool is_its_fault = result->is_url_fault;
    for (size_t i = 0; i < ELEMENTS(codes); i++)
        is_its_fault |= result->code == codes[i];
    if (!engine->delta || !is_its_fault)
        return false;
    log_warning("the delta from version %s will not do: %s (error %d); the full payload is "
                "fetched",
            engine->delta->delta_from, result->error, (int)result->code);
    error_say(&engine->delta_error, 0, "the delta from version %s failed: %s",
            engine->delta->delta_from, result->error);
    engine->has_bad_delta = true;
    engine->bad_delta = engine->delta->sha256;
    engine->delta = NULL;
    engine->ways.line[0] = '\0';
    return true;
}

/* That it is not the delta stays visible, and why it is this way. */
static void add_reasons(const Engine *engine, ErrorText *line)
{
    const ErrorText *reasons[] = {&engine->ways, &engine->delta_error};
    for (size_t i = 0; i < ELEMENTS(reasons); i++) {
        size_t n = strlen(line->line);
        if (n > 0 && reasons[i]->line[0])
            snprintf(line->line + n, sizeof(line->line) - n, "; %s", reasons[i]->line);
    }
}

void engine_begin_fetch(Engine *engine)
{
    engine->fetch = (EngineFetch){};
}

void engine_begin_fetch_again(Engine *engine, const InstallResult *result)
{
    const EngineFetch *fetch = &engine->fetch;
    engine->fetch = (EngineFetch){
            .n_bytes_before = fetch->n_bytes_before + result->n_bytes_fetched,
            .n_requests_before = fetch->n_requests_before + result->n_requests,
    };
}

static void count(EngineFetch *fetch, uint64_t n_bytes, uint64_t n_requests)
{
    fetch->n_fetched_bytes = fetch->n_bytes_before + n_bytes;
    fetch->n_requests = fetch->n_requests_before + n_requests;
}

/* What a delta saves is held against the full payload, where one is offered. */
static void keep_plan(Engine *engine, const InstallPlan *plan)
{
    engine->fetch.plan = *plan;
    if (engine->delta)
        engine->fetch.plan.n_whole_bytes = engine->offer->packages[0].size_bytes;
}

void engine_follow_fetch(Engine *engine, const InstallProgress *progress)
{
    EngineFetch *fetch = &engine->fetch;
    count(fetch, progress->n_bytes_fetched, progress->n_requests);
    /* Before, an earlier try's part of it is not counted yet. */
    if (progress->phase != INSTALL_DOWNLOADING ||
            (progress->plan.way == fetch->plan.way &&
                    progress->plan.is_fallback == fetch->plan.is_fallback))
        return;
    keep_plan(engine, &progress->plan);
    install_plan_say(&fetch->plan, &fetch->line);
    add_reasons(engine, &fetch->line);
    engine->deferred.line[0] = '\0';
    if (fetch->line.line[0])
        log_fetch(engine, fetch->plan.is_fallback || engine->delta_error.line[0], fetch->line.line);
    engine->observer->on_status(engine->userdata);
}

void engine_end_fetch(Engine *engine, const InstallResult *result)
{
    EngineFetch *fetch = &engine->fetch;
    if (fetch->plan.way == INSTALL_UNDECIDED)
        return;
    count(fetch, result->n_bytes_fetched, result->n_requests);
    install_plan_say_end(&fetch->plan, fetch->n_fetched_bytes, fetch->n_requests, &fetch->line);
    add_reasons(engine, &fetch->line);
    if (fetch->line.line[0])
        log_fetch(engine, false, fetch->line.line);
}

/* The same at each check until something changes: a line in the journal and the history once. */
void engine_defer(Engine *engine, const InstallResult *result)
{
    ErrorText text;
    error_say(&text, 0, "%s; tried again at the next check, 'flipside update' fetches it now",
            result->error);
    bool is_new = strcmp(engine->deferred.line, text.line) != 0;
    engine->deferred = text;
    if (is_new) {
        engine->fetch.plan = result->plan;
        log_fetch(engine, true, text.line);
        engine_remember(engine, "update", "deferred", engine->new_version, engine->target_label,
                UPDATE_ERROR_BUDGET, result->error);
    }
    engine_begin_fetch(engine);
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_DEFERRED, UPDATE_ERROR_BUDGET, "");
    engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text.line);
}
