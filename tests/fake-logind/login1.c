/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/fake-logind/fake-host.h"

/* logind: sessions, inhibitors and the reboot, as far as org.freedesktop.login1(5) of systemd 252
 * has them and locksmith may ask. */

#define SESSIONS_PATH LOGIN1_PATH "/session"
#define FLAG_ROOT_CHECK_INHIBITORS UINT64_C(1) /* RebootWithFlags: also when root asks */

extern char **environ;

static int session_path(const FakeSession *session, char **ret_path)
{
    return sd_bus_path_encode(SESSIONS_PATH, session->id, ret_path);
}

static FakeSession *find_session(FakeHost *host, const char *id)
{
    for (size_t i = 0; i < host->n_sessions; i++)
        if (strcmp(host->sessions[i].id, id) == 0)
            return &host->sessions[i];
    return NULL;
}

static int on_list_sessions(sd_bus_message *call, void *userdata, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(susso)");
    for (size_t i = 0; r >= 0 && i < host->n_sessions; i++) {
        const FakeSession *session = &host->sessions[i];
        _cleanup_free_ char *path = NULL;
        r = session_path(session, &path);
        if (r >= 0)
            r = sd_bus_message_append(reply, "(susso)", session->id, (uint32_t)1000, session->user,
                    session->seat, path);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_get_session(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    FakeHost *host = userdata;
    const char *id;
    int r = sd_bus_message_read(call, "s", &id);
    if (r < 0)
        return r;
    const FakeSession *session = find_session(host, id);
    if (!session)
        return sd_bus_error_setf(error, LOGIN1_NAME ".NoSuchSession", "No session '%s' known", id);
    _cleanup_free_ char *path = NULL;
    r = session_path(session, &path);
    return r < 0 ? r : sd_bus_reply_method_return(call, "o", path);
}

static int on_list_inhibitors(sd_bus_message *call, void *userdata, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ssssuu)");
    for (size_t i = 0; r >= 0 && i < host->n_inhibitors; i++) {
        const FakeInhibitor *inhibitor = &host->inhibitors[i];
        r = sd_bus_message_append(reply, "(ssssuu)", inhibitor->what, inhibitor->who,
                inhibitor->why, inhibitor->mode, (uint32_t)0, (uint32_t)1);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; *at; at += strcspn(at, ":"), at += *at == ':')
        if (strcspn(at, ":") == n && strncmp(at, word, n) == 0)
            return true;
    return false;
}

static bool is_inhibited(const FakeHost *host, const char *what, const char *mode)
{
    for (size_t i = 0; i < host->n_inhibitors; i++)
        if (strcmp(host->inhibitors[i].mode, mode) == 0 && list_has(host->inhibitors[i].what, what))
            return true;
    return false;
}

/* "shutdown:sleep": what is inhibited in the mode that the property is of, in logind's order. */
static int get_inhibited(sd_bus *bus _unused_, const char *path _unused_,
        const char *interface _unused_, const char *property, sd_bus_message *reply, void *userdata,
        sd_bus_error *error _unused_)
{
    static const char *const whats[] = {"shutdown", "sleep", "idle", "handle-power-key",
            "handle-suspend-key", "handle-hibernate-key", "handle-lid-switch", "handle-reboot-key"};
    const FakeHost *host = userdata;
    const char *mode = strcmp(property, "BlockInhibited") == 0 ? "block" : "delay";
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < ELEMENTS(whats); i++)
        if (is_inhibited(host, whats[i], mode))
            used += (size_t)snprintf(
                    list + used, sizeof(list) - used, "%s%s", used ? ":" : "", whats[i]);
    return sd_bus_message_append(reply, "s", list);
}

static int run_reboot_command(const FakeHost *host)
{
    if (!host->command)
        return 0;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGCHLD);
    int r = posix_spawnattr_init(&attributes);
    if (r != 0)
        return -r;
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    char sh[] = "sh", c[] = "-c", *argv[] = {sh, c, (char *)host->command, NULL};
    r = posix_spawn(&(pid_t){0}, "/bin/sh", NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    return -r;
}

/* The answer leaves before the command runs, which may end whoever waits for it. */
static int accept_reboot(FakeHost *host, sd_bus_message *call)
{
    int r = sd_bus_reply_method_return(call, "");
    if (r >= 0)
        r = sd_bus_emit_signal(
                host->bus, LOGIN1_PATH, LOGIN1_MANAGER, "PrepareForShutdown", "b", true);
    if (r >= 0)
        r = sd_bus_flush(host->bus);
    fake_report(host, "reboot", call, "accepted");
    if (r >= 0)
        r = run_reboot_command(host);
    return r < 0 ? r : 1;
}

static int answer_reboot(FakeHost *host, sd_bus_message *call, uint64_t flags, sd_bus_error *error)
{
    if ((flags & FLAG_ROOT_CHECK_INHIBITORS) && is_inhibited(host, "shutdown", "block")) {
        fake_report(host, "reboot", call, "inhibited");
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                "Access denied to root due to active block inhibitor");
    }
    switch (host->reboot) {
    case REBOOT_ACCEPT:
        return accept_reboot(host, call);
    case REBOOT_REFUSE:
        fake_report(host, "reboot", call, "refused");
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Permission denied");
    case REBOOT_NOTHING:
        fake_report(host, "reboot", call, "accepted, nothing follows");
        return sd_bus_reply_method_return(call, "");
    case REBOOT_NO_REPLY:
        fake_report(host, "reboot", call, "not answered");
        return 1;
    case REBOOT_IN_PROGRESS:
        fake_report(host, "reboot", call, "in progress");
        return sd_bus_error_setf(error, LOGIN1_NAME ".OperationInProgress",
                "There's already a shutdown or sleep operation in progress");
    }
    return -EINVAL;
}

static int on_reboot(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    int is_interactive;
    int r = sd_bus_message_read(call, "b", &is_interactive);
    return r < 0 ? r : answer_reboot(userdata, call, 0, error);
}

static int on_reboot_with_flags(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    uint64_t flags;
    int r = sd_bus_message_read(call, "t", &flags);
    return r < 0 ? r : answer_reboot(userdata, call, flags, error);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("ListSessions", "", "a(susso)", on_list_sessions, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetSession", "s", "o", on_get_session, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD(
                "ListInhibitors", "", "a(ssssuu)", on_list_inhibitors, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reboot", "b", "", on_reboot, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RebootWithFlags", "t", "", on_reboot_with_flags, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY(
                "BlockInhibited", "s", get_inhibited, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY(
                "DelayInhibited", "s", get_inhibited, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_SIGNAL("SessionNew", "so", 0),
        SD_BUS_SIGNAL("SessionRemoved", "so", 0),
        SD_BUS_SIGNAL("PrepareForShutdown", "b", 0),
        SD_BUS_VTABLE_END,
};

static int get_session_word(sd_bus *bus _unused_, const char *path _unused_,
        const char *interface _unused_, const char *property, sd_bus_message *reply, void *userdata,
        sd_bus_error *error _unused_)
{
    const FakeSession *session = userdata;
    const char *word = strcmp(property, "Id") == 0      ? session->id
                       : strcmp(property, "Name") == 0  ? session->user
                       : strcmp(property, "Class") == 0 ? session->class
                       : strcmp(property, "TTY") == 0   ? session->tty
                       : strcmp(property, "State") == 0 ? session->state
                                                        : "tty"; /* Type */
    return sd_bus_message_append(reply, "s", word);
}

static int get_session_seat(sd_bus *bus _unused_, const char *path _unused_,
        const char *interface _unused_, const char *property _unused_, sd_bus_message *reply,
        void *userdata, sd_bus_error *error _unused_)
{
    const FakeSession *session = userdata;
    const char *seat_path = session->seat[0] ? LOGIN1_PATH "/seat/seat0" : "/";
    return sd_bus_message_append(reply, "(so)", session->seat, seat_path);
}

static int get_session_remote(sd_bus *bus _unused_, const char *path _unused_,
        const char *interface _unused_, const char *property _unused_, sd_bus_message *reply,
        void *userdata, sd_bus_error *error _unused_)
{
    const FakeSession *session = userdata;
    return sd_bus_message_append(reply, "b", session->seat[0] == '\0');
}

static const sd_bus_vtable session_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_session_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", get_session_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Class", "s", get_session_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("TTY", "s", get_session_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", get_session_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_session_word, 0, 0),
        SD_BUS_PROPERTY("Seat", "(so)", get_session_seat, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Remote", "b", get_session_remote, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

/* sd-bus: whose properties those of a path are. */
static int on_find_session(sd_bus *bus _unused_, const char *path, const char *interface _unused_,
        void *userdata, void **ret_found, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    _cleanup_free_ char *id = NULL;
    int r = sd_bus_path_decode(path, SESSIONS_PATH, &id);
    if (r <= 0)
        return r;
    *ret_found = find_session(host, id);
    return *ret_found != NULL;
}

int login1_serve(FakeHost *host)
{
    int r = sd_bus_add_object_vtable(
            host->bus, NULL, LOGIN1_PATH, LOGIN1_MANAGER, manager_vtable, host);
    if (r >= 0)
        r = sd_bus_add_fallback_vtable(host->bus, NULL, SESSIONS_PATH, LOGIN1_NAME ".Session",
                session_vtable, on_find_session, host);
    return r < 0 ? r : sd_bus_request_name(host->bus, LOGIN1_NAME, 0);
}

static int tell_of_session(FakeHost *host, const FakeSession *session, const char *signal)
{
    _cleanup_free_ char *path = NULL;
    int r = session_path(session, &path);
    return r < 0 ? r
                 : sd_bus_emit_signal(
                           host->bus, LOGIN1_PATH, LOGIN1_MANAGER, signal, "so", session->id, path);
}

int login1_add_session(FakeHost *host, const FakeSession *session)
{
    if (find_session(host, session->id))
        return -EEXIST;
    if (host->n_sessions == FAKE_MAX_SESSIONS)
        return -ENOSPC;
    host->sessions[host->n_sessions++] = *session;
    return tell_of_session(host, session, "SessionNew");
}

int login1_remove_session(FakeHost *host, const char *id)
{
    FakeSession *found = find_session(host, id);
    if (!found)
        return -ENOENT;
    FakeSession gone = *found;
    *found = host->sessions[--host->n_sessions];
    return tell_of_session(host, &gone, "SessionRemoved");
}

static int tell_of_inhibitors(FakeHost *host)
{
    return sd_bus_emit_properties_changed(
            host->bus, LOGIN1_PATH, LOGIN1_MANAGER, "BlockInhibited", "DelayInhibited", NULL);
}

int login1_add_inhibitor(FakeHost *host, const FakeInhibitor *inhibitor)
{
    if (host->n_inhibitors == FAKE_MAX_INHIBITORS)
        return -ENOSPC;
    host->inhibitors[host->n_inhibitors++] = *inhibitor;
    return tell_of_inhibitors(host);
}

int login1_remove_inhibitor(FakeHost *host, const char *who)
{
    for (size_t i = 0; i < host->n_inhibitors; i++) {
        if (strcmp(host->inhibitors[i].who, who) == 0) {
            host->inhibitors[i] = host->inhibitors[--host->n_inhibitors];
            return tell_of_inhibitors(host);
        }
    }
    return -ENOENT;
}
