/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/log.h"
#include "updater/engine/old-prefs.h"

/* A machine that comes from update_engine: what that knew is taken over at the first start that has
 * no state of its own, and where it has run in between. Without it the machine would be a new one
 * to the server, the update that brought this daemon would never be reported, and one that waits
 * would be installed again. */

/* A kill may have come between the event and the state. */
static bool has_event(const Engine *engine, OmahaEventResult result, unsigned error_code,
        const char *previous_version)
{
    size_t n_events;
    const OmahaEvent *events = event_outbox_peek(engine->outbox, &n_events);
    for (size_t i = 0; i < n_events; i++)
        if (events[i].type == OMAHA_EVENT_UPDATE_COMPLETE && events[i].result == result &&
                events[i].error_code == error_code &&
                strcmp(events[i].previous_version, previous_version) == 0)
            return true;
    return false;
}

static void take_over_boot(Engine *engine, const char *previous_version)
{
    const char *version = engine->config->version;
    if (has_event(engine, OMAHA_RESULT_SUCCESS_REBOOT, 0, previous_version))
        return;
    log_notice("version %s has booted, which update_engine installed; before it ran %s", version,
            previous_version);
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, previous_version);
    engine_remember(engine, "boot", "done", version, engine->running_label, 0, "");
}

/* version may be "". */
static void take_over_fall_back(Engine *engine, const char *version)
{
    EngineState *state = engine->state;
    ErrorText error;
    error_say(&error, 0, "version %s, which update_engine installed, did not boot; %s runs again",
            version[0] ? version : "?", engine->config->version);
    snprintf(state->last_error, sizeof(state->last_error), "%s", error.line);
    state->last_error_code = UPDATE_ERROR_ROLLED_BACK;
    if (version[0])
        engine_state_add_failed(state, version);
    if (has_event(engine, OMAHA_RESULT_ERROR, UPDATE_ERROR_ROLLED_BACK, ""))
        return;
    log_error("%s", error.line);
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, UPDATE_ERROR_ROLLED_BACK, "");
    engine_remember(engine, "boot", "failed", version, engine->target_label,
            UPDATE_ERROR_ROLLED_BACK, error.line);
}

/* Whether the table bears it out is judged like that of our own. */
static void take_over_waiting(Engine *engine, const char *offered_version)
{
    TrailerFault fault;
    SlotTrailer trailer;
    const char *version = offered_version[0] ? offered_version : "0.0.0";
    if (engine_read_trailer(engine, engine->target_label, &fault, &trailer, NULL) == 0 &&
            fault == TRAILER_VALID)
        version = trailer.version;
    log_notice("version %s waits in %s for its reboot, which update_engine installed", version,
            engine->target_label);
    engine_set_pending(engine, version, false);
    engine->state->pending.is_flipped = true;
}

/* Its mark may be gone, for somebody reset it, and the slot is still to be booted. */
static bool target_boots_next(const Engine *engine)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (!engine->target_label[0] || engine_open_slots(engine, &disk, NULL) < 0)
        return true;
    return slot_disk_next(disk) == slot_disk_find(disk, engine->target_label);
}

/* Nothing else is known. */
static void take_over_all(Engine *engine, const OldPrefs *prefs)
{
    EngineState *state = engine->state;
    memcpy(state->aleph_version, prefs->aleph_version, sizeof(state->aleph_version));
    if (prefs->is_waiting && engine->target_label[0])
        take_over_waiting(engine, prefs->offered_version);
    else if (prefs->previous_version[0] == '\0')
        return;
    else if (strcmp(prefs->previous_version, engine->config->version) != 0)
        take_over_boot(engine, prefs->previous_version);
    else if (!target_boots_next(engine))
        take_over_fall_back(engine, prefs->offered_version);
}

/* Only it can have written what is not the state's. */
static bool has_run_since(const Engine *engine, const OldPrefs *prefs)
{
    const EngineState *state = engine->state;
    const char *ours = state->has_pending ? state->pending.previous_version : "";
    return prefs->previous_version[0] && strcmp(prefs->previous_version, ours) != 0 &&
           strcmp(prefs->previous_version, engine->config->version) != 0;
}

/* The machine went to a slot of its, by a rollback or an update, and has come back by its update:
 * what was pending then has been booted, however it looks from here. */
static void take_over_return(Engine *engine, const OldPrefs *prefs)
{
    EngineState *state = engine->state;
    state->has_pending = false;
    state->has_interrupted = false;
    engine_state_set_slot(state, engine->running_label, NULL);
    take_over_boot(engine, prefs->previous_version);
}

bool engine_take_over(Engine *engine)
{
    if (engine->has_old_prefs || !engine->config)
        return false;
    engine->has_old_prefs = true;
    OldPrefs prefs;
    ErrorText note;
    old_prefs_read(engine->root_fd, engine->config->app_id, &prefs, &note);
    bool is_return = !engine->is_state_new && has_run_since(engine, &prefs);
    if (is_return)
        take_over_return(engine, &prefs);
    if (!engine->is_state_new)
        return is_return;
    if (note.line[0])
        log_warning("%s", note.line);
    take_over_all(engine, &prefs);
    return true;
}
