/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/log.h"
#include "updater/engine/offer.h"

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
    engine->delta_error.line[0] = '\0';
    if (is_bad)
        error_say(&engine->delta_error, 0, "the delta from version %s failed before",
                delta->delta_from);
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
    return true;
}

/* That it is not the delta stays visible. */
static void add_delta_error(const Engine *engine, ErrorText *line)
{
    size_t n = strlen(line->line);
    if (n > 0 && engine->delta_error.line[0])
        snprintf(line->line + n, sizeof(line->line) - n, "; %s", engine->delta_error.line);
}

void engine_follow_fetch(Engine *engine, const InstallProgress *progress)
{
    EngineFetch *fetch = &engine->fetch;
    fetch->n_fetched_bytes = progress->n_bytes_fetched;
    fetch->n_requests = progress->n_requests;
    /* Before, an earlier try's part of it is not counted yet. */
    if (progress->phase != INSTALL_DOWNLOADING ||
            (progress->plan.way == fetch->plan.way &&
                    progress->plan.is_fallback == fetch->plan.is_fallback))
        return;
    fetch->plan = progress->plan;
    install_plan_say(&fetch->plan, &fetch->line);
    add_delta_error(engine, &fetch->line);
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
    fetch->n_fetched_bytes = result->n_bytes_fetched;
    fetch->n_requests = result->n_requests;
    install_plan_say_end(&fetch->plan, fetch->n_fetched_bytes, fetch->n_requests, &fetch->line);
    add_delta_error(engine, &fetch->line);
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
    engine->fetch = (EngineFetch){};
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_DEFERRED, UPDATE_ERROR_BUDGET, "");
    engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text.line);
}
