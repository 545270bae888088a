/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "updater/engine/foreign-marks.h"
#include "updater/engine/history.h"

/* One task at a time: engine_begin() says what is under way, the operations of the task report
 * to engine-check.c, engine-install.c and engine-rollback.c, and all ends lead to engine_finish().
 * Beside the task there are only the events that wait for the server, the hash of the running slot
 * and the timer of the next check. */

static const char *const task_texts[] = {
        [ENGINE_CHECK] = "check",
        [ENGINE_UPDATE] = "update",
        [ENGINE_INSTALL] = "install",
        [ENGINE_ROLLBACK] = "rollback",
};

void engine_set_phase(Engine *engine, EnginePhase phase)
{
    log_debug("%s -> %s", engine_phase_text(engine->phase), engine_phase_text(phase));
    engine->phase = phase;
    engine->observer->on_status(engine->userdata);
}

void engine_set_pending(Engine *engine, const char *version, bool is_rollback)
{
    PendingSlot pending = {.is_rollback = is_rollback};
    snprintf(pending.version, sizeof(pending.version), "%s", version);
    snprintf(pending.previous_version, sizeof(pending.previous_version), "%s",
            engine->config->version);
    memcpy(pending.label, engine->target_label, sizeof(pending.label));
    memcpy(pending.boot_id, engine->identity.boot_id, sizeof(pending.boot_id));
    engine->state->pending = pending;
    engine->state->has_pending = true;
}

static void warn_of_marks(Engine *engine, int r, const ErrorText *line)
{
    if (r < 0 && !engine->has_mark_error)
        log_warning("%s", line->line);
    engine->has_mark_error = r < 0;
}

/* The previous version is there before the flip: whoever boots next tells of the update. */
static ForeignMarks marks_of(const Engine *engine)
{
    const EngineState *state = engine->state;
    return (ForeignMarks){
            .is_waiting = engine_state_waits(state) && state->pending.is_flipped,
            .previous_version = state->has_pending ? state->pending.previous_version : "",
    };
}

void engine_write_marks(Engine *engine)
{
    if (!engine->has_old_prefs)
        return;
    ForeignMarks marks = marks_of(engine);
    ErrorText line = {};
    warn_of_marks(engine, foreign_marks_write(engine->root_fd, &marks, &line), &line);
}

void engine_keep_answer(Engine *engine)
{
    size_t n_bytes = 0;
    const char *xml = engine->offer ? omaha_exchange_body(engine->exchange, &n_bytes) : NULL;
    ErrorText line = {};
    warn_of_marks(engine, foreign_marks_keep_answer(engine->root_fd, xml, n_bytes, &line), &line);
}

int engine_save(Engine *engine, ErrorText *error)
{
    ErrorText line = {};
    ForeignMarks marks = marks_of(engine);
    /* So that a cut never leaves one that is not the state's: it would be update_engine's. */
    if (engine->has_old_prefs)
        (void)foreign_marks_withdraw(engine->root_fd, &marks);
    int r = engine_state_save(engine->state, engine->state_fd, &line);
    if (r < 0 && !engine->has_save_error)
        log_error("%s", line.line);
    engine->has_save_error = r < 0;
    if (r >= 0)
        engine_write_marks(engine);
    return r < 0 ? error_say(error, r, "%s", line.line) : 0;
}

void engine_remember(Engine *engine, const char *what, const char *result, const char *version,
        const char *slot, unsigned code, const char *text)
{
    const EngineFetch *fetch = &engine->fetch;
    bool is_install = strcmp(what, "update") == 0 || strcmp(what, "install") == 0;
    bool has_fetched = is_install && engine->install && fetch->n_fetched_bytes > 0;
    HistoryEntry entry = {
            .time_usec = clock_now_usec(CLOCK_REALTIME),
            .what = what,
            .result = result,
            .version = version,
            .previous = engine->config ? engine->config->version : "",
            .slot = slot,
            .code = code,
            .way = has_fetched ? install_way_text(fetch->plan.way) : "",
            .n_fetched_bytes = fetch->n_fetched_bytes,
            .n_whole_bytes = fetch->plan.n_whole_bytes,
            .n_requests = fetch->n_requests,
            .text = text,
    };
    int r = history_add(engine->state_fd, &entry);
    if (r < 0)
        log_warning("cannot add to the history: %s", strerror(-r));
}

void engine_begin(Engine *engine, const EngineRequest *request, EnginePhase phase)
{
    engine->request = *request;
    engine->progress = (InstallProgress){};
    engine->new_version[0] = '\0';
    engine->ways.line[0] = engine->delta_error.line[0] = '\0';
    engine->has_old_content = false;
    log_info("%s: %s", task_texts[request->task],
            request->is_resumed    ? "going on after a restart"
            : request->is_explicit ? "asked for"
                                   : "it is time");
    engine_set_phase(engine, phase);
}

void engine_drop_operations(Engine *engine)
{
    install_free(TAKE_PTR(engine->install));
    slot_task_free(TAKE_PTR(engine->slot_task));
    engine->offer = NULL;
    engine->delta = NULL;
    engine->is_weighing = false;
    omaha_exchange_free(TAKE_PTR(engine->exchange));
}

static void log_outcome(const EngineOutcome *outcome)
{
    char code[16];
    snprintf(code, sizeof(code), "%u", (unsigned)outcome->code);
    LogField fields[] = {
            {"FLIPSIDE_TASK", task_texts[outcome->task]},
            {"FLIPSIDE_VERSION", outcome->version},
            {"FLIPSIDE_ERROR_CODE", code},
            {},
    };
    const char *task = task_texts[outcome->task];
    switch (outcome->result) {
    case ENGINE_FAILED:
        log_fields(LOG_LEVEL_ERROR, fields, "%s failed: %s (error %s)", task, outcome->text, code);
        break;
    case ENGINE_DONE:
    case ENGINE_CANCELLED:
    case ENGINE_NO_UPDATE:
    case ENGINE_NOT_NOW:
        log_fields(
                LOG_LEVEL_INFO, fields, "%s: %s", task, outcome->text[0] ? outcome->text : "done");
        break;
    }
}

static void keep_error(Engine *engine, EngineResult result, UpdateError code, const char *text)
{
    EngineState *state = engine->state;
    switch (result) {
    case ENGINE_FAILED:
        engine->has_config_error = false;
        snprintf(state->last_error, sizeof(state->last_error), "%s", text);
        state->last_error_code = code;
        break;
    case ENGINE_DONE:
    case ENGINE_NO_UPDATE:
        state->last_error[0] = '\0';
        state->last_error_code = 0;
        break;
    case ENGINE_NOT_NOW:
    case ENGINE_CANCELLED:
        break;
    }
}

void engine_finish(Engine *engine, EngineResult result, UpdateError code, const char *text)
{
    /* The text may lie inside an operation that goes away here. */
    ErrorText line;
    error_say(&line, 0, "%s", text[0] || result != ENGINE_FAILED ? text : update_error_text(code));
    printable_clean(line.line);
    char version[ENGINE_VERSION_BYTES];
    memcpy(version, engine->new_version, sizeof(version));
    EngineOutcome outcome = {engine->request.task, result, code, version, line.line};
    engine_drop_operations(engine);
    engine->new_version[0] = '\0';
    engine->progress = (InstallProgress){};
    keep_error(engine, result, code, line.line);
    log_outcome(&outcome);
    (void)engine_save(engine, NULL);
    if (result == ENGINE_FAILED)
        engine_set_phase(engine, ENGINE_REPORTING_ERROR);
    engine_set_phase(engine, engine_waits_for_reboot(engine) ? ENGINE_NEED_REBOOT : ENGINE_IDLE);
    engine->observer->on_finished(&outcome, engine->userdata);
}
