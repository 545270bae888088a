/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/log.h"
#include "partitions/running-slot.h"
#include "updater/engine/boot-outcome.h"
#include "updater/install/checkpoint.h"

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
        table_care_on_lost(&engine->table);
        engine->disk_error = error;
        log_warning("no slots to update: %s%s", error.line, table_care_advice(r));
        return;
    }
    TableFinding finding = table_care_find(disk);
    table_care_on_look(&engine->table, &finding, false);
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
        log_warning("the partition table is left as it was found: %s", error->line);
    slot_task_free(TAKE_PTR(engine->tidy_task));
}

static void tidy(Engine *engine, SlotTaskKind kind, const char *label)
{
    SlotTaskOptions options = {.kind = kind, .disk_path = engine->disk_path, .label = label};
    if (engine->tidy_task)
        return;
    int r = slot_task_new(engine->event, &options, on_tidied, engine, &engine->tidy_task);
    if (r < 0)
        log_warning("the partition table is left as it was found: %s", strerror(-r));
}

/* What the table says of the slot of this label. */
static BootFacts facts_of(const Engine *engine, const char *label, unsigned *ret_priority)
{
    BootFacts facts = {.boot_id = engine->identity.boot_id, .running_label = engine->running_label};
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (engine_open_slots(engine, &disk, NULL) < 0)
        return facts;
    size_t n_slots, slot = slot_disk_find(disk, label);
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    if (slot == SLOT_NONE)
        return facts;
    facts.is_in_table = true;
    facts.is_good = slots[slot].successful;
    facts.is_foremost = slots[slot].priority > 0;
    for (size_t i = 0; i < n_slots; i++)
        if (i != slot && slots[i].priority >= slots[slot].priority)
            facts.is_foremost = false;
    *ret_priority = slots[slot].priority;
    return facts;
}

bool engine_runs_what_is_good(const Engine *engine)
{
    unsigned priority;
    BootFacts facts = facts_of(engine, engine->running_label, &priority);
    return !facts.is_in_table || facts.is_good;
}

/* Killed, or without power, between the flip and its report. */
static void report_flip(Engine *engine, const PendingSlot *pending)
{
    if (pending->is_flipped)
        return;
    /* The install came to its end: nothing is left to go on with. */
    if (!pending->is_rollback && !pending->is_replaced)
        (void)checkpoint_remove(engine->state_fd);
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE,
            pending->is_rollback ? OMAHA_RESULT_ERROR : OMAHA_RESULT_SUCCESS,
            pending->is_rollback ? UPDATE_ERROR_ROLLED_BACK : UPDATE_OK, "");
    engine_remember(engine, pending->is_rollback ? "rollback" : "update", "done", pending->version,
            pending->label, 0, "");
}

static void settle_pending(Engine *engine, const PendingSlot *pending)
{
    report_flip(engine, pending);
    /* Where it was to be replaced, what replaces it is still to come. */
    if (!pending->is_replaced)
        engine->state->has_interrupted = false;
    engine->state->pending.is_flipped = true;
    engine->state->pending.is_replaced = false;
}

static void settle_never_flipped(Engine *engine, const PendingSlot *pending)
{
    EngineState *state = engine->state;
    state->has_pending = false;
    if (pending->is_rollback)
        engine_state_remove_failed(state, pending->previous_version);
    else if (!pending->is_flipped)
        engine_state_set_slot(state, pending->label, NULL);
}

static void settle_booted(Engine *engine, const PendingSlot *pending, bool is_good)
{
    report_flip(engine, pending);
    log_notice("version %s has booted from %s, before it ran %s", pending->version, pending->label,
            pending->previous_version);
    EngineState *state = engine->state;
    engine_report(engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0,
            pending->previous_version);
    engine_remember(engine, "boot", "done", pending->version, pending->label, 0, "");
    state->has_interrupted = false;
    state->pending.is_flipped = state->pending.is_booted = true;
    state->has_pending = !is_good;
    if (is_good)
        engine_state_remove_failed(state, pending->version);
}

static void settle_fallen_back(Engine *engine, const PendingSlot *pending)
{
    report_flip(engine, pending);
    EngineState *state = engine->state;
    ErrorText error;
    error_say(&error, 0, "version %s in %s %s; %s runs again", pending->version, pending->label,
            pending->is_booted ? "booted, but was never marked good" : "did not boot",
            engine->config ? engine->config->version : pending->previous_version);
    log_error("%s", error.line);
    if (!pending->is_rollback)
        engine_state_add_failed(state, pending->version);
    snprintf(state->last_error, sizeof(state->last_error), "%s", error.line);
    state->last_error_code = UPDATE_ERROR_ROLLED_BACK;
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, UPDATE_ERROR_ROLLED_BACK, "");
    engine_remember(engine, "boot", "failed", pending->version, pending->label,
            UPDATE_ERROR_ROLLED_BACK, error.line);
    state->has_pending = false;
    state->has_interrupted = false;
}

/* Whether there is something to be written. */
static bool settle(
        Engine *engine, BootOutcome outcome, const PendingSlot *pending, const BootFacts *facts)
{
    bool was_unknown = engine->is_boot_unknown;
    engine->is_boot_unknown = outcome == BOOT_UNKNOWN;
    switch (outcome) {
    case BOOT_NOTHING_PENDING:
    case BOOT_NOT_GOOD_YET:
        return false;
    case BOOT_STILL_PENDING:
        settle_pending(engine, pending);
        return true;
    case BOOT_INTO_PENDING:
        settle_booted(engine, pending, facts->is_good);
        return true;
    case BOOT_FELL_BACK:
        settle_fallen_back(engine, pending);
        return true;
    case BOOT_UNKNOWN:
        if (!was_unknown)
            log_warning("it is not known which slot runs, or what the partition table says: "
                        "whether version %s booted is judged when it is",
                    pending->version);
        return false;
    case BOOT_NEVER_FLIPPED:
        settle_never_flipped(engine, pending);
        return true;
    case BOOT_IS_GOOD:
        engine_state_remove_failed(engine->state, pending->version);
        engine->state->has_pending = false;
        return true;
    case BOOT_WAS_REPLACED:
        engine->state->has_pending = false;
        return true;
    }
    return false;
}

void engine_settle_boot(Engine *engine)
{
    EngineState *state = engine->state;
    bool is_new = engine_take_over(engine);
    bool is_first = state->aleph_version[0] == '\0' && engine->config;
    if (is_first)
        snprintf(state->aleph_version, sizeof(state->aleph_version), "%s", engine->config->version);
    PendingSlot pending = state->pending;
    unsigned priority = 0;
    BootFacts facts = {};
    BootOutcome outcome = BOOT_NOTHING_PENDING;
    if (state->has_pending) {
        facts = facts_of(engine, pending.label, &priority);
        outcome = boot_outcome_of(state, &facts);
    }
    bool is_changed = settle(engine, outcome, &pending, &facts);
    /* Those below /run have gone with the reboot. */
    if (!is_changed && !is_new && !is_first)
        engine_write_marks(engine);
    else if (engine_save(engine, NULL) < 0)
        return;
    /* Last: until the verdict is on the disk, the table is what it rests on. A slot that fell back
     * with tries left would surprise at the next reboot; a flip that was cut may have left one copy
     * of the table behind, or be in the cache alone. */
    if (outcome == BOOT_FELL_BACK && priority > 0 && !pending.is_rollback)
        tidy(engine, SLOT_TASK_MARK_BAD, pending.label);
    else if (outcome == BOOT_NEVER_FLIPPED && priority > 0 && pending.awaits_postinst)
        tidy(engine, SLOT_TASK_MARK_BAD, pending.label);
    else if (outcome == BOOT_STILL_PENDING && !pending.is_flipped)
        tidy(engine, SLOT_TASK_REPAIR, pending.label);
}

void engine_settle_boot_again(Engine *engine)
{
    if (engine->is_boot_unknown && engine->disk_error.line[0]) {
        engine->disk_error.line[0] = '\0';
        engine_find_slots(engine);
    }
    if (engine->is_boot_unknown || engine->state->pending.is_booted || !engine->has_old_prefs)
        engine_settle_boot(engine);
}

void engine_settle_target(Engine *engine, bool is_install)
{
    EngineState *state = engine->state;
    unsigned priority = 0;
    BootFacts facts = facts_of(engine, engine->target_label, &priority);
    bool is_pending = state->has_pending && !state->pending.is_booted;
    if (!facts.is_in_table) {
        engine->is_boot_unknown = is_pending;
        return;
    }
    if (is_pending && facts.is_foremost && !state->pending.awaits_postinst) {
        state->pending.is_replaced = false;
        tidy(engine, SLOT_TASK_REPAIR, engine->target_label);
    } else if (is_pending) {
        state->has_pending = false;
    }
    if (is_install && priority == 0)
        engine_state_set_slot(state, engine->target_label, NULL);
    else if (is_install && engine->has_old_content)
        engine_state_set_slot(state, engine->target_label, &engine->old_content);
}
