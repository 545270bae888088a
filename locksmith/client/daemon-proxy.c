/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/daemon-proxy.h"

#include <string.h>
#include <systemd/sd-bus.h>

#include "common/bus-connect.h"
#include "common/bus-properties.h"
#include "common/clock.h"
#include "common/printable.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/locksmith-bus.h"

#define CALL_USEC (10 * USEC_PER_SEC)

/* Returns 0 or CTL_NO_DAEMON, with error. */
static int open_bus(const char *address, sd_bus **ret_bus, ErrorText *error)
{
    int r = bus_connect(address, ret_bus);
    if (r >= 0)
        return CTL_DONE;
    error_say(error, r, "cannot reach %s: %s", address ? address : "the system bus", strerror(-r));
    return CTL_NO_DAEMON;
}

static bool is_absence(const sd_bus_error *error, int r)
{
    return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
           sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
           (!sd_bus_error_is_set(error) && (r == -ECONNREFUSED || r == -ENOENT));
}

static int say_failure(const sd_bus_error *bus_error, int r, ErrorText *error)
{
    const char *reason = bus_error->message ? bus_error->message : strerror(-r);
    if (is_absence(bus_error, r)) {
        error_say(error, r, "locksmithd does not run; see 'systemctl status locksmithd'");
        return CTL_NO_DAEMON;
    }
    if (sd_bus_error_has_name(bus_error, SD_BUS_ERROR_ACCESS_DENIED) ||
            sd_bus_error_has_name(bus_error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED)) {
        error_say(error, r, "not permitted; run it as root");
        return CTL_REFUSED;
    }
    error_say(error, r, "%s", reason);
    return sd_bus_error_has_name(bus_error, LOCKSMITH_BUS_ERROR_NOTHING_TO_DO) ? CTL_NOTHING
                                                                               : CTL_FAILED;
}

static int call_message(
        sd_bus *bus, sd_bus_message *call, sd_bus_message **ret_reply, ErrorText *error)
{
    _cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;
    int r = sd_bus_message_set_auto_start(call, false);
    if (r >= 0)
        r = sd_bus_call(bus, call, CALL_USEC, &bus_error, ret_reply);
    return r < 0 ? say_failure(&bus_error, r, error) : CTL_DONE;
}

int daemon_proxy_ask(
        const char *address, const char *method, ErrorText *error, const char *types, ...)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    int exit_code = open_bus(address, &bus, error);
    if (exit_code != CTL_DONE)
        return exit_code;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(
            bus, &call, LOCKSMITH_BUS_NAME, LOCKSMITH_BUS_PATH, LOCKSMITH_BUS_INTERFACE, method);
    if (r >= 0) {
        va_list arguments;
        va_start(arguments, types);
        r = sd_bus_message_appendv(call, types, arguments);
        va_end(arguments);
    }
    return r < 0 ? say_failure(&SD_BUS_ERROR_NULL, r, error) : call_message(bus, call, NULL, error);
}

static int read_conditions(sd_bus_message *reply, DaemonView *view)
{
    int r = sd_bus_message_enter_container(reply, 'v', "a(sbst)");
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(sbst)");
    const char *name, *text;
    int holds;
    uint64_t change_usec;
    while (r >= 0 &&
            (r = sd_bus_message_read(reply, "(sbst)", &name, &holds, &text, &change_usec)) > 0) {
        if (view->n_conditions == DAEMON_MAX_CONDITIONS)
            continue;
        ConditionView *condition = &view->conditions[view->n_conditions++];
        condition->holds = holds;
        condition->change_usec = change_usec;
        printable_copy(condition->name, sizeof(condition->name), name);
        printable_copy(condition->text, sizeof(condition->text), text);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(reply);
    return r < 0 ? r : sd_bus_message_exit_container(reply);
}

/* Reads the value of one property that we know; others are skipped. */
static int read_property(sd_bus_message *reply, const char *name, void *userdata)
{
    DaemonView *view = userdata;
    const struct {
        const char *name;
        char *text;
        size_t n_bytes;
    } texts[] = {
            {"State", view->state, sizeof(view->state)},
            {"Text", view->text, sizeof(view->text)},
            {"Strategy", view->strategy, sizeof(view->strategy)},
            {"Decision", view->decision, sizeof(view->decision)},
            {"Group", view->group, sizeof(view->group)},
            {"Store", view->store, sizeof(view->store)},
            {"Holds", view->holds, sizeof(view->holds)},
            {"Release", view->release, sizeof(view->release)},
            {"ReleaseText", view->release_text, sizeof(view->release_text)},
            {"Version", view->version, sizeof(view->version)},
            {"Trigger", view->trigger, sizeof(view->trigger)},
            {"LastError", view->last_error, sizeof(view->last_error)},
    };
    const struct {
        const char *name;
        uint64_t *usec;
    } times[] = {
            {"SinceUsec", &view->since_usec},
            {"NextUsec", &view->next_usec},
            {"PausedUntilUsec", &view->paused_until_usec},
            {"LastErrorUsec", &view->last_error_usec},
    };
    const char *text;
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (strcmp(name, texts[i].name) == 0) {
            int r = sd_bus_message_read(reply, "v", "s", &text);
            if (r >= 0)
                printable_copy(texts[i].text, texts[i].n_bytes, text);
            return r;
        }
    for (size_t i = 0; i < ELEMENTS(times); i++)
        if (strcmp(name, times[i].name) == 0)
            return sd_bus_message_read(reply, "v", "t", times[i].usec);
    if (strcmp(name, "Conditions") == 0)
        return read_conditions(reply, view);
    return sd_bus_message_skip(reply, "v");
}

int daemon_proxy_view(const char *address, DaemonView *ret_view, ErrorText *error)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    int exit_code = open_bus(address, &bus, error);
    if (exit_code != CTL_DONE)
        return exit_code;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    int r = sd_bus_message_new_method_call(
            bus, &call, LOCKSMITH_BUS_NAME, LOCKSMITH_BUS_PATH, BUS_PROPERTIES, "GetAll");
    if (r >= 0)
        r = sd_bus_message_append(call, "s", LOCKSMITH_BUS_INTERFACE);
    if (r < 0)
        return say_failure(&SD_BUS_ERROR_NULL, r, error);
    exit_code = call_message(bus, call, &reply, error);
    if (exit_code != CTL_DONE)
        return exit_code;
    DaemonView view = {};
    r = bus_properties_read(reply, read_property, &view);
    if (r < 0)
        return say_failure(&SD_BUS_ERROR_NULL, r, error);
    *ret_view = view;
    return CTL_DONE;
}
