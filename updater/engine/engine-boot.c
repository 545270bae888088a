/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/log.h"
#include "partitions/running-slot.h"
#include "updater/engine/boot-outcome.h"

/* At start: which disk, which slot runs, and what became of the slot that was chosen before. */

/* The label of the slot that runs; "" when none of this disk does. */
static void find_running_label(Engine *engine, const SlotDisk *disk, const RunningSlot *running)
{
    size_t n_slots;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    if (engine->slot_option) {
        snprintf(engine->running_label, sizeof(engine->running_label), "%s", engine->slot_option);
        if (slot_disk_find(disk, engine->slot_option) == SLOT_NONE)
            log_warning("%s has no slot %s, which was said to run", engine->disk_path,
                    engine->slot_option);
        return;
    }
    size_t slot = running ? running_slot_index(running, disk) : SLOT_NONE;
    if (slot != SLOT_NONE)
        snprintf(engine->running_label, sizeof(engine->running_label), "%s", slots[slot].label);
}

static void find_target_label(Engine *engine, const SlotDisk *disk)
{
    size_t n_slots, n_others = 0;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    for (size_t i = 0; i < n_slots; i++) {
        if (strcmp(slots[i].label, engine->running_label) == 0)
            continue;
        n_others++;
        snprintf(engine->target_label, sizeof(engine->target_label), "%s", slots[i].label);
    }
    /* With several to choose from, none is: Install says so. */
    if (n_others != 1)
        engine->target_label[0] = '\0';
}

void engine_find_slots(Engine *engine)
{
    RunningSlot running;
    /* Looked for with a disk named too: it may be the one that runs. */
    ErrorText error = {};
    bool is_found = running_slot_find(engine->root, "/usr", &running, &error) == 0;
    if (engine->disk_option)
        snprintf(engine->disk_path, sizeof(engine->disk_path), "%s", engine->disk_option);
    else if (is_found)
        snprintf(engine->disk_path, sizeof(engine->disk_path), "%s", running.disk_path);
    else
        engine->disk_error = error;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = engine_open_slots(engine, &disk, &error);
    if (r < 0) {
        engine->disk_error = error;
        log_warning("no slots to update: %s", error.line);
        return;
    }
    find_running_label(engine, disk, is_found ? &running : NULL);
    find_target_label(engine, disk);
    log_info("running from %s of %s, updates go to %s",
            engine->running_label[0] ? engine->running_label : "no slot", engine->disk_path,
            engine->target_label[0] ? engine->target_label : "no slot");
}

static void on_tidied(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    (void)task;
    Engine *engine = userdata;
    if (r < 0)
        log_warning("the slot that did not boot stays bootable: %s", error->line);
    slot_task_free(TAKE_PTR(engine->tidy_task));
}

/* A slot that fell back with tries left would surprise at the next reboot. */
static void make_unbootable(Engine *engine, const char *label)
{
    SlotTaskOptions options = {
            .kind = SLOT_TASK_MARK_BAD, .disk_path = engine->disk_path, .label = label};
    int r = slot_task_new(engine->event, &options, on_tidied, engine, &engine->tidy_task);
    if (r < 0)
        log_warning("the slot that did not boot stays bootable: %s", strerror(-r));
}

static bool is_choosable(const Engine *engine, const char *label)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (engine_open_slots(engine, &disk, NULL) < 0)
        return false;
    size_t n_slots, slot = slot_disk_find(disk, label);
    return slot != SLOT_NONE && slot_disk_slots(disk, &n_slots)[slot].priority > 0;
}

static void settle_pending(Engine *engine, const PendingSlot *pending)
{
    engine->state->has_interrupted = false;
    engine->state->pending.is_flipped = true;
    if (pending->is_flipped)
        return;
    /* Killed between the flip and its report. */
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE,
            pending->is_rollback ? OMAHA_RESULT_ERROR : OMAHA_RESULT_SUCCESS,
            pending->is_rollback ? UPDATE_ERROR_ROLLED_BACK : UPDATE_OK, "");
    engine_remember(engine, pending->is_rollback ? "rollback" : "update", "done", pending->version,
            pending->label, 0, "");
}

static void settle_booted(Engine *engine, const PendingSlot *pending)
{
    log_notice("version %s has booted from %s, before it ran %s", pending->version, pending->label,
            pending->previous_version);
    engine_state_remove_failed(engine->state, pending->version);
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0,
            pending->previous_version);
    engine_remember(engine, "boot", "done", pending->version, pending->label, 0, "");
}

static void settle_fallen_back(Engine *engine, const PendingSlot *pending, bool can_be_chosen)
{
    ErrorText error;
    error_say(&error, 0, "version %s in %s did not boot; %s runs again", pending->version,
            pending->label, engine->config ? engine->config->version : pending->previous_version);
    log_error("%s", error.line);
    if (!pending->is_rollback)
        engine_state_add_failed(engine->state, pending->version);
    snprintf(engine->state->last_error, sizeof(engine->state->last_error), "%s", error.line);
    engine->state->last_error_code = UPDATE_ERROR_ROLLED_BACK;
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, UPDATE_ERROR_ROLLED_BACK, "");
    engine_remember(engine, "boot", "failed", pending->version, pending->label,
            UPDATE_ERROR_ROLLED_BACK, error.line);
    if (can_be_chosen && !pending->is_rollback)
        make_unbootable(engine, pending->label);
}

void engine_settle_boot(Engine *engine)
{
    EngineState *state = engine->state;
    bool is_new = state->aleph_version[0] == '\0' && engine->config;
    if (is_new)
        snprintf(state->aleph_version, sizeof(state->aleph_version), "%s", engine->config->version);
    PendingSlot pending = state->pending;
    BootFacts facts = {
            .boot_id = engine->identity.boot_id,
            .running_label = engine->running_label,
            .is_choosable = state->has_pending && is_choosable(engine, pending.label),
    };
    switch (boot_outcome_of(state, &facts)) {
    case BOOT_NOTHING_PENDING:
        if (is_new)
            (void)engine_save(engine, NULL);
        return;
    case BOOT_STILL_PENDING:
        settle_pending(engine, &pending);
        break;
    case BOOT_INTO_PENDING:
        settle_booted(engine, &pending);
        state->has_pending = false;
        state->has_interrupted = false;
        break;
    case BOOT_FELL_BACK:
        settle_fallen_back(engine, &pending, facts.is_choosable);
        state->has_pending = false;
        state->has_interrupted = false;
        break;
    case BOOT_UNKNOWN:
        log_warning(
                "it is not known which slot runs, so it cannot be told whether version %s booted",
                pending.version);
        state->has_pending = false;
        break;
    case BOOT_NEVER_FLIPPED:
    case BOOT_WAS_REPLACED:
        state->has_pending = false;
        break;
    }
    (void)engine_save(engine, NULL);
}
