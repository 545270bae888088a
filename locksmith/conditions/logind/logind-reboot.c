/* SPDX-License-Identifier: Apache-2.0 */

/* For root, logind's plain Reboot goes past inhibitors: "you can't be more privileged than root".
 * RebootWithFlags can be told to look at them all the same (systemd 249 and newer), which leaves no
 * gap between our own look and the reboot. */

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/conditions/logind/logind-facts.h"
#include "locksmith/conditions/logind/logind-private.h"

#define LOGIN1_IN_PROGRESS LOGIND_NAME ".OperationInProgress"
#define SD_LOGIND_ROOT_CHECK_INHIBITORS UINT64_C(1) /* org.freedesktop.login1(5) */

struct LogindReboot {
    sd_event *event;
    sd_bus *bus;
    sd_bus_slot *question;
    uint64_t deadline_usec; /* CLOCK_MONOTONIC */
    void (*on_done)(LogindReboot *reboot, int r, const char *error, void *userdata);
    void *userdata;
};

static int on_plain_answer(sd_bus_message *message, void *userdata, sd_bus_error *error);
static int on_flags_answer(sd_bus_message *message, void *userdata, sd_bus_error *error);

static int ask(LogindReboot *reboot, bool has_flags)
{
    uint64_t now = 0;
    sd_event_now(reboot->event, CLOCK_MONOTONIC, &now);
    if (reboot->deadline_usec <= now)
        return -ETIMEDOUT;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r = sd_bus_message_new_method_call(reboot->bus, &message, LOGIND_NAME, LOGIND_PATH,
            LOGIND_MANAGER, has_flags ? "RebootWithFlags" : "Reboot");
    if (r >= 0)
        r = has_flags ? sd_bus_message_append(message, "t", SD_LOGIND_ROOT_CHECK_INHIBITORS)
                      : sd_bus_message_append(message, "b", 0);
    if (r >= 0)
        r = sd_bus_call_async(reboot->bus, &reboot->question, message,
                has_flags ? on_flags_answer : on_plain_answer, reboot, reboot->deadline_usec - now);
    return r < 0 ? r : 0;
}

/* Last. */
static void finish(LogindReboot *reboot, int r, const char *error)
{
    reboot->question = sd_bus_slot_unref(reboot->question);
    reboot->on_done(reboot, r, error, reboot->userdata);
}

static void finish_with(LogindReboot *reboot, sd_bus_message *message)
{
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    int r = sd_bus_message_get_errno(message);
    if (sd_bus_error_has_name(failure, LOGIN1_IN_PROGRESS))
        r = EINPROGRESS;
    if (!failure)
        finish(reboot, 0, "");
    else
        finish(reboot, r > 0 ? -r : -EIO, failure->message ? failure->message : failure->name);
}

static int on_plain_answer(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    finish_with(userdata, message);
    return 0;
}

static int on_flags_answer(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    LogindReboot *reboot = userdata;
    if (!sd_bus_message_is_method_error(message, SD_BUS_ERROR_UNKNOWN_METHOD)) {
        finish_with(reboot, message);
        return 0;
    }
    reboot->question = sd_bus_slot_unref(reboot->question);
    int r = ask(reboot, false);
    if (r < 0)
        finish(reboot, r, strerror(-r));
    return 0;
}

int logind_reboot_new(Logind *logind, uint64_t timeout_usec,
        void (*on_done)(LogindReboot *reboot, int r, const char *error, void *userdata),
        void *userdata, LogindReboot **ret_reboot)
{
    _cleanup_(logind_reboot_freep) LogindReboot *reboot = malloc(sizeof(*reboot));
    if (!reboot)
        return -ENOMEM;
    *reboot = (LogindReboot){.event = sd_event_ref(logind_event(logind)),
            .bus = sd_bus_ref(logind_bus(logind)),
            .on_done = on_done,
            .userdata = userdata};
    uint64_t now = 0;
    sd_event_now(reboot->event, CLOCK_MONOTONIC, &now);
    reboot->deadline_usec = now + timeout_usec;
    int r = ask(reboot, true);
    if (r < 0)
        return r;
    *ret_reboot = TAKE_PTR(reboot);
    return 0;
}

void logind_reboot_free(LogindReboot *reboot)
{
    if (!reboot)
        return;
    sd_bus_slot_unref(reboot->question);
    sd_bus_unref(reboot->bus);
    sd_event_unref(reboot->event);
    free(reboot);
}
