/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <string.h>

#include "common/log.h"
#include "common/printable.h"
#include "updater/engine/bus-names.h"
#include "updater/engine/engine-bus-private.h"
#include "updater/engine/slot-name.h"

/* Who may change something is sd-bus's own rule for methods that are not marked unprivileged: the
 * caller has CAP_SYS_ADMIN or is the user of this process. Two are marked so that they can ask for
 * the operator first. The policy file of the system bus says the same once more. */

/* Whether the caller is privileged or the operator. Errors: of sd-bus, with error. */
static int check_operator(const EngineBus *bus, sd_bus_message *call, sd_bus_error *error)
{
    int r = sd_bus_query_sender_privilege(call, CAP_SYS_ADMIN);
    if (r != 0)
        return r;
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
    uid_t uid = 0;
    r = sd_bus_query_sender_creds(call, SD_BUS_CREDS_EUID, &creds);
    if (r >= 0)
        r = sd_bus_creds_get_euid(creds, &uid);
    if (r < 0)
        return r;
    if (bus->operator_uid != 0 && uid == bus->operator_uid)
        return 1;
    return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Access to %s.%s() not permitted.",
            sd_bus_message_get_interface(call), sd_bus_message_get_member(call));
}

static int say_refusal(EngineAnswer answer, const ErrorText *text, sd_bus_error *error)
{
    switch (answer) {
    case ENGINE_STARTED:
        return 0;
    case ENGINE_BUSY:
        return sd_bus_error_set(error, BUS_ERROR_BUSY, text->line);
    case ENGINE_DISABLED:
        return sd_bus_error_set(error, BUS_ERROR_DISABLED, text->line);
    case ENGINE_NOTHING_TO_DO:
        return sd_bus_error_set(error, BUS_ERROR_NOTHING_TO_DO, text->line);
    case ENGINE_REFUSED:
        return sd_bus_error_set(error, BUS_ERROR_REFUSED, text->line);
    case ENGINE_CANNOT:
        return sd_bus_error_set(error, BUS_ERROR_FAILED, text->line);
    }
    return -EINVAL;
}

/* Answers a call whose work goes on by itself. */
static int answer_started(
        sd_bus_message *call, EngineAnswer answer, ErrorText *text, sd_bus_error *error)
{
    printable_clean(text->line);
    if (answer != ENGINE_STARTED)
        return say_refusal(answer, text, error);
    return sd_bus_reply_method_return(call, "");
}

/* Runs a request whose end is the answer, which may come before this returns. */
static int answer_at_end(EngineBus *bus, sd_bus_message *call,
        EngineAnswer (*request)(Engine *engine, ErrorText *error), sd_bus_error *error)
{
    ErrorText text = {};
    if (bus->waiting)
        return sd_bus_error_set(error, BUS_ERROR_BUSY, "another call waits for its end");
    bus->waiting = sd_bus_message_ref(call);
    EngineAnswer answer = request(bus->engine, &text);
    if (answer == ENGINE_STARTED)
        return 1;
    bus->waiting = sd_bus_message_unref(bus->waiting);
    printable_clean(text.line);
    return say_refusal(answer, &text, error);
}

static int method_attempt_update(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    int r = check_operator(bus, call, error);
    if (r < 0)
        return r;
    ErrorText text = {};
    EngineAnswer answer = engine_update(bus->engine, false, &text);
    if (answer != ENGINE_STARTED)
        log_info("AttemptUpdate: %s", text.line);
    return sd_bus_reply_method_return(call, "");
}

static int method_reset_status(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    int r = check_operator(bus, call, error);
    if (r < 0)
        return r;
    EngineStatus status = engine_status(bus->engine);
    if (status.phase == ENGINE_IDLE && !status.needs_reboot)
        return sd_bus_reply_method_return(call, ""); /* as update_engine: that is its wish */
    return answer_at_end(bus, call, engine_reset, error);
}

static int method_get_status(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    (void)error;
    EngineBus *bus = userdata;
    EngineStatus status = engine_status(bus->engine);
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = engine_bus_append_status(reply, &status);
    return r < 0 ? r : sd_bus_send(bus->bus, reply, NULL);
}

static int method_check(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return answer_at_end(userdata, call, engine_check, error);
}

static int method_rollback(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return answer_at_end(userdata, call, engine_rollback, error);
}

static int read_flags(sd_bus_message *call, bool *ret_allows_downgrade, sd_bus_error *error)
{
    uint64_t flags;
    int r = sd_bus_message_read(call, "t", &flags);
    if (r < 0)
        return r;
    if (flags & ~BUS_FLAGS_ALL)
        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "unknown flags");
    *ret_allows_downgrade = flags & BUS_FLAG_ALLOW_DOWNGRADE;
    return 0;
}

static int method_update(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    bool allows_downgrade = false;
    if (sd_bus_message_has_signature(call, "t")) {
        int r = read_flags(call, &allows_downgrade, error);
        if (r < 0)
            return r;
    }
    ErrorText text = {};
    EngineAnswer answer = engine_update(bus->engine, allows_downgrade, &text);
    return answer_started(call, answer, &text, error);
}

static int method_install(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    EngineInstall install = {.version = "", .extensions = ""};
    bool has_files = sd_bus_message_has_signature(call, "ssts");
    bool has_more = has_files || sd_bus_message_has_signature(call, "sst");
    int r = sd_bus_message_read(call, "s", &install.source);
    if (r >= 0 && has_more)
        r = sd_bus_message_read(call, "s", &install.version);
    if (r >= 0 && has_more)
        r = read_flags(call, &install.allows_downgrade, error);
    if (r >= 0 && has_files)
        r = sd_bus_message_read(call, "s", &install.extensions);
    if (r < 0)
        return r;
    ErrorText text = {};
    EngineAnswer answer = engine_install(bus->engine, &install, &text);
    return answer_started(call, answer, &text, error);
}

static int method_cancel(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    ErrorText text = {};
    return answer_started(call, engine_cancel(bus->engine, &text), &text, error);
}

static int method_reload(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    ErrorText text = {};
    int r = engine_reload(bus->engine, &text);
    return answer_started(call, r < 0 ? ENGINE_CANNOT : ENGINE_STARTED, &text, error);
}

static int append_slots(sd_bus_message *reply, const Engine *engine, const SlotDisk *disk)
{
    size_t n_slots, next = slot_disk_next(disk);
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    EngineStatus status = engine_status(engine);
    int r = sd_bus_message_open_container(reply, 'a', "(sssuubbb)");
    for (size_t i = 0; r >= 0 && i < n_slots; i++) {
        const Slot *slot = &slots[i];
        bool is_running = strcmp(slot->label, status.running_slot) == 0;
        SlotName name;
        slot_name_find(disk, i, engine_slot_content(engine, slot->label),
                is_running ? status.version : NULL, &name);
        char label[SLOT_LABEL_BYTES];
        memcpy(label, slot->label, sizeof(label));
        printable_clean(label);
        r = sd_bus_message_append(reply, "(sssuubbb)", label, name.version, name.product,
                slot->priority, slot->tries, slot->successful, is_running, i == next);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_get_slots(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    EngineBus *bus = userdata;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    ErrorText text = {};
    if (engine_open_slots(bus->engine, &disk, &text) < 0) {
        printable_clean(text.line);
        return sd_bus_error_set(error, BUS_ERROR_FAILED, text.line);
    }
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = append_slots(reply, bus->engine, disk);
    return r < 0 ? r : sd_bus_send(bus->bus, reply, NULL);
}

/* The property that is a number of 64 bits; false when it is none. */
static bool find_count(const EngineStatus *status, const char *property, uint64_t *ret_count)
{
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
            {"BytesDone", status->n_bytes_done},
            {"BytesTotal", status->n_bytes_total},
            {"BytesFetched", status->n_bytes_fetched},
            {"BytesToFetch", status->n_bytes_to_fetch},
            {"BytesWhole", status->n_bytes_whole},
            {"Requests", status->n_requests},
            {"LastCheckedUsec", status->last_checked_usec},
            {"NextCheckUsec", status->next_check_usec},
    };
    for (size_t i = 0; i < ELEMENTS(counts); i++)
        if (strcmp(property, counts[i].name) == 0) {
            *ret_count = counts[i].count;
            return true;
        }
    return false;
}

/* One getter for all properties, by name. */
static int get_property(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    (void)connection;
    (void)path;
    (void)interface;
    (void)error;
    EngineBus *bus = userdata;
    EngineStatus s = engine_status(bus->engine);
    const struct {
        const char *name, *text;
    } texts[] = {
            {"Phase", engine_phase_text(s.phase)},
            {"LastError", s.last_error},
            {"FetchWay", s.fetch_way},
            {"FetchText", s.fetch_text},
            {"Deferred", s.deferred},
            {"ConfigWarning", s.config_warning},
            {"Channel", s.channel},
            {"Server", s.server},
            {"Product", s.product},
            {"Version", s.version},
            {"NewVersion", s.new_version},
            {"RunningSlot", s.running_slot},
            {"TargetSlot", s.target_slot},
            {"TableHealth", s.table_health},
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (strcmp(property, texts[i].name) == 0) {
            char text[ENGINE_SOURCE_BYTES];
            printable_copy(text, sizeof(text), texts[i].text);
            return sd_bus_message_append(reply, "s", text);
        }
    uint64_t count;
    if (find_count(&s, property, &count))
        return sd_bus_message_append(reply, "t", count);
    return sd_bus_message_append(reply, "u", (uint32_t)s.last_error_code);
}

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define FREE SD_BUS_VTABLE_UNPRIVILEGED

const sd_bus_vtable engine_bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("AttemptUpdate", "", "", method_attempt_update, FREE), /* check_operator() */
        SD_BUS_METHOD("ResetStatus", "", "", method_reset_status, FREE),     /* the same */
        SD_BUS_METHOD("GetStatus", "", "xdssx", method_get_status, FREE),
        SD_BUS_SIGNAL("StatusUpdate", "xdssx", 0),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable engine_bus_flipside_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Check", "", "ss", method_check, 0),
        SD_BUS_METHOD("Update", "", "", method_update, 0),
        SD_BUS_METHOD("UpdateWithFlags", "t", "", method_update, 0),
        SD_BUS_METHOD("Install", "s", "", method_install, 0),
        SD_BUS_METHOD("InstallWithFlags", "sst", "", method_install, 0),
        SD_BUS_METHOD("InstallWithExtensions", "ssts", "", method_install, 0),
        SD_BUS_METHOD("Rollback", "", "ss", method_rollback, 0),
        SD_BUS_METHOD("Cancel", "", "", method_cancel, 0),
        SD_BUS_METHOD("Reload", "", "", method_reload, 0),
        SD_BUS_METHOD("GetSlots", "", "a(sssuubbb)", method_get_slots, FREE),
        SD_BUS_SIGNAL("Finished", "ssus", 0),
        SD_BUS_PROPERTY("Phase", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("LastError", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("LastErrorCode", "u", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("ConfigWarning", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("FetchWay", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("FetchText", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Deferred", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("BytesDone", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("BytesTotal", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("BytesFetched", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("BytesToFetch", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("BytesWhole", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("Requests", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("Channel", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Server", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Product", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Version", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("NewVersion", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("RunningSlot", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("TargetSlot", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("TableHealth", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("LastCheckedUsec", "t", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("NextCheckUsec", "t", get_property, 0, CHANGES),
        SD_BUS_VTABLE_END,
};
