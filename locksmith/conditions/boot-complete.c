/* SPDX-License-Identifier: Apache-2.0 */

/* systemd is asked (LoadUnit, then the unit's properties) when its name gets an owner, when a
 * signal says that something happened to the unit, and once a minute behind the signals. Its answer
 * decides alone; a signal only says when to ask. Once the target was seen active systemd is left
 * alone. */

#include "locksmith/conditions/boot-complete.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/error-text.h"
#include "common/printable.h"
#include "common/bus-peer.h"
#include "common/bus-properties.h"

#define UNIT BOOT_COMPLETE_UNIT
#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT "org.freedesktop.systemd1.Unit"
#define SYSTEMD_NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"

#define ANSWER_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define LOOK_AGAIN_USEC USEC_PER_MINUTE

struct BootComplete {
    sd_event *event;
    sd_event_source *timer; /* to ask again */
    sd_bus *bus;
    BusPeer *peer;
    char *unit_path;
    sd_bus_slot *job_slot;
    sd_bus_slot *unit_slot;
    sd_bus_slot *question;
    bool is_stale; /* ask again after the answer */
    char job_result[32];
    uint64_t since_usec;
    BootCompleteState state;
    ErrorText text;
    void (*on_change)(void *userdata);
    void *userdata;
};

BootCompleteState boot_complete_state(const BootComplete *complete)
{
    return complete->state;
}

const char *boot_complete_text(const BootComplete *complete)
{
    return complete->text.line;
}

uint64_t boot_complete_since_usec(const BootComplete *complete)
{
    return complete->since_usec;
}

static void set_state(BootComplete *complete, BootCompleteState state, const char *format, ...)
        _printf_(3, 4);

/* Last: on_change may free the object. */
static void set_state(BootComplete *complete, BootCompleteState state, const char *format, ...)
{
    ErrorText before = complete->text;
    va_list arguments;
    va_start(arguments, format);
    printable_vformat(complete->text.line, sizeof(complete->text.line), format, arguments);
    va_end(arguments);
    if (state == complete->state && strcmp(before.line, complete->text.line) == 0)
        return;
    complete->state = state;
    complete->on_change(complete->userdata);
}

static void look_again_later(BootComplete *complete)
{
    uint64_t now = 0;
    sd_event_now(complete->event, CLOCK_MONOTONIC, &now);
    sd_event_source_set_time(complete->timer, now + LOOK_AGAIN_USEC);
    sd_event_source_set_enabled(complete->timer, SD_EVENT_ONESHOT);
}

/* Its answer does not matter: without signals, asking again stands in. */
static void tell_systemd(BootComplete *complete, const char *method)
{
    (void)sd_bus_call_method_async(complete->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
            method, NULL, NULL, NULL);
}

static void leave_systemd(BootComplete *complete)
{
    if (complete->peer && bus_peer_owner(complete->peer)[0] != '\0')
        tell_systemd(complete, "Unsubscribe"); /* it sends signals only while somebody wants them */
    if (complete->timer)
        sd_event_source_set_enabled(complete->timer, SD_EVENT_OFF);
    complete->question = sd_bus_slot_unref(complete->question);
    complete->job_slot = sd_bus_slot_unref(complete->job_slot);
    complete->unit_slot = sd_bus_slot_unref(complete->unit_slot);
    bus_peer_free(TAKE_PTR(complete->peer));
    complete->bus = sd_bus_unref(complete->bus);
}

static void ask(BootComplete *complete);

/* For what may be over in a while. */
static void fail_question(BootComplete *complete, const char *why)
{
    look_again_later(complete);
    set_state(complete, BOOT_COMPLETE_ASKING, "systemd does not say whether " UNIT " is active: %s",
            why);
}

typedef struct {
    const char *load_state;
    const char *active_state;
    uint64_t active_usec; /* CLOCK_MONOTONIC */
    uint32_t job;         /* 0: none */
} UnitProperties;

static int read_property(sd_bus_message *message, const char *name, void *userdata)
{
    UnitProperties *unit = userdata;
    const char *path;
    if (strcmp(name, "LoadState") == 0)
        return sd_bus_message_read(message, "v", "s", &unit->load_state);
    if (strcmp(name, "ActiveState") == 0)
        return sd_bus_message_read(message, "v", "s", &unit->active_state);
    if (strcmp(name, "ActiveEnterTimestampMonotonic") == 0)
        return sd_bus_message_read(message, "v", "t", &unit->active_usec);
    if (strcmp(name, "Job") == 0)
        return sd_bus_message_read(message, "v", "(uo)", &unit->job, &path);
    return sd_bus_message_skip(message, "v");
}

static void judge(BootComplete *complete, const UnitProperties *unit)
{
    const char *load = unit->load_state;
    if (strcmp(unit->active_state, "active") == 0) {
        complete->since_usec = unit->active_usec;
        leave_systemd(complete);
        set_state(complete, BOOT_COMPLETE_ACTIVE, UNIT " is active");
        return;
    }
    look_again_later(complete);
    if (strcmp(load, "not-found") == 0 || strcmp(load, "masked") == 0)
        set_state(complete, BOOT_COMPLETE_NO_UNIT, "systemd says of " UNIT ": %s", load);
    else if (strcmp(load, "loaded") != 0)
        set_state(complete, BOOT_COMPLETE_FAILED,
                UNIT " cannot be loaded (%s): see systemctl "
                     "status " UNIT,
                load);
    else if (unit->job != 0)
        set_state(complete, BOOT_COMPLETE_WAITING, UNIT " is being started");
    else if (complete->job_result[0] != '\0')
        set_state(complete, BOOT_COMPLETE_FAILED,
                "the start of " UNIT " failed (%s): see "
                "systemctl status " UNIT,
                complete->job_result);
    else
        set_state(complete, BOOT_COMPLETE_WAITING,
                UNIT " is %s, and nothing is about to start it: "
                     "see systemctl status " UNIT,
                unit->active_state);
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootComplete *complete = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    UnitProperties unit = {.load_state = "", .active_state = ""};
    complete->question = sd_bus_slot_unref(complete->question);
    int r = failure ? 0 : bus_properties_read(message, read_property, &unit);
    if (complete->is_stale)
        ask(complete);
    else if (failure || r < 0)
        fail_question(complete, failure ? failure->message : strerror(-r));
    else
        judge(complete, &unit);
    return 0;
}

static void ask_for_properties(BootComplete *complete)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r = sd_bus_message_new_method_call(
            complete->bus, &question, SYSTEMD_NAME, complete->unit_path, BUS_PROPERTIES, "GetAll");
    if (r >= 0)
        r = sd_bus_message_append(question, "s", SYSTEMD_UNIT);
    if (r >= 0)
        r = sd_bus_call_async(complete->bus, &complete->question, question, on_properties, complete,
                ANSWER_TIMEOUT_USEC);
    if (r < 0)
        fail_question(complete, strerror(-r));
}

static int on_loaded(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootComplete *complete = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    complete->question = sd_bus_slot_unref(complete->question);
    if (!failure) {
        ask_for_properties(complete);
    } else if (sd_bus_error_has_name(failure, SYSTEMD_NO_SUCH_UNIT)) {
        look_again_later(complete);
        set_state(complete, BOOT_COMPLETE_NO_UNIT, "systemd knows no " UNIT);
    } else {
        fail_question(complete, failure->message);
    }
    return 0;
}

static void ask(BootComplete *complete)
{
    complete->is_stale = complete->question != NULL;
    if (complete->is_stale)
        return;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r = sd_bus_message_new_method_call(
            complete->bus, &question, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "LoadUnit");
    if (r >= 0)
        r = sd_bus_message_append(question, "s", UNIT);
    if (r >= 0)
        r = sd_bus_call_async(complete->bus, &complete->question, question, on_loaded, complete,
                ANSWER_TIMEOUT_USEC);
    if (r < 0)
        fail_question(complete, strerror(-r));
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    ask(userdata);
    return 0;
}

static int on_unit_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootComplete *complete = userdata;
    if (bus_peer_sent(complete->peer, message))
        ask(complete);
    return 0;
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootComplete *complete = userdata;
    uint32_t id;
    const char *path;
    const char *unit;
    const char *result;
    if (!bus_peer_sent(complete->peer, message) ||
            sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) <= 0 ||
            strcmp(unit, UNIT) != 0)
        return 0;
    bool is_good = strcmp(result, "done") == 0;
    snprintf(complete->job_result, sizeof(complete->job_result), "%s", is_good ? "" : result);
    ask(complete);
    return 0;
}

static void on_peer_changed(void *userdata)
{
    BootComplete *complete = userdata;
    complete->question = sd_bus_slot_unref(complete->question);
    if (bus_peer_owner(complete->peer)[0] == '\0') {
        sd_event_source_set_enabled(complete->timer, SD_EVENT_OFF);
        set_state(complete, BOOT_COMPLETE_NO_SYSTEMD, "systemd is not on the bus");
        return;
    }
    tell_systemd(complete, "Subscribe");
    ask(complete);
}

static int watch_systemd(BootComplete *complete)
{
    int r = sd_bus_path_encode(SYSTEMD_PATH "/unit", UNIT, &complete->unit_path);
    if (r >= 0)
        r = sd_bus_match_signal_async(complete->bus, &complete->job_slot, SYSTEMD_NAME,
                SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved", on_job_removed, NULL, complete);
    if (r >= 0)
        r = sd_bus_match_signal_async(complete->bus, &complete->unit_slot, SYSTEMD_NAME,
                complete->unit_path, BUS_PROPERTIES, "PropertiesChanged", on_unit_changed, NULL,
                complete);
    if (r >= 0)
        r = bus_peer_new(complete->bus, SYSTEMD_NAME, on_peer_changed, complete, &complete->peer);
    return r;
}

int boot_complete_new(sd_event *event, sd_bus *bus, void (*on_change)(void *userdata),
        void *userdata, BootComplete **ret_complete)
{
    _cleanup_(boot_complete_freep) BootComplete *complete = malloc(sizeof(*complete));
    if (!complete)
        return -ENOMEM;
    *complete = (BootComplete){.event = sd_event_ref(event),
            .bus = sd_bus_ref(bus),
            .on_change = on_change,
            .userdata = userdata};
    error_say(&complete->text, 0, "systemd is asked for " UNIT);
    int r = sd_event_add_time(event, &complete->timer, CLOCK_MONOTONIC, 0, 0, on_time, complete);
    if (r >= 0)
        r = sd_event_source_set_enabled(complete->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = watch_systemd(complete);
    if (r < 0)
        return r;
    *ret_complete = TAKE_PTR(complete);
    return 0;
}

void boot_complete_free(BootComplete *complete)
{
    if (!complete)
        return;
    leave_systemd(complete);
    sd_event_source_disable_unref(complete->timer);
    free(complete->unit_path);
    sd_event_unref(complete->event);
    free(complete);
}
