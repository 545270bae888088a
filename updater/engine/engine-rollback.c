/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine.h"

#include <string.h>

#include "updater/engine/engine-private.h"

/* Back to what the other slot holds: it is proven first, the state is written, then it is flipped.
 * And the way back from a flip that nobody has booted into: the slot that waits is withdrawn. */

static void fail(Engine *engine, UpdateError code, const char *text)
{
    engine_remember(
            engine, "rollback", "failed", engine->new_version, engine->target_label, code, text);
    engine_finish(engine, ENGINE_FAILED, code, text);
}

/* It may have been made all the same. */
static void give_up_flip(Engine *engine)
{
    EngineState *state = engine->state;
    engine_settle_target(engine, false);
    if (!state->has_pending)
        engine_state_remove_failed(state, state->pending.previous_version);
}

static void on_flipped(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    (void)task;
    Engine *engine = userdata;
    EngineState *state = engine->state;
    if (r < 0) {
        give_up_flip(engine);
        fail(engine, UPDATE_ERROR_FLIP, error->line);
        return;
    }
    state->pending.is_flipped = true;
    engine_state_remove_failed(state, state->pending.version);
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, UPDATE_ERROR_ROLLED_BACK, "");
    ErrorText text;
    error_say(&text, 0, "back to version %s in %s; reboot to run it", state->pending.version,
            state->pending.label);
    engine_remember(
            engine, "rollback", "done", state->pending.version, state->pending.label, 0, "");
    engine_finish(engine, ENGINE_DONE, UPDATE_OK, text.line);
}

/* What the target is proven by: its trailer, or what was recorded of it. */
typedef struct {
    bool has_trailer;
    SlotTrailer trailer;
    SlotContent content;
} SlotProof;

static EngineAnswer find_proof(const Engine *engine, SlotProof *ret_proof, ErrorText *error)
{
    const char *label = engine->target_label;
    const SlotContent *content = engine_state_slot(engine->state, label);
    SlotProof proof = {0};
    TrailerFault fault;
    if (engine_read_trailer(engine, label, &fault, &proof.trailer, error) < 0)
        return ENGINE_CANNOT;
    proof.has_trailer = fault == TRAILER_VALID && proof.trailer.tree_bytes > 0;
    if (fault != TRAILER_VALID && fault != TRAILER_ABSENT)
        return error_say(error, ENGINE_REFUSED,
                "%s is damaged, so it is not gone back to: its "
                "trailer %s",
                label, slot_trailer_fault_text(fault));
    if (!proof.has_trailer && !content)
        return error_say(error, ENGINE_REFUSED,
                "it is not known what %s holds, so it cannot be verified; 'slotctl prioritize %s' "
                "flips to it unverified",
                label, label);
    if (!proof.has_trailer)
        proof.content = *content;
    *ret_proof = proof;
    return ENGINE_STARTED;
}

static int start_task(Engine *engine, SlotTaskKind kind, const char *label, const SlotProof *proof,
        void (*on_done)(SlotTask *task, int r, const ErrorText *error, void *userdata))
{
    SlotTaskOptions options = {
            .kind = kind,
            .disk_path = engine->disk_path,
            .label = label,
            .tries = engine->config ? engine->config->boot_tries : 3,
    };
    if (proof) {
        options.trailer = proof->has_trailer ? &proof->trailer : NULL;
        options.content = proof->has_trailer ? NULL : &proof->content;
    }
    return slot_task_new(engine->event, &options, on_done, engine, &engine->slot_task);
}

static void on_proven(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    Engine *engine = userdata;
    EngineState *state = engine->state;
    if (r < 0) {
        fail(engine, r == -EBADMSG ? UPDATE_ERROR_PARTITION_HASH : UPDATE_ERROR_VERIFIER_IO,
                error->line);
        return;
    }
    engine_set_pending(engine, slot_task_content(task)->version, true);
    /* Who goes back does not want the version again by itself, also when power goes right after
     * the flip; and no install goes on that would overwrite what was gone back to. */
    state->has_interrupted = false;
    engine_state_add_failed(state, state->pending.previous_version);
    ErrorText save_error = {};
    slot_task_free(TAKE_PTR(engine->slot_task));
    r = engine_save(engine, &save_error);
    if (r < 0) {
        give_up_flip(engine);
        fail(engine, UPDATE_ERROR_GENERIC, save_error.line);
        return;
    }
    engine_set_phase(engine, ENGINE_COMMITTING);
    r = start_task(engine, SLOT_TASK_PRIORITIZE, state->pending.label, NULL, on_flipped);
    if (r < 0) {
        give_up_flip(engine);
        fail(engine, UPDATE_ERROR_GENERIC, strerror(-r));
    }
}

static EngineAnswer start_rollback(Engine *engine, ErrorText *error)
{
    if (!engine->running_label[0])
        return error_say(
                error, ENGINE_REFUSED, "no slot runs here, so there is none to go back to");
    if (!engine->target_label[0])
        return error_say(
                error, ENGINE_REFUSED, "%s has not exactly one other slot", engine->disk_path);
    SlotProof proof;
    EngineAnswer answer = find_proof(engine, &proof, error);
    if (answer != ENGINE_STARTED)
        return answer;
    engine_begin(engine, &(EngineRequest){.task = ENGINE_ROLLBACK, .is_explicit = true},
            ENGINE_ROLLING_BACK);
    snprintf(engine->new_version, sizeof(engine->new_version), "%s",
            proof.has_trailer ? proof.trailer.version : proof.content.version);
    int r = start_task(engine, SLOT_TASK_PROVE, engine->target_label, &proof, on_proven);
    if (r < 0)
        fail(engine, UPDATE_ERROR_GENERIC, strerror(-r));
    return ENGINE_STARTED;
}

static void on_withdrawn(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    (void)task;
    Engine *engine = userdata;
    EngineState *state = engine->state;
    PendingSlot pending = state->pending;
    if (r < 0) {
        engine_settle_target(engine, false);
        fail(engine, UPDATE_ERROR_FLIP, error->line);
        return;
    }
    state->has_pending = false;
    if (!pending.is_rollback)
        engine_state_set_slot(state, pending.label, NULL);
    else
        engine_state_remove_failed(state, engine->config->version);
    snprintf(engine->new_version, sizeof(engine->new_version), "%s", engine->config->version);
    ErrorText text;
    error_say(&text, 0, "version %s is withdrawn; %s stays", pending.version,
            engine->config->version);
    engine_remember(engine, "rollback", "done", engine->config->version, engine->running_label, 0,
            text.line);
    engine_finish(engine, ENGINE_DONE, UPDATE_OK, text.line);
}

/* On the disk before the table changes: a restart in between must not take it for a slot that did
 * not boot. A reset only forgets; who rolls back does not want the version again by itself. */
static int note_withdrawal(Engine *engine, bool is_reset, ErrorText *error)
{
    EngineState *state = engine->state;
    PendingSlot *pending = &state->pending;
    bool is_unwanted =
            !is_reset && !pending->is_rollback && !engine_state_has_failed(state, pending->version);
    if (is_unwanted)
        engine_state_add_failed(state, pending->version);
    pending->is_replaced = true;
    int r = engine_save(engine, error);
    if (r < 0) {
        pending->is_replaced = false;
        if (is_unwanted)
            engine_state_remove_failed(state, pending->version);
    }
    return r;
}

/* The pending slot is made unbootable; after a rollback, which must not lose a good slot, the
 * running one is put before it instead. */
static EngineAnswer withdraw(Engine *engine, bool is_reset, ErrorText *error)
{
    const PendingSlot *pending = &engine->state->pending;
    if (pending->is_rollback && !engine->running_label[0])
        return error_say(error, ENGINE_REFUSED, "it is not known which slot runs");
    if (note_withdrawal(engine, is_reset, error) < 0)
        return ENGINE_CANNOT;
    engine_begin(engine, &(EngineRequest){.task = ENGINE_ROLLBACK, .is_explicit = true},
            ENGINE_COMMITTING);
    int r = start_task(engine, pending->is_rollback ? SLOT_TASK_PRIORITIZE : SLOT_TASK_MARK_BAD,
            pending->is_rollback ? engine->running_label : pending->label, NULL, on_withdrawn);
    if (r < 0) {
        engine_settle_target(engine, false);
        fail(engine, UPDATE_ERROR_GENERIC, strerror(-r));
    }
    return ENGINE_STARTED;
}

EngineAnswer engine_rollback(Engine *engine, ErrorText *error)
{
    if (!engine_is_free(engine))
        return error_say(error, ENGINE_BUSY, "busy: %s", engine_phase_text(engine->phase));
    if (!engine->disk_path[0] || engine->disk_error.line[0])
        return error_say(error, ENGINE_CANNOT, "%s", engine->disk_error.line);
    if (engine_load_config(engine, error) < 0)
        return ENGINE_CANNOT;
    engine_settle_boot_again(engine);
    return engine_waits_for_reboot(engine) ? withdraw(engine, false, error)
                                           : start_rollback(engine, error);
}

EngineAnswer engine_reset(Engine *engine, ErrorText *error)
{
    if (!engine_is_free(engine))
        return error_say(error, ENGINE_BUSY, "busy: %s", engine_phase_text(engine->phase));
    if (!engine_waits_for_reboot(engine))
        return error_say(error, ENGINE_NOTHING_TO_DO, "no reboot is pending");
    if (engine_load_config(engine, error) < 0)
        return ENGINE_CANNOT;
    return withdraw(engine, true, error);
}
