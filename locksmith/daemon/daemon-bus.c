/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/daemon-bus.h"

#include <string.h>

#include "common/log.h"
#include "common/printable.h"
#include "locksmith/locksmith-bus.h"

/* Who may change something is sd-bus's own rule for methods that are not marked unprivileged: the
 * caller has CAP_SYS_ADMIN or is the user of this process. The policy file of the system bus says
 * the same once more. */

struct DaemonBus {
    sd_bus *bus;
    Locksmith *locksmith;
    void (*on_taken)(void *userdata);
    void *userdata;
    sd_bus_slot *object;
    sd_bus_slot *name;
};

static int reply(sd_bus_message *call, LocksmithAnswer answer, ErrorText *text, sd_bus_error *error)
{
    printable_clean(text->line);
    const char *line = text->line[0] ? text->line : "failed";
    switch (answer) {
    case LOCKSMITH_DONE:
        return sd_bus_reply_method_return(call, "");
    case LOCKSMITH_NOTHING_TO_DO:
        return sd_bus_error_set(error, LOCKSMITH_BUS_ERROR_NOTHING_TO_DO, line);
    case LOCKSMITH_FAILED:
        return sd_bus_error_set(error, LOCKSMITH_BUS_ERROR_FAILED, line);
    }
    return -EINVAL;
}

static int method_pause(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    uint64_t until_usec;
    const char *why;
    int r = sd_bus_message_read(call, "ts", &until_usec, &why);
    if (r < 0)
        return r;
    return reply(call, locksmith_pause(bus->locksmith, until_usec, why, &text), &text, error);
}

static int method_resume(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    return reply(call, locksmith_resume(bus->locksmith, &text), &text, error);
}

static int method_reboot_now(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    uint64_t flags;
    int r = sd_bus_message_read(call, "t", &flags);
    if (r < 0)
        return r;
    if (flags & ~LOCKSMITH_FLAG_SKIP_HOOKS)
        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "unknown flags");
    bool skips_hooks = flags & LOCKSMITH_FLAG_SKIP_HOOKS;
    return reply(call, locksmith_reboot_now(bus->locksmith, skips_hooks, &text), &text, error);
}

static int method_need_reboot(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    return reply(call, locksmith_need_reboot(bus->locksmith, &text), &text, error);
}

static int method_approve(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    uint64_t until_usec;
    const char *version;
    int r = sd_bus_message_read(call, "ts", &until_usec, &version);
    if (r < 0)
        return r;
    return reply(call, locksmith_approve(bus->locksmith, until_usec, version, &text), &text, error);
}

static int method_withdraw(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    return reply(call, locksmith_withdraw_approval(bus->locksmith, &text), &text, error);
}

static int method_reload(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    DaemonBus *bus = userdata;
    ErrorText text = {};
    return reply(call, locksmith_reload(bus->locksmith, &text), &text, error);
}

static int append_conditions(sd_bus_message *message, const LocksmithStatus *status)
{
    int r = sd_bus_message_open_container(message, 'a', "(sbst)");
    for (ConditionKind kind = 0; r >= 0 && kind < CONDITION_N; kind++) {
        const RebootCondition *condition = &status->conditions[kind];
        r = sd_bus_message_append(message, "(sbst)", reboot_condition_name(kind),
                (int)condition->holds, condition->text, condition->next_usec);
    }
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_text(sd_bus_message *message, const char *value)
{
    char text[1024];
    printable_copy(text, sizeof(text), value);
    return sd_bus_message_append(message, "s", text);
}

/* One getter for all properties, by name. */
static int get_property(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)connection;
    (void)path;
    (void)interface;
    (void)error;
    DaemonBus *bus = userdata;
    LocksmithStatus s;
    locksmith_status(bus->locksmith, &s);
    const struct {
        const char *name, *text;
    } texts[] = {
            {"State", s.state},
            {"Text", s.text},
            {"Strategy", s.strategy},
            {"Decision", s.decision},
            {"Group", s.group},
            {"Store", s.store},
            {"Holds", s.holds},
            {"Release", s.release},
            {"ReleaseText", s.release_text},
            {"Version", s.version},
            {"Trigger", s.trigger},
            {"LastError", s.last_error},
    };
    const struct {
        const char *name;
        uint64_t usec;
    } times[] = {
            {"SinceUsec", s.since_usec},
            {"NextUsec", s.next_usec},
            {"PausedUntilUsec", s.paused_until_usec},
            {"LastErrorUsec", s.last_error_usec},
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (strcmp(property, texts[i].name) == 0)
            return append_text(message, texts[i].text);
    for (size_t i = 0; i < ELEMENTS(times); i++)
        if (strcmp(property, times[i].name) == 0)
            return sd_bus_message_append(message, "t", times[i].usec);
    return append_conditions(message, &s);
}

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Pause", "ts", "", method_pause, 0),
        SD_BUS_METHOD("Resume", "", "", method_resume, 0),
        SD_BUS_METHOD("RebootNow", "t", "", method_reboot_now, 0),
        SD_BUS_METHOD("SendNeedReboot", "", "", method_need_reboot, 0),
        SD_BUS_METHOD("Approve", "ts", "", method_approve, 0),
        SD_BUS_METHOD("WithdrawApproval", "", "", method_withdraw, 0),
        SD_BUS_METHOD("Reload", "", "", method_reload, 0),
        SD_BUS_PROPERTY("State", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Text", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("SinceUsec", "t", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("NextUsec", "t", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Strategy", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Decision", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Group", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Store", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Holds", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Release", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("ReleaseText", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Version", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Trigger", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("PausedUntilUsec", "t", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("LastError", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("LastErrorUsec", "t", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Conditions", "a(sbst)", get_property, 0, CHANGES),
        SD_BUS_VTABLE_END,
};

void daemon_bus_tell(DaemonBus *bus)
{
    int r = sd_bus_emit_properties_changed(bus->bus, LOCKSMITH_BUS_PATH, LOCKSMITH_BUS_INTERFACE,
            "State", "Text", "SinceUsec", "NextUsec", "Strategy", "Decision", "Group", "Store",
            "Holds", "Release", "ReleaseText", "Version", "Trigger", "PausedUntilUsec", "LastError",
            "LastErrorUsec", "Conditions", NULL);
    if (r < 0 && r != -ENOTCONN)
        log_warning("cannot send PropertiesChanged: %s", strerror(-r));
}

static int on_name(sd_bus_message *answer, void *userdata, sd_bus_error *error)
{
    (void)error;
    DaemonBus *bus = userdata;
    uint32_t result = 0;
    if (sd_bus_message_is_method_error(answer, NULL)) {
        log_error("cannot take the name %s on the bus: %s", LOCKSMITH_BUS_NAME,
                sd_bus_message_get_error(answer)->message);
        return 0;
    }
    int r = sd_bus_message_read(answer, "u", &result);
    enum { NAME_IS_OURS = 1, NAME_WAS_OURS = 4 };
    if (r >= 0 && (result == NAME_IS_OURS || result == NAME_WAS_OURS))
        daemon_bus_tell(bus);
    else
        bus->on_taken(bus->userdata);
    return 0;
}

int daemon_bus_new(sd_bus *connection, Locksmith *locksmith, void (*on_taken)(void *userdata),
        void *userdata, DaemonBus **ret_bus)
{
    _cleanup_(daemon_bus_freep) DaemonBus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return -ENOMEM;
    *bus = (DaemonBus){
            .bus = sd_bus_ref(connection),
            .locksmith = locksmith,
            .on_taken = on_taken,
            .userdata = userdata,
    };
    int r = sd_bus_add_object_vtable(
            connection, &bus->object, LOCKSMITH_BUS_PATH, LOCKSMITH_BUS_INTERFACE, vtable, bus);
    if (r >= 0)
        r = sd_bus_request_name_async(connection, &bus->name, LOCKSMITH_BUS_NAME, 0, on_name, bus);
    if (r < 0)
        return r;
    *ret_bus = TAKE_PTR(bus);
    return 0;
}

void daemon_bus_free(DaemonBus *bus)
{
    if (!bus)
        return;
    sd_bus_slot_unref(bus->object);
    sd_bus_slot_unref(bus->name);
    sd_bus_unref(bus->bus);
    free(bus);
}
