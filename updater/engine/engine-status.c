/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-status.h"

#include "partitions/slot-trailer-read.h"
#include "updater/engine/engine-private.h"

/* Reads the engine, changes nothing. */

static const char *const phase_texts[] = {
        [ENGINE_IDLE] = "idle",
        [ENGINE_CHECKING] = "checking",
        [ENGINE_STARTING] = "starting",
        [ENGINE_PREPARING] = "preparing",
        [ENGINE_DOWNLOADING] = "downloading",
        [ENGINE_VERIFYING] = "verifying",
        [ENGINE_COMMITTING] = "committing",
        [ENGINE_ROLLING_BACK] = "rolling-back",
        [ENGINE_NEED_REBOOT] = "need-reboot",
        [ENGINE_REPORTING_ERROR] = "reporting-error",
};

const char *engine_phase_text(EnginePhase phase)
{
    return phase_texts[phase];
}

bool engine_is_free(const Engine *engine)
{
    switch (engine->phase) {
    case ENGINE_IDLE:
    case ENGINE_NEED_REBOOT:
        return true;
    case ENGINE_CHECKING:
    case ENGINE_STARTING:
    case ENGINE_PREPARING:
    case ENGINE_DOWNLOADING:
    case ENGINE_VERIFYING:
    case ENGINE_COMMITTING:
    case ENGINE_ROLLING_BACK:
    case ENGINE_REPORTING_ERROR:
        return false;
    }
    return false;
}

bool engine_waits_for_reboot(const Engine *engine)
{
    return engine_state_waits(engine->state) && !engine->is_boot_unknown;
}

EngineStatus engine_status(const Engine *engine)
{
    const EngineState *state = engine->state;
    const Config *config = engine->config;
    bool waits = engine_waits_for_reboot(engine);
    return (EngineStatus){
            .phase = engine->phase,
            .needs_reboot = waits,
            .last_error = state->last_error,
            .last_error_code = state->last_error_code,
            .n_bytes_done = engine->slot_task ? slot_task_bytes_done(engine->slot_task)
                                              : engine->progress.n_bytes_done,
            .n_bytes_total = engine->slot_task ? slot_task_content(engine->slot_task)->size_bytes
                                               : engine->progress.n_bytes_total,
            .n_bytes_fetched = engine->progress.n_bytes_fetched,
            .fetch_way = install_way_text(engine->fetch.plan.way),
            .fetch_text = engine->fetch.line.line,
            .n_bytes_to_fetch = engine->fetch.plan.n_fetch_bytes,
            .n_bytes_whole = engine->fetch.plan.n_whole_bytes,
            .n_requests = engine->fetch.n_requests,
            .deferred = engine->deferred.line,
            .config_warning = engine->config_warning.line,
            .channel = config ? config->group : "",
            .server = engine->server_shown.text,
            .product = config ? config->product : "",
            .version = config ? config->version : "",
            .new_version = engine->new_version[0] ? engine->new_version
                           : waits                ? state->pending.version
                                                  : "",
            .running_slot = engine->running_label,
            .target_slot = waits ? state->pending.label : engine->target_label,
            .table_health = engine->table.is_known && engine->disk_path[0]
                                    ? gpt_disk_health_text(engine->table.finding.health)
                                    : "",
            .last_checked_usec = state->last_checked_usec,
            .next_check_usec = engine->next_check_realtime_usec,
    };
}

int engine_open_slots(const Engine *engine, SlotDisk **ret_disk, ErrorText *error)
{
    if (!engine->disk_path[0])
        return error_say(error, -ENODEV, "%s", engine->disk_error.line);
    return slot_disk_open(engine->disk_path, false, NULL, 0, ret_disk, error);
}

int engine_read_trailer(const Engine *engine, const char *label, TrailerFault *ret_fault,
        SlotTrailer *ret_trailer, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = engine_open_slots(engine, &disk, error);
    if (r < 0)
        return r;
    size_t slot = slot_disk_find(disk, label);
    if (slot == SLOT_NONE)
        return error_say(error, -ENOENT, "%s has no slot %s", engine->disk_path, label);
    return slot_trailer_read(disk, slot, ret_fault, ret_trailer, error);
}

const SlotContent *engine_slot_content(const Engine *engine, const char *label)
{
    return engine_state_slot(engine->state, label);
}
