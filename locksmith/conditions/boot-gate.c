/* SPDX-License-Identifier: Apache-2.0 */

/* systemd is asked (LoadUnit, then the unit's properties) when its name gets an owner, when a
 * signal says that something happened to the unit, and once a minute behind the signals. Its answer
 * decides alone; a signal only says when to ask. Once the target was seen active systemd is left
 * alone. */

#include "locksmith/conditions/boot-gate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/error-text.h"
#include "common/log.h"
#include "common/printable.h"
#include "locksmith/conditions/bus-peer.h"
#include "locksmith/conditions/bus-properties.h"
#include "locksmith/conditions/child-process.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT "org.freedesktop.systemd1.Unit"
#define SYSTEMD_NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"

#define ANSWER_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define LOOK_AGAIN_USEC USEC_PER_MINUTE

struct BootGate {
    sd_event *event;
    sd_event_source *timer; /* to ask again, to end the delay, to check (again) */
    BootGateState state;
    ErrorText text;
    uint64_t delay_usec;
    char *check;
    uint64_t check_timeout_usec;
    uint64_t check_retry_usec;
    ChildProcess *child;
    void (*on_change)(void *userdata);
    void *userdata;

    /* Until the target was seen active: */
    sd_bus *bus;
    BusPeer *peer;
    char *unit_path;
    sd_bus_slot *job_slot;
    sd_bus_slot *unit_slot;
    sd_bus_slot *question;
    bool is_stale; /* ask again after the answer */
    char job_result[32];
};

const char *boot_gate_state_name(BootGateState state)
{
    switch (state) {
    case BOOT_GATE_ASKING:
        return "asking";
    case BOOT_GATE_WAITING:
        return "waiting";
    case BOOT_GATE_FAILED:
        return "failed";
    case BOOT_GATE_NO_SYSTEMD:
        return "no-systemd";
    case BOOT_GATE_NO_UNIT:
        return "no-unit";
    case BOOT_GATE_DELAYED:
        return "delayed";
    case BOOT_GATE_CHECKING:
        return "checking";
    case BOOT_GATE_CHECK_FAILED:
        return "check-failed";
    case BOOT_GATE_GOOD:
        return "good";
    }
    return "?";
}

BootGateState boot_gate_state(const BootGate *gate)
{
    return gate->state;
}

const char *boot_gate_text(const BootGate *gate)
{
    return gate->text.line;
}

static void set_state(BootGate *gate, BootGateState state, const char *format, ...) _printf_(3, 4);

/* Last: on_change may free the gate. */
static void set_state(BootGate *gate, BootGateState state, const char *format, ...)
{
    ErrorText before = gate->text;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(gate->text.line, sizeof(gate->text.line), format, arguments);
    va_end(arguments);
    printable_clean(gate->text.line);
    if (state == gate->state && strcmp(before.line, gate->text.line) == 0)
        return;
    gate->state = state;
    gate->on_change(gate->userdata);
}

static uint64_t now_usec(const BootGate *gate)
{
    uint64_t now = 0;
    sd_event_now(gate->event, CLOCK_MONOTONIC, &now);
    return now;
}

static int arm(BootGate *gate, uint64_t wait_usec)
{
    int r = sd_event_source_set_time(gate->timer, now_usec(gate) + wait_usec);
    return r < 0 ? r : sd_event_source_set_enabled(gate->timer, SD_EVENT_ONESHOT);
}

/* The check. */

static void on_line(const char *line, void *userdata)
{
    (void)userdata;
    log_info("health check: %s", line);
}

static void on_checked(ChildProcess *child, ChildEnd end, int number, void *userdata)
{
    (void)child;
    BootGate *gate = userdata;
    child_process_free(TAKE_PTR(gate->child));
    if (end == CHILD_EXITED && number == 0) {
        set_state(gate, BOOT_GATE_GOOD, "the boot was declared good, and the health check agrees");
        return;
    }
    arm(gate, gate->check_retry_usec);
    set_state(gate, BOOT_GATE_CHECK_FAILED, "the health check %s; it is tried again",
            child_end_show(end, number).text);
}

static void begin_check(BootGate *gate)
{
    if (gate->check[0] == '\0') {
        set_state(gate, BOOT_GATE_GOOD, "the boot was declared good");
        return;
    }
    const char *const arguments[] = {"/bin/sh", "-c", gate->check, NULL};
    ChildProcessOptions options = {.arguments = arguments,
            .timeout_usec = gate->check_timeout_usec,
            .on_line = on_line,
            .on_done = on_checked,
            .userdata = gate};
    int r = child_process_new(gate->event, &options, &gate->child);
    if (r < 0) {
        arm(gate, gate->check_retry_usec);
        set_state(gate, BOOT_GATE_CHECK_FAILED,
                "the health check could not be started: %s; it is tried again", strerror(-r));
        return;
    }
    set_state(gate, BOOT_GATE_CHECKING, "the health check runs");
}

/* systemd. */

static void leave_systemd(BootGate *gate)
{
    /* Without a subscriber systemd sends its signals to nobody. Its answer does not matter. */
    if (gate->peer && bus_peer_owner(gate->peer)[0] != '\0')
        (void)sd_bus_call_method_async(gate->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                "Unsubscribe", NULL, NULL, NULL);
    gate->question = sd_bus_slot_unref(gate->question);
    gate->job_slot = sd_bus_slot_unref(gate->job_slot);
    gate->unit_slot = sd_bus_slot_unref(gate->unit_slot);
    bus_peer_free(TAKE_PTR(gate->peer));
    gate->bus = sd_bus_unref(gate->bus);
}

static void ask(BootGate *gate);

/* For what may be over in a while. */
static void fail_question(BootGate *gate, const char *why)
{
    arm(gate, LOOK_AGAIN_USEC);
    set_state(gate, BOOT_GATE_ASKING,
            "systemd does not say whether " BOOT_GATE_UNIT " is active: %s", why);
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

static void pass_target(BootGate *gate, uint64_t active_usec)
{
    uint64_t now = now_usec(gate);
    uint64_t since_usec = active_usec > 0 && active_usec < now ? now - active_usec : 0;
    leave_systemd(gate);
    if (since_usec >= gate->delay_usec) {
        begin_check(gate);
        return;
    }
    arm(gate, gate->delay_usec - since_usec);
    set_state(gate, BOOT_GATE_DELAYED, BOOT_GATE_UNIT " is active; the release delay runs");
}

static void judge(BootGate *gate, const UnitProperties *unit)
{
    if (strcmp(unit->active_state, "active") == 0) {
        pass_target(gate, unit->active_usec);
        return;
    }
    arm(gate, LOOK_AGAIN_USEC);
    if (strcmp(unit->load_state, "not-found") == 0 || strcmp(unit->load_state, "masked") == 0)
        set_state(gate, BOOT_GATE_NO_UNIT, "systemd says of " BOOT_GATE_UNIT ": %s",
                unit->load_state);
    else if (strcmp(unit->load_state, "loaded") != 0)
        set_state(gate, BOOT_GATE_FAILED, BOOT_GATE_UNIT " cannot be loaded: %s", unit->load_state);
    else if (unit->job != 0)
        set_state(gate, BOOT_GATE_WAITING, BOOT_GATE_UNIT " is being started");
    else if (gate->job_result[0] != '\0')
        set_state(gate, BOOT_GATE_FAILED,
                "the start of " BOOT_GATE_UNIT " failed (%s): see "
                "systemctl status " BOOT_GATE_UNIT,
                gate->job_result);
    else
        set_state(gate, BOOT_GATE_WAITING,
                BOOT_GATE_UNIT " is %s, and nothing is about to start "
                               "it: see systemctl status " BOOT_GATE_UNIT,
                unit->active_state);
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootGate *gate = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    UnitProperties unit = {.load_state = "", .active_state = ""};
    gate->question = sd_bus_slot_unref(gate->question);
    int r = failure ? 0 : bus_properties_read(message, read_property, &unit);
    if (gate->is_stale)
        ask(gate);
    else if (failure || r < 0)
        fail_question(gate, failure ? failure->message : strerror(-r));
    else
        judge(gate, &unit);
    return 0;
}

static int on_loaded(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootGate *gate = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    gate->question = sd_bus_slot_unref(gate->question);
    if (failure && sd_bus_error_has_name(failure, SYSTEMD_NO_SUCH_UNIT)) {
        arm(gate, LOOK_AGAIN_USEC);
        set_state(gate, BOOT_GATE_NO_UNIT, "systemd knows no " BOOT_GATE_UNIT);
        return 0;
    }
    if (failure) {
        fail_question(gate, failure->message);
        return 0;
    }
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r = sd_bus_message_new_method_call(
            gate->bus, &question, SYSTEMD_NAME, gate->unit_path, BUS_PROPERTIES, "GetAll");
    if (r >= 0)
        r = sd_bus_message_append(question, "s", SYSTEMD_UNIT);
    if (r >= 0)
        r = sd_bus_call_async(
                gate->bus, &gate->question, question, on_properties, gate, ANSWER_TIMEOUT_USEC);
    if (r < 0)
        fail_question(gate, strerror(-r));
    return 0;
}

static void ask(BootGate *gate)
{
    gate->is_stale = gate->question != NULL;
    if (gate->is_stale)
        return;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r = sd_bus_message_new_method_call(
            gate->bus, &question, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "LoadUnit");
    if (r >= 0)
        r = sd_bus_message_append(question, "s", BOOT_GATE_UNIT);
    if (r >= 0)
        r = sd_bus_call_async(
                gate->bus, &gate->question, question, on_loaded, gate, ANSWER_TIMEOUT_USEC);
    if (r < 0)
        fail_question(gate, strerror(-r));
}

static int on_unit_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootGate *gate = userdata;
    if (bus_peer_sent(gate->peer, message))
        ask(gate);
    return 0;
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BootGate *gate = userdata;
    uint32_t id;
    const char *path;
    const char *unit;
    const char *result;
    if (!bus_peer_sent(gate->peer, message) ||
            sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) <= 0 ||
            strcmp(unit, BOOT_GATE_UNIT) != 0)
        return 0;
    bool is_good = strcmp(result, "done") == 0;
    snprintf(gate->job_result, sizeof(gate->job_result), "%s", is_good ? "" : result);
    ask(gate);
    return 0;
}

static void on_peer_changed(void *userdata)
{
    BootGate *gate = userdata;
    gate->question = sd_bus_slot_unref(gate->question);
    if (bus_peer_owner(gate->peer)[0] == '\0') {
        sd_event_source_set_enabled(gate->timer, SD_EVENT_OFF);
        set_state(gate, BOOT_GATE_NO_SYSTEMD, "systemd is not on the bus");
        return;
    }
    /* Its signals go to subscribers alone; where that fails, asking again stands in. */
    (void)sd_bus_call_method_async(gate->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
            "Subscribe", NULL, NULL, NULL);
    ask(gate);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    BootGate *gate = userdata;
    switch (gate->state) {
    case BOOT_GATE_ASKING:
    case BOOT_GATE_WAITING:
    case BOOT_GATE_FAILED:
    case BOOT_GATE_NO_UNIT:
        ask(gate);
        break;
    case BOOT_GATE_DELAYED:
    case BOOT_GATE_CHECK_FAILED:
        begin_check(gate);
        break;
    case BOOT_GATE_NO_SYSTEMD:
    case BOOT_GATE_CHECKING:
    case BOOT_GATE_GOOD:
        break;
    }
    return 0;
}

static int watch_systemd(BootGate *gate, sd_bus *bus)
{
    gate->bus = sd_bus_ref(bus);
    int r = sd_bus_path_encode(SYSTEMD_PATH "/unit", BOOT_GATE_UNIT, &gate->unit_path);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &gate->job_slot, SYSTEMD_NAME, SYSTEMD_PATH,
                SYSTEMD_MANAGER, "JobRemoved", on_job_removed, NULL, gate);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &gate->unit_slot, SYSTEMD_NAME, gate->unit_path,
                BUS_PROPERTIES, "PropertiesChanged", on_unit_changed, NULL, gate);
    if (r >= 0)
        r = bus_peer_new(bus, SYSTEMD_NAME, on_peer_changed, gate, &gate->peer);
    return r;
}

static int begin(BootGate *gate, sd_bus *bus, bool waits_for_target)
{
    if (!waits_for_target) {
        error_say(&gate->text, 0, "the release delay runs");
        gate->state = BOOT_GATE_DELAYED;
        return arm(gate, gate->delay_usec);
    }
    if (!bus) {
        error_say(&gate->text, 0, "there is no bus to ask systemd on");
        gate->state = BOOT_GATE_NO_SYSTEMD;
        return 0;
    }
    error_say(&gate->text, 0, "systemd is asked for " BOOT_GATE_UNIT);
    gate->state = BOOT_GATE_ASKING;
    return watch_systemd(gate, bus);
}

int boot_gate_new(sd_event *event, sd_bus *bus, const BootGateOptions *options,
        void (*on_change)(void *userdata), void *userdata, BootGate **ret_gate)
{
    _cleanup_(boot_gate_freep) BootGate *gate = malloc(sizeof(*gate));
    if (!gate)
        return -ENOMEM;
    *gate = (BootGate){.event = sd_event_ref(event),
            .delay_usec = options->delay_usec,
            .check_timeout_usec = options->check_timeout_usec,
            .check_retry_usec = options->check_retry_usec,
            .on_change = on_change,
            .userdata = userdata};
    gate->check = strdup(options->check ? options->check : "");
    if (!gate->check)
        return -ENOMEM;
    int r = sd_event_add_time(event, &gate->timer, CLOCK_MONOTONIC, 0, 0, on_time, gate);
    if (r >= 0)
        r = sd_event_source_set_enabled(gate->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = begin(gate, bus, options->waits_for_target);
    if (r < 0)
        return r;
    *ret_gate = TAKE_PTR(gate);
    return 0;
}

void boot_gate_free(BootGate *gate)
{
    if (!gate)
        return;
    leave_systemd(gate);
    child_process_free(gate->child);
    sd_event_source_disable_unref(gate->timer);
    free(gate->unit_path);
    free(gate->check);
    sd_event_unref(gate->event);
    free(gate);
}
