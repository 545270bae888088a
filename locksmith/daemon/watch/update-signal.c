/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/watch/update-signal.h"

#include <stdbool.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/bus-peer.h"
#include "updater/engine/bus-names.h"

#define VERSION_BYTES 128
#define UNKNOWN_VERSION "0.0.0"
#define CALL_TIMEOUT_USEC (25 * USEC_PER_SEC)
#define RETRY_MIN_USEC (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC (5 * USEC_PER_MINUTE)

struct UpdateSignal {
    sd_event *event;
    sd_bus *bus;
    void (*on_change)(void *userdata);
    void *userdata;
    BusPeer *peer;
    sd_bus_slot *match;
    sd_bus_slot *call;
    sd_event_source *retry;
    unsigned n_failures;
    void (*on_refreshed)(void *userdata); /* NULL: nobody waits */
    UpdateState state;
    char version[VERSION_BYTES];
};

UpdateState update_signal_understand(
        const char *operation, const char *version, char *ret_version, size_t n_bytes)
{
    bool waits = strcmp(operation, BUS_STATUS_NEED_REBOOT) == 0;
    bool is_given = waits && strcmp(version, UNKNOWN_VERSION) != 0;
    printable_copy(ret_version, n_bytes, is_given ? version : "");
    return waits ? UPDATE_WAITS : UPDATE_NONE;
}

static void set(UpdateSignal *signal, UpdateState state, const char *version)
{
    if (signal->state == state && strcmp(signal->version, version) == 0)
        return;
    signal->state = state;
    snprintf(signal->version, sizeof(signal->version), "%s", version);
    signal->on_change(signal->userdata);
}

static int take(UpdateSignal *signal, sd_bus_message *message)
{
    const char *operation, *version;
    char shown[VERSION_BYTES];
    int r = sd_bus_message_read(message, "xdssx", NULL, NULL, &operation, &version, NULL);
    if (r < 0)
        return r;
    UpdateState state = update_signal_understand(operation, version, shown, sizeof(shown));
    set(signal, state, shown);
    return 0;
}

static int on_status_update(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    UpdateSignal *signal = userdata;
    if (!bus_peer_sent(signal->peer, message)) {
        log_warning("%s sent a StatusUpdate, but does not have the name %s: ignored",
                sd_bus_message_get_sender(message) ?: "somebody", BUS_NAME);
        return 0;
    }
    if (take(signal, message) < 0)
        log_warning("update-engine sent a StatusUpdate that cannot be understood: ignored");
    return 0;
}

static int ask(UpdateSignal *signal);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    UpdateSignal *signal = userdata;
    signal->retry = sd_event_source_unref(signal->retry);
    if (!signal->call && ask(signal) < 0)
        log_warning("cannot ask update-engine for its status");
    return 0;
}

static void retry_later(UpdateSignal *signal)
{
    uint64_t wait = backoff_usec(++signal->n_failures, RETRY_MIN_USEC, RETRY_MAX_USEC);
    signal->retry = sd_event_source_unref(signal->retry);
    int r = sd_event_add_time_relative(
            signal->event, &signal->retry, CLOCK_BOOTTIME, wait, 0, on_retry, signal);
    if (r < 0)
        log_error("cannot plan to ask update-engine again: %s", strerror(-r));
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *error)
{
    (void)error;
    UpdateSignal *signal = userdata;
    signal->call = sd_bus_slot_unref(signal->call);
    void (*on_refreshed)(void *) = signal->on_refreshed;
    void *refreshed_userdata = signal->userdata;
    signal->on_refreshed = NULL;
    const sd_bus_error *refusal = sd_bus_message_get_error(answer);
    int r = refusal ? -EIO : take(signal, answer);
    if (r < 0) {
        /* An owner that is gone is told of by the bus; this one is there and silent. */
        if (bus_peer_owner(signal->peer)[0]) {
            log_warning("update-engine does not tell its status: %s",
                    refusal ? refusal->message : "the answer cannot be understood");
            retry_later(signal);
        }
        set(signal, UPDATE_UNKNOWN, "");
    } else {
        signal->n_failures = 0;
    }
    if (on_refreshed)
        on_refreshed(refreshed_userdata);
    return 0;
}

/* Nobody is started for it. */
static int ask(UpdateSignal *signal)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(
            signal->bus, &call, BUS_NAME, BUS_PATH, BUS_INTERFACE_MANAGER, "GetStatus");
    if (r >= 0)
        r = sd_bus_message_set_auto_start(call, false);
    signal->call = sd_bus_slot_unref(signal->call);
    if (r >= 0)
        r = sd_bus_call_async(
                signal->bus, &signal->call, call, on_answer, signal, CALL_TIMEOUT_USEC);
    return r;
}

static void on_owner(void *userdata)
{
    UpdateSignal *signal = userdata;
    signal->n_failures = 0;
    signal->retry = sd_event_source_unref(signal->retry);
    if (bus_peer_owner(signal->peer)[0]) {
        int r = ask(signal);
        if (r < 0) {
            log_warning("cannot ask update-engine for its status: %s", strerror(-r));
            retry_later(signal);
        }
    }
    /* What the last owner said does not bind the next one. */
    set(signal, UPDATE_UNKNOWN, "");
}

int update_signal_new(sd_event *event, sd_bus *bus, void (*on_change)(void *userdata),
        void *userdata, UpdateSignal **ret_signal)
{
    _cleanup_(update_signal_freep) UpdateSignal *signal = calloc(1, sizeof(*signal));
    if (!signal)
        return -ENOMEM;
    *signal = (UpdateSignal){
            .event = sd_event_ref(event),
            .bus = sd_bus_ref(bus),
            .on_change = on_change,
            .userdata = userdata,
    };
    int r = sd_bus_match_signal_async(bus, &signal->match, BUS_NAME, BUS_PATH,
            BUS_INTERFACE_MANAGER, "StatusUpdate", on_status_update, NULL, signal);
    if (r >= 0)
        r = bus_peer_new(bus, BUS_NAME, on_owner, signal, &signal->peer);
    if (r < 0)
        return r;
    *ret_signal = TAKE_PTR(signal);
    return 0;
}

void update_signal_free(UpdateSignal *signal)
{
    if (!signal)
        return;
    sd_bus_slot_unref(signal->match);
    sd_bus_slot_unref(signal->call);
    sd_event_source_disable_unref(signal->retry);
    bus_peer_free(signal->peer);
    sd_bus_unref(signal->bus);
    sd_event_unref(signal->event);
    free(signal);
}

UpdateFacts update_signal_facts(const UpdateSignal *signal)
{
    return (UpdateFacts){.state = signal->state, .version = signal->version};
}

int update_signal_refresh(UpdateSignal *signal, void (*on_done)(void *userdata))
{
    int r = ask(signal);
    if (r < 0)
        return r;
    signal->on_refreshed = on_done;
    return 0;
}
