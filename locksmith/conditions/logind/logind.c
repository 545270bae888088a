/* SPDX-License-Identifier: Apache-2.0 */

/* The facts are read in rounds: ListSessions, GetAll of each session one after another (a bus
 * allows few open questions), ListInhibitors. A round takes the place of the old facts as a whole,
 * or fails as a whole. What happens during a round makes the facts stale: another round follows. */

#include "locksmith/conditions/logind/logind.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/error-text.h"
#include "common/bus-peer.h"
#include "common/bus-properties.h"
#include "locksmith/conditions/logind/logind-facts.h"
#include "locksmith/conditions/logind/logind-private.h"

#define ROUND_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define RETRY_BASE_USEC (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC (5 * USEC_PER_MINUTE)
#define BEGIN_ACCURACY_USEC 1000

struct Logind {
    sd_event *event;
    sd_bus *bus;
    BusPeer *peer;
    bool was_peer_known;
    sd_bus_slot *new_slot;
    sd_bus_slot *removed_slot;
    sd_bus_slot *properties_slot;
    void (*on_change)(void *userdata);
    void *userdata;

    bool is_known;
    LogindLists lists;
    ErrorText error;

    sd_event_source *begin; /* enabled: a round is due, now or after a failure */
    sd_bus_slot *question;  /* set: a round is under way */
    bool is_stale;          /* another round is to follow */
    uint64_t deadline_usec; /* of the round, CLOCK_MONOTONIC */
    LogindSessionNames names;
    size_t n_asked; /* of names */
    LogindLists next;
    unsigned n_failures;

    void (*on_refreshed)(void *userdata);
    bool is_refreshed_by_round; /* the round began after the call */
};

sd_bus *logind_bus(const Logind *logind)
{
    return logind->bus;
}

sd_event *logind_event(const Logind *logind)
{
    return logind->event;
}

LogindFacts logind_facts(const Logind *logind)
{
    return (LogindFacts){.is_known = logind->is_known,
            .sessions = logind->lists.sessions,
            .n_sessions = logind->lists.n_sessions,
            .inhibitors = logind->lists.inhibitors,
            .n_inhibitors = logind->lists.n_inhibitors,
            .error = logind->error.line};
}

static uint64_t now_usec(const Logind *logind)
{
    uint64_t now = 0;
    sd_event_now(logind->event, CLOCK_MONOTONIC, &now);
    return now;
}

static int schedule(Logind *logind, uint64_t wait_usec)
{
    int r = sd_event_source_set_time(logind->begin, now_usec(logind) + wait_usec);
    return r < 0 ? r : sd_event_source_set_enabled(logind->begin, SD_EVENT_ONESHOT);
}

static int begin_soon(Logind *logind)
{
    if (logind->question) {
        logind->is_stale = true;
        return 0;
    }
    return schedule(logind, 0);
}

static void round_done(Logind *logind)
{
    logind->question = sd_bus_slot_unref(logind->question);
    logind_session_names_done(&logind->names);
    logind_lists_done(&logind->next);
}

/* Tells, and goes on where something happened meanwhile. Last: a callback may call us. */
static void end_round(Logind *logind, bool is_changed)
{
    void (*on_refreshed)(void *userdata) = NULL;
    round_done(logind);
    if (logind->is_refreshed_by_round)
        on_refreshed = TAKE_PTR(logind->on_refreshed);
    logind->is_refreshed_by_round = false;
    if (logind->is_stale || logind->on_refreshed)
        schedule(logind, 0);
    logind->is_stale = false;
    if (is_changed)
        logind->on_change(logind->userdata);
    if (on_refreshed)
        on_refreshed(logind->userdata);
}

static void fail_round(Logind *logind, const char *what, const char *why)
{
    ErrorText before = logind->error;
    error_say(&logind->error, 0, "%s: %s", what, why);
    bool is_changed = logind->is_known || strcmp(before.line, logind->error.line) != 0;
    logind->is_known = false;
    logind_lists_done(&logind->lists);
    logind->n_failures++;
    /* Where nobody has the name, its coming begins the next round. */
    if (bus_peer_owner(logind->peer)[0] != '\0')
        schedule(logind, backoff_usec(logind->n_failures, RETRY_BASE_USEC, RETRY_MAX_USEC));
    end_round(logind, is_changed);
}

static void succeed_round(Logind *logind)
{
    bool is_changed = !logind->is_known || !logind_lists_are_same(&logind->lists, &logind->next);
    logind_lists_done(&logind->lists);
    logind->lists = logind->next;
    logind->next = (LogindLists){.sessions = NULL};
    logind->is_known = true;
    logind->error.line[0] = '\0';
    logind->n_failures = 0;
    end_round(logind, is_changed);
}

static void fail_with(Logind *logind, int r)
{
    fail_round(logind, "logind cannot be asked", strerror(-r));
}

/* Sends the question and counts its time to the round's. A failure ends the round. */
static void ask(Logind *logind, const char *path, const char *interface, const char *method,
        const char *argument, sd_bus_message_handler_t on_answer)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    uint64_t now = now_usec(logind);
    int r = logind->deadline_usec > now ? 0 : -ETIMEDOUT;
    logind->question = sd_bus_slot_unref(logind->question);
    if (r >= 0)
        r = sd_bus_message_new_method_call(
                logind->bus, &message, LOGIND_NAME, path, interface, method);
    if (r >= 0 && argument)
        r = sd_bus_message_append(message, "s", argument);
    if (r >= 0)
        r = sd_bus_call_async(logind->bus, &logind->question, message, on_answer, logind,
                logind->deadline_usec - now);
    if (r < 0)
        fail_with(logind, r);
}

static int on_inhibitors(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    Logind *logind = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    int r = failure ? 0 : logind_read_inhibitors(message, &logind->next);
    if (failure)
        fail_round(logind, "logind does not tell its inhibitors", failure->message);
    else if (r < 0)
        fail_with(logind, r);
    else
        succeed_round(logind);
    return 0;
}

static void ask_next(Logind *logind);

static int on_session(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    Logind *logind = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    const LogindSessionName *name = &logind->names.names[logind->n_asked++];
    bool is_gone = failure && (sd_bus_error_has_name(failure, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                                      sd_bus_error_has_name(failure, SD_BUS_ERROR_UNKNOWN_METHOD) ||
                                      sd_bus_error_has_name(failure, LOGIND_NO_SUCH_SESSION));
    int r = failure ? 0 : logind_read_session(message, name, &logind->next);
    if (failure && !is_gone)
        fail_round(logind, "logind does not tell of a session", failure->message);
    else if (r < 0)
        fail_with(logind, r);
    else
        ask_next(logind);
    return 0;
}

static void ask_next(Logind *logind)
{
    if (logind->n_asked < logind->names.n_names)
        ask(logind, logind->names.names[logind->n_asked].path, BUS_PROPERTIES, "GetAll",
                LOGIND_SESSION, on_session);
    else
        ask(logind, LOGIND_PATH, LOGIND_MANAGER, "ListInhibitors", NULL, on_inhibitors);
}

static int on_session_names(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    Logind *logind = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    int r = failure ? 0 : logind_read_session_names(message, &logind->names);
    if (failure)
        fail_round(logind, "logind does not tell its sessions", failure->message);
    else if (r < 0)
        fail_with(logind, r);
    else
        ask_next(logind);
    return 0;
}

static int on_begin(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Logind *logind = userdata;
    if (logind->question)
        return 0;
    logind->deadline_usec = now_usec(logind) + ROUND_TIMEOUT_USEC;
    logind->n_asked = 0;
    logind->is_refreshed_by_round = logind->on_refreshed != NULL;
    ask(logind, LOGIND_PATH, LOGIND_MANAGER, "ListSessions", NULL, on_session_names);
    return 0;
}

static int on_sessions_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    Logind *logind = userdata;
    if (bus_peer_sent(logind->peer, message))
        begin_soon(logind);
    return 0;
}

static int on_properties_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    Logind *logind = userdata;
    if (bus_peer_sent(logind->peer, message) &&
            bus_properties_changed_name(message, LOGIND_MANAGER, "BlockInhibited"))
        begin_soon(logind);
    return 0;
}

static void on_peer_changed(void *userdata)
{
    Logind *logind = userdata;
    bool is_first = !logind->was_peer_known;
    logind->was_peer_known = true;
    if (is_first) /* the first round is due anyway, and may start logind */
        return;
    if (bus_peer_owner(logind->peer)[0] != '\0')
        begin_soon(logind);
    else
        fail_round(logind, "logind is not there", "nobody has its name on the bus");
}

static int subscribe(Logind *logind)
{
    int r = sd_bus_match_signal_async(logind->bus, &logind->new_slot, LOGIND_NAME, LOGIND_PATH,
            LOGIND_MANAGER, "SessionNew", on_sessions_changed, NULL, logind);
    if (r >= 0)
        r = sd_bus_match_signal_async(logind->bus, &logind->removed_slot, LOGIND_NAME, LOGIND_PATH,
                LOGIND_MANAGER, "SessionRemoved", on_sessions_changed, NULL, logind);
    if (r >= 0)
        r = sd_bus_match_signal_async(logind->bus, &logind->properties_slot, LOGIND_NAME,
                LOGIND_PATH, BUS_PROPERTIES, "PropertiesChanged", on_properties_changed, NULL,
                logind);
    return r;
}

int logind_new(sd_event *event, sd_bus *bus, void (*on_change)(void *userdata), void *userdata,
        Logind **ret_logind)
{
    _cleanup_(logind_freep) Logind *logind = malloc(sizeof(*logind));
    if (!logind)
        return -ENOMEM;
    *logind = (Logind){.event = sd_event_ref(event),
            .bus = sd_bus_ref(bus),
            .on_change = on_change,
            .userdata = userdata};
    int r = subscribe(logind);
    if (r >= 0)
        r = bus_peer_new(bus, LOGIND_NAME, on_peer_changed, logind, &logind->peer);
    if (r >= 0)
        r = sd_event_add_time(
                event, &logind->begin, CLOCK_MONOTONIC, 0, BEGIN_ACCURACY_USEC, on_begin, logind);
    if (r < 0)
        return r;
    *ret_logind = TAKE_PTR(logind);
    return 0;
}

void logind_free(Logind *logind)
{
    if (!logind)
        return;
    round_done(logind);
    sd_event_source_disable_unref(logind->begin);
    bus_peer_free(logind->peer);
    sd_bus_slot_unref(logind->new_slot);
    sd_bus_slot_unref(logind->removed_slot);
    sd_bus_slot_unref(logind->properties_slot);
    logind_lists_done(&logind->lists);
    sd_bus_unref(logind->bus);
    sd_event_unref(logind->event);
    free(logind);
}

int logind_refresh(Logind *logind, void (*on_done)(void *userdata))
{
    int r = begin_soon(logind);
    if (r < 0)
        return r;
    logind->on_refreshed = on_done;
    logind->is_refreshed_by_round = false;
    return 0;
}
