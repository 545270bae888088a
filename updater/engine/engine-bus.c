/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-bus.h"

#include <pwd.h>
#include <string.h>

#include "common/bus-connect.h"
#include "common/clock.h"
#include "common/log.h"
#include "updater/engine/bus-names.h"
#include "updater/engine/bus-words.h"
#include "updater/engine/engine-bus-private.h"

/* Connection, signals and the answers to calls that wait for a task's end. The methods are in
 * engine-bus-methods.c. */

#define SIGNAL_INTERVAL_USEC (10 * USEC_PER_SEC)
#define UNKNOWN_VERSION "0.0.0"

int engine_bus_append_status(sd_bus_message *message, const EngineStatus *status)
{
    return sd_bus_message_append(message, "xdssx",
            (int64_t)(status->last_checked_usec / USEC_PER_SEC), bus_words_progress(status),
            bus_words_status(status),
            status->new_version[0] ? status->new_version : UNKNOWN_VERSION,
            (int64_t)status->n_bytes_total);
}

static void send_status_update(EngineBus *bus, const EngineStatus *status)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    int r = sd_bus_message_new_signal(
            bus->bus, &signal, BUS_PATH, BUS_INTERFACE_MANAGER, "StatusUpdate");
    if (r >= 0)
        r = engine_bus_append_status(signal, status);
    if (r >= 0)
        r = sd_bus_send(bus->bus, signal, NULL);
    if (r < 0)
        log_warning("cannot send StatusUpdate: %s", strerror(-r));
    bus->sent_status = bus_words_status(status);
    bus->sent_percent = (int)(bus_words_progress(status) * 100);
    sd_event_now(bus->event, CLOCK_MONOTONIC, &bus->sent_usec);
}

static void on_status(void *userdata)
{
    EngineBus *bus = userdata;
    if (!bus->engine)
        return;
    EngineStatus status = engine_status(bus->engine);
    if (!bus->sent_status || strcmp(bus->sent_status, bus_words_status(&status)) != 0)
        send_status_update(bus, &status);
    int r = sd_bus_emit_properties_changed(bus->bus, BUS_PATH, BUS_INTERFACE_FLIPSIDE, "Phase",
            "LastError", "LastErrorCode", "FetchWay", "FetchText", "Deferred", "ConfigWarning",
            "Channel", "Server", "Product", "Version", "NewVersion", "RunningSlot", "TargetSlot",
            "TableHealth", "LastCheckedUsec", "NextCheckUsec", NULL);
    if (r < 0)
        log_warning("cannot send PropertiesChanged: %s", strerror(-r));
}

static void on_progress(void *userdata)
{
    EngineBus *bus = userdata;
    if (!bus->engine)
        return;
    EngineStatus status = engine_status(bus->engine);
    uint64_t now = 0;
    sd_event_now(bus->event, CLOCK_MONOTONIC, &now);
    int percent = (int)(bus_words_progress(&status) * 100);
    if (percent != bus->sent_percent || now - bus->sent_usec >= SIGNAL_INTERVAL_USEC)
        send_status_update(bus, &status);
}

static int answer_check(sd_bus_message *call, const EngineOutcome *outcome)
{
    switch (outcome->result) {
    case ENGINE_DONE:
        return sd_bus_reply_method_return(call, "ss", BUS_VERDICT_UPDATE, outcome->version);
    case ENGINE_NO_UPDATE:
        return sd_bus_reply_method_return(call, "ss", BUS_VERDICT_NO_UPDATE, outcome->text);
    case ENGINE_NOT_NOW:
        return sd_bus_reply_method_return(call, "ss", BUS_VERDICT_NOT_NOW, outcome->text);
    case ENGINE_CANCELLED:
    case ENGINE_FAILED:
        break;
    }
    return -EINVAL;
}

static void answer_waiting(EngineBus *bus, const EngineOutcome *outcome)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = TAKE_PTR(bus->waiting);
    int r;
    if (outcome->result == ENGINE_FAILED)
        r = sd_bus_reply_method_errorf(call, BUS_ERROR_FAILED, "%s", outcome->text);
    else if (outcome->result == ENGINE_CANCELLED)
        r = sd_bus_reply_method_errorf(call, BUS_ERROR_CANCELLED, "cancelled");
    else if (sd_bus_message_is_method_call(call, NULL, "Check"))
        r = answer_check(call, outcome);
    else if (sd_bus_message_is_method_call(call, NULL, "Rollback"))
        r = sd_bus_reply_method_return(call, "ss", outcome->version, outcome->text);
    else
        r = sd_bus_reply_method_return(call, "");
    if (r < 0)
        log_warning("cannot answer a call: %s", strerror(-r));
}

static void on_finished(const EngineOutcome *outcome, void *userdata)
{
    EngineBus *bus = userdata;
    if (!bus->engine)
        return;
    int r = sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_INTERFACE_FLIPSIDE, "Finished", "ssus",
            bus_words_task(outcome->task), bus_words_result(outcome->result),
            (uint32_t)outcome->code, outcome->text);
    if (r < 0)
        log_warning("cannot send Finished: %s", strerror(-r));
    if (bus->waiting)
        answer_waiting(bus, outcome);
}

const EngineObserver engine_bus_observer = {
        .on_status = on_status, .on_progress = on_progress, .on_finished = on_finished};

int engine_bus_new(sd_event *event, const char *address, const char *operator_name,
        EngineBus **ret_bus, ErrorText *error)
{
    _cleanup_(engine_bus_freep) EngineBus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return -ENOMEM;
    bus->event = sd_event_ref(event);
    const struct passwd *operator= operator_name ? getpwnam(operator_name) : NULL;
    bus->operator_uid = operator? operator->pw_uid : 0;
    int r = bus_connect(address, &bus->bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus->bus, event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(bus->bus, true);
    if (r < 0)
        return error_say(error, r, "cannot reach the bus%s%s: %s", address ? " at " : "",
                address ? address : "", strerror(-r));
    *ret_bus = TAKE_PTR(bus);
    return 0;
}

void engine_bus_free(EngineBus *bus)
{
    if (!bus)
        return;
    sd_bus_message_unref(bus->waiting);
    sd_bus_slot_unref(bus->manager_slot);
    sd_bus_slot_unref(bus->flipside_slot);
    sd_bus_flush_close_unref(bus->bus);
    sd_event_unref(bus->event);
    free(bus);
}

int engine_bus_serve(EngineBus *bus, Engine *engine, ErrorText *error)
{
    bus->engine = engine;
    int r = sd_bus_add_object_vtable(bus->bus, &bus->manager_slot, BUS_PATH, BUS_INTERFACE_MANAGER,
            engine_bus_manager_vtable, bus);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus->bus, &bus->flipside_slot, BUS_PATH,
                BUS_INTERFACE_FLIPSIDE, engine_bus_flipside_vtable, bus);
    if (r >= 0)
        r = sd_bus_request_name(bus->bus, BUS_NAME, 0);
    if (r < 0)
        return error_say(error, r, "cannot take the name %s on the bus: %s", BUS_NAME,
                r == -EEXIST ? "another daemon has it" : strerror(-r));
    on_status(bus);
    return 0;
}
