/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/log.h"

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
    engine->deferred.line[0] = '\0';
    if (fetch->line.line[0])
        log_fetch(engine, fetch->plan.is_fallback, fetch->line.line);
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
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_DEFERRED, UPDATE_ERROR_BUDGET,
            "");
    engine_finish(engine, ENGINE_NOT_NOW, UPDATE_OK, text.line);
}
