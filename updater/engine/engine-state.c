/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-state.h"

#include <jansson.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "updater/engine/slot-record.h"

/* A member that is missing or of the wrong kind makes the whole file unusable: half a state is
 * worse than none, since "pending" and "failed" belong together. Members that we do not know are
 * passed over, so that an older engine reads a newer one's file after a rollback. */

#define FORMAT 1

int engine_state_new(EngineState **ret_state)
{
    EngineState *state = calloc(1, sizeof(*state));
    if (!state)
        return -ENOMEM;
    *ret_state = state;
    return 0;
}

void engine_state_free(EngineState *state)
{
    free(state);
}

static json_t *pending_to_json(const PendingSlot *pending)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b}", "version", pending->version,
            "previous_version", pending->previous_version, "slot", pending->label, "boot_id",
            pending->boot_id, "rollback", pending->is_rollback, "flipped", pending->is_flipped,
            "replaced", pending->is_replaced, "booted", pending->is_booted, "postinst",
            pending->awaits_postinst);
}

static json_t *interrupted_to_json(const InterruptedInstall *interrupted)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b}", "source", interrupted->source, "version",
            interrupted->version, "extensions", interrupted->extensions, "explicit",
            interrupted->is_explicit, "allow_downgrade", interrupted->allows_downgrade);
}

static json_t *failed_to_json(const EngineState *state)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < state->n_failed_versions; i++)
        if (json_array_append_new(list, json_string(state->failed_versions[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *slots_to_json(const EngineState *state)
{
    json_t *slots = json_object();
    for (size_t i = 0; slots && i < state->n_slots; i++)
        if (json_object_set_new(slots, state->slots[i].label,
                    slot_record_to_json(&state->slots[i].content)) < 0) {
            json_decref(slots);
            return NULL;
        }
    return slots;
}

static json_t *state_to_json(const EngineState *state)
{
    json_t *policy = NULL;
    if (download_policy_to_json(&state->policy, &policy) < 0)
        return NULL;
    json_t *root = json_pack("{s:i, s:o, s:o, s:s, s:s, s:I, s:I, s:o}", "format", FORMAT,
            "failed_versions", failed_to_json(state), "slots", slots_to_json(state),
            "aleph_version", state->aleph_version, "last_error", state->last_error,
            "last_error_code", (json_int_t)state->last_error_code, "last_checked_usec",
            (json_int_t)state->last_checked_usec, "policy", policy);
    if (!root)
        return NULL;
    if ((state->has_pending &&
                json_object_set_new(root, "pending", pending_to_json(&state->pending)) < 0) ||
            (state->has_interrupted && json_object_set_new(root, "interrupted",
                                               interrupted_to_json(&state->interrupted)) < 0)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

int engine_state_save(const EngineState *state, int dir_fd, ErrorText *error)
{
    _cleanup_(json_decrefp) json_t *root = state_to_json(state);
    _cleanup_free_ char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (!text)
        return error_say(error, -ENOMEM, "no memory to write the state");
    int r = atomic_file_write(dir_fd, ENGINE_STATE_FILE, text, strlen(text), 0644);
    if (r < 0)
        return error_say(error, r, "cannot write %s: %s; make room or make its folder writable",
                ENGINE_STATE_FILE, strerror(-r));
    return 0;
}

static int read_bool(const json_t *object, const char *key, bool *ret_value)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return -EINVAL;
    *ret_value = json_is_true(value);
    return 0;
}

static int pending_from_json(const json_t *object, PendingSlot *ret_pending)
{
    PendingSlot p = {};
    if (slot_record_text(object, "version", p.version, sizeof(p.version)) < 0 ||
            slot_record_text(object, "previous_version", p.previous_version,
                    sizeof(p.previous_version)) < 0 ||
            slot_record_text(object, "slot", p.label, sizeof(p.label)) < 0 ||
            slot_record_text(object, "boot_id", p.boot_id, sizeof(p.boot_id)) < 0 ||
            read_bool(object, "rollback", &p.is_rollback) < 0 ||
            read_bool(object, "flipped", &p.is_flipped) < 0 ||
            read_bool(object, "replaced", &p.is_replaced) < 0 ||
            read_bool(object, "booted", &p.is_booted) < 0 ||
            (json_object_get(object, "postinst") && /* not written by older versions */
                    read_bool(object, "postinst", &p.awaits_postinst) < 0))
        return -EINVAL;
    *ret_pending = p;
    return 0;
}

static int interrupted_from_json(const json_t *object, InterruptedInstall *ret_interrupted)
{
    InterruptedInstall i = {};
    if (slot_record_text(object, "source", i.source, sizeof(i.source)) < 0 ||
            slot_record_text(object, "version", i.version, sizeof(i.version)) < 0 ||
            read_bool(object, "explicit", &i.is_explicit) < 0 ||
            read_bool(object, "allow_downgrade", &i.allows_downgrade) < 0 ||
            (json_object_get(object, "extensions") && /* not written by older versions */
                    slot_record_text(object, "extensions", i.extensions, sizeof(i.extensions)) < 0))
        return -EINVAL;
    *ret_interrupted = i;
    return 0;
}

static int failed_from_json(const json_t *list, EngineState *state)
{
    if (!json_is_array(list) || json_array_size(list) > ENGINE_FAILED_VERSIONS_MAX)
        return -EINVAL;
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item) {
        const char *version = json_string_value(item);
        if (!version || strlen(version) >= ENGINE_VERSION_BYTES)
            return -EINVAL;
        strcpy(state->failed_versions[state->n_failed_versions++], version);
    }
    return 0;
}

static int slots_from_json(json_t *slots, EngineState *state)
{
    if (!json_is_object(slots) || json_object_size(slots) > ENGINE_SLOTS_MAX)
        return -EINVAL;
    const char *label;
    json_t *object;
    json_object_foreach (slots, label, object) {
        SlotRecord *slot = &state->slots[state->n_slots];
        if (strlen(label) >= sizeof(slot->label) ||
                slot_record_from_json(object, &slot->content) < 0)
            return -EINVAL;
        strcpy(slot->label, label);
        state->n_slots++;
    }
    return 0;
}

static int numbers_from_json(const json_t *root, EngineState *state)
{
    const json_t *code = json_object_get(root, "last_error_code");
    const json_t *checked = json_object_get(root, "last_checked_usec");
    if (!json_is_integer(code) || !json_is_integer(checked) || json_integer_value(code) < 0 ||
            json_integer_value(code) > UINT32_MAX || json_integer_value(checked) < 0)
        return -EINVAL;
    state->last_error_code = (unsigned)json_integer_value(code);
    state->last_checked_usec = (uint64_t)json_integer_value(checked);
    return 0;
}

/* The member that will not do, or NULL. */
static const char *state_from_json(const json_t *root, uint64_t now_sec, EngineState *state)
{
    if (json_integer_value(json_object_get(root, "format")) != FORMAT)
        return "format";
    const json_t *pending = json_object_get(root, "pending");
    const json_t *interrupted = json_object_get(root, "interrupted");
    if (pending && pending_from_json(pending, &state->pending) < 0)
        return "pending";
    if (interrupted && interrupted_from_json(interrupted, &state->interrupted) < 0)
        return "interrupted";
    state->has_pending = pending;
    state->has_interrupted = interrupted;
    if (failed_from_json(json_object_get(root, "failed_versions"), state) < 0)
        return "failed_versions";
    if (slots_from_json(json_object_get(root, "slots"), state) < 0)
        return "slots";
    if (slot_record_text(
                root, "aleph_version", state->aleph_version, sizeof(state->aleph_version)) < 0)
        return "aleph_version";
    if (slot_record_text(root, "last_error", state->last_error, sizeof(state->last_error)) < 0)
        return "last_error";
    /* A policy that cannot be used is as good as none. */
    (void)download_policy_from_json(json_object_get(root, "policy"), now_sec, &state->policy);
    return numbers_from_json(root, state) < 0 ? "last_error_code or last_checked_usec" : NULL;
}

/* Reads text into state. Errors: -EINVAL with the reason, state is then not to be used. */
static int parse(
        const char *text, size_t n_bytes, uint64_t now_sec, EngineState *state, ErrorText *error)
{
    json_error_t json_error;
    _cleanup_(json_decrefp) json_t *root =
            json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &json_error);
    if (!root)
        return error_say(error, -EINVAL, "line %d: %s", json_error.line, json_error.text);
    const char *wrong = state_from_json(root, now_sec, state);
    if (wrong)
        return error_say(error, -EINVAL, "'%s' is missing or not usable", wrong);
    return 0;
}

int engine_state_load(int dir_fd, uint64_t now_sec, bool may_set_aside, EngineState **ret_state,
        EngineStateOrigin *ret_origin, ErrorText *error)
{
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    int r = engine_state_new(&state);
    if (r < 0)
        return r;
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    ErrorText reason = {};
    r = fd_read_file(dir_fd, ENGINE_STATE_FILE, ENGINE_STATE_MAX_BYTES, &text, &n_bytes);
    if (r < 0 && r != -ENOENT && r != -EFBIG)
        return error_say(error, r, "cannot read %s: %s", ENGINE_STATE_FILE, strerror(-r));
    *ret_origin = r == -ENOENT ? ENGINE_STATE_NEW : ENGINE_STATE_LOADED;
    if (r == -EFBIG)
        error_say(&reason, r, "larger than %d bytes", ENGINE_STATE_MAX_BYTES);
    else if (r == 0)
        r = parse(text, n_bytes, now_sec, state, &reason);
    if (r < 0 && r != -ENOENT) {
        memset(state, 0, sizeof(*state));
        *ret_origin = ENGINE_STATE_CORRUPT;
        error_say(error, r, "%s cannot be used (%s); starting with an empty state",
                ENGINE_STATE_FILE, reason.line);
        if (may_set_aside &&
                renameat(dir_fd, ENGINE_STATE_FILE, dir_fd, ENGINE_STATE_FILE ".bad") < 0)
            return error_say(error, -errno, "cannot set %s aside: %m", ENGINE_STATE_FILE);
    }
    *ret_state = TAKE_PTR(state);
    return 0;
}

bool engine_state_waits(const EngineState *state)
{
    return state->has_pending && !state->pending.is_replaced && !state->pending.is_booted;
}

static size_t find_failed(const EngineState *state, const char *version)
{
    size_t i = 0;
    while (i < state->n_failed_versions && strcmp(state->failed_versions[i], version) != 0)
        i++;
    return i;
}

bool engine_state_has_failed(const EngineState *state, const char *version)
{
    return find_failed(state, version) < state->n_failed_versions;
}

static void drop_failed(EngineState *state, size_t i)
{
    state->n_failed_versions--;
    memmove(state->failed_versions[i], state->failed_versions[i + 1],
            (state->n_failed_versions - i) * sizeof(state->failed_versions[0]));
}

void engine_state_remove_failed(EngineState *state, const char *version)
{
    size_t i = find_failed(state, version);
    if (i < state->n_failed_versions)
        drop_failed(state, i);
}

void engine_state_add_failed(EngineState *state, const char *version)
{
    engine_state_remove_failed(state, version);
    if (state->n_failed_versions == ENGINE_FAILED_VERSIONS_MAX)
        drop_failed(state, 0);
    snprintf(state->failed_versions[state->n_failed_versions++], ENGINE_VERSION_BYTES, "%s",
            version);
}

static size_t find_slot(const EngineState *state, const char *label)
{
    size_t i = 0;
    while (i < state->n_slots && strcmp(state->slots[i].label, label) != 0)
        i++;
    return i;
}

const SlotContent *engine_state_slot(const EngineState *state, const char *label)
{
    size_t i = find_slot(state, label);
    return i < state->n_slots ? &state->slots[i].content : NULL;
}

void engine_state_set_slot(EngineState *state, const char *label, const SlotContent *content)
{
    size_t i = find_slot(state, label);
    if (content && i < state->n_slots) {
        state->slots[i].content = *content;
        return;
    }
    if (!content || state->n_slots == ENGINE_SLOTS_MAX) {
        size_t gone = content ? 0 : i;
        if (gone == state->n_slots)
            return;
        state->n_slots--;
        memmove(&state->slots[gone], &state->slots[gone + 1],
                (state->n_slots - gone) * sizeof(state->slots[0]));
    }
    if (!content)
        return;
    SlotRecord *slot = &state->slots[state->n_slots++];
    snprintf(slot->label, sizeof(slot->label), "%s", label);
    slot->content = *content;
}
