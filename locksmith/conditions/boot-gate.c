/* SPDX-License-Identifier: Apache-2.0 */

/* One after another: the target (boot-complete.c), the delay, the check. */

#include "locksmith/conditions/boot-gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/error-text.h"
#include "common/log.h"
#include "common/printable.h"
#include "locksmith/conditions/boot-complete.h"
#include "locksmith/conditions/child-process.h"

struct BootGate {
    sd_event *event;
    BootComplete *complete; /* until the target was seen active */
    sd_event_source *timer; /* enabled: the check is due */
    ChildProcess *child;
    BootGateState state;
    ErrorText text;
    uint64_t delay_usec;
    char *check;
    uint64_t check_timeout_usec;
    uint64_t check_retry_usec;
    void (*on_change)(void *userdata);
    void *userdata;
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
    printable_vformat(gate->text.line, sizeof(gate->text.line), format, arguments);
    va_end(arguments);
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

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    begin_check(userdata);
    return 0;
}

/* Takes up how the target is; with it the rest begins. */
static void pass_target(BootGate *gate)
{
    uint64_t now = now_usec(gate);
    uint64_t active_usec = boot_complete_since_usec(gate->complete);
    uint64_t since_usec = active_usec > 0 && active_usec < now ? now - active_usec : 0;
    boot_complete_free(TAKE_PTR(gate->complete));
    if (since_usec >= gate->delay_usec) {
        begin_check(gate);
        return;
    }
    arm(gate, gate->delay_usec - since_usec);
    set_state(gate, BOOT_GATE_DELAYED, BOOT_GATE_UNIT " is active; the release delay runs");
}

static void on_complete_changed(void *userdata)
{
    BootGate *gate = userdata;
    const char *text = boot_complete_text(gate->complete);
    switch (boot_complete_state(gate->complete)) {
    case BOOT_COMPLETE_ASKING:
        set_state(gate, BOOT_GATE_ASKING, "%s", text);
        break;
    case BOOT_COMPLETE_WAITING:
        set_state(gate, BOOT_GATE_WAITING, "%s", text);
        break;
    case BOOT_COMPLETE_FAILED:
        set_state(gate, BOOT_GATE_FAILED, "%s", text);
        break;
    case BOOT_COMPLETE_NO_SYSTEMD:
        set_state(gate, BOOT_GATE_NO_SYSTEMD, "%s", text);
        break;
    case BOOT_COMPLETE_NO_UNIT:
        set_state(gate, BOOT_GATE_NO_UNIT, "%s", text);
        break;
    case BOOT_COMPLETE_ACTIVE:
        pass_target(gate);
        break;
    }
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
    gate->state = BOOT_GATE_ASKING;
    int r = boot_complete_new(gate->event, bus, on_complete_changed, gate, &gate->complete);
    if (r >= 0)
        error_say(&gate->text, 0, "%s", boot_complete_text(gate->complete));
    return r;
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
    boot_complete_free(gate->complete);
    child_process_free(gate->child);
    sd_event_source_disable_unref(gate->timer);
    free(gate->check);
    sd_event_unref(gate->event);
    free(gate);
}
