/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/logind/logind-facts.h"

#include <string.h>

#include "common/printable.h"
#include "common/bus-properties.h"

#define MAX_TEXT_CHARS 128

/* A new string, fit to be shown, or NULL. Not for paths. */
static char *copy_text(const char *text)
{
    char *copy = strndup(text, MAX_TEXT_CHARS);
    if (copy)
        printable_clean(copy);
    return copy;
}

void logind_lists_done(LogindLists *lists)
{
    for (size_t i = 0; i < lists->n_sessions; i++) {
        free(lists->sessions[i].id);
        free(lists->sessions[i].user);
        free(lists->sessions[i].tty);
    }
    for (size_t i = 0; i < lists->n_inhibitors; i++) {
        free(lists->inhibitors[i].who);
        free(lists->inhibitors[i].why);
    }
    free(lists->sessions);
    free(lists->inhibitors);
    *lists = (LogindLists){.sessions = NULL};
}

bool logind_lists_are_same(const LogindLists *a, const LogindLists *b)
{
    if (a->n_sessions != b->n_sessions || a->n_inhibitors != b->n_inhibitors)
        return false;
    for (size_t i = 0; i < a->n_sessions; i++)
        if (strcmp(a->sessions[i].id, b->sessions[i].id) != 0 ||
                strcmp(a->sessions[i].user, b->sessions[i].user) != 0 ||
                strcmp(a->sessions[i].tty, b->sessions[i].tty) != 0)
            return false;
    for (size_t i = 0; i < a->n_inhibitors; i++)
        if (strcmp(a->inhibitors[i].who, b->inhibitors[i].who) != 0 ||
                strcmp(a->inhibitors[i].why, b->inhibitors[i].why) != 0)
            return false;
    return true;
}

static void session_name_done(LogindSessionName *name)
{
    free(name->id);
    free(name->user);
    free(name->path);
}

void logind_session_names_done(LogindSessionNames *names)
{
    for (size_t i = 0; i < names->n_names; i++)
        session_name_done(&names->names[i]);
    free(names->names);
    *names = (LogindSessionNames){.names = NULL};
}

static int add_session_name(
        LogindSessionNames *names, const char *id, const char *user, const char *path)
{
    LogindSessionName *larger = reallocarray(names->names, names->n_names + 1, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    names->names = larger;
    LogindSessionName name = {.id = copy_text(id), .user = copy_text(user), .path = strdup(path)};
    if (!name.id || !name.user || !name.path) {
        session_name_done(&name);
        return -ENOMEM;
    }
    names->names[names->n_names++] = name;
    return 0;
}

int logind_read_session_names(sd_bus_message *message, LogindSessionNames *ret_names)
{
    *ret_names = (LogindSessionNames){.names = NULL};
    int r = sd_bus_message_enter_container(message, 'a', "(susso)");
    if (r < 0)
        return r;
    while (ret_names->n_names < LOGIND_MAX_SESSIONS) {
        const char *id;
        const char *user;
        const char *seat;
        const char *path;
        uint32_t uid;
        r = sd_bus_message_read(message, "(susso)", &id, &uid, &user, &seat, &path);
        if (r <= 0)
            return r;
        r = add_session_name(ret_names, id, user, path);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What decides whether somebody sits there; all inside the message. */
typedef struct {
    const char *class;
    const char *state;
    const char *tty;
    const char *seat;
    int is_remote;
} SessionProperties;

static int read_property(sd_bus_message *message, const char *name, void *userdata)
{
    SessionProperties *properties = userdata;
    const char *path;
    if (strcmp(name, "Class") == 0)
        return sd_bus_message_read(message, "v", "s", &properties->class);
    if (strcmp(name, "State") == 0)
        return sd_bus_message_read(message, "v", "s", &properties->state);
    if (strcmp(name, "TTY") == 0)
        return sd_bus_message_read(message, "v", "s", &properties->tty);
    if (strcmp(name, "Seat") == 0)
        return sd_bus_message_read(message, "v", "(so)", &properties->seat, &path);
    if (strcmp(name, "Remote") == 0)
        return sd_bus_message_read(message, "v", "b", &properties->is_remote);
    return sd_bus_message_skip(message, "v");
}

/* systemd 256 and newer have user-early (root) and user-light beside user; user-incomplete has not
 * logged in yet. */
static bool is_interactive(const SessionProperties *properties)
{
    bool is_user = strncmp(properties->class, "user", 4) == 0 &&
                   strcmp(properties->class, "user-incomplete") != 0;
    return is_user && strcmp(properties->state, "closing") != 0 &&
           (properties->tty[0] != '\0' || properties->seat[0] != '\0');
}

int logind_read_session(sd_bus_message *message, const LogindSessionName *name, LogindLists *lists)
{
    SessionProperties properties = {.class = "", .state = "", .tty = "", .seat = ""};
    int r = bus_properties_read(message, read_property, &properties);
    if (r < 0 || !is_interactive(&properties))
        return r;
    LogindSession *larger = reallocarray(lists->sessions, lists->n_sessions + 1, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    lists->sessions = larger;
    LogindSession session = {.id = strdup(name->id),
            .user = strdup(name->user),
            .tty = copy_text(properties.tty),
            .is_remote = properties.is_remote};
    lists->sessions[lists->n_sessions++] = session;
    return session.id && session.user && session.tty ? 0 : -ENOMEM;
}

/* what is a list such as "sleep:shutdown". */
static bool is_about_shutdown(const char *what)
{
    static const char word[] = "shutdown";
    for (;;) {
        size_t n_chars = strcspn(what, ":");
        if (n_chars == sizeof(word) - 1 && strncmp(what, word, n_chars) == 0)
            return true;
        if (what[n_chars] == '\0')
            return false;
        what += n_chars + 1;
    }
}

static int add_inhibitor(LogindLists *lists, const char *who, const char *why)
{
    LogindInhibitor *larger =
            reallocarray(lists->inhibitors, lists->n_inhibitors + 1, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    lists->inhibitors = larger;
    LogindInhibitor inhibitor = {.who = copy_text(who), .why = copy_text(why)};
    lists->inhibitors[lists->n_inhibitors++] = inhibitor;
    return inhibitor.who && inhibitor.why ? 0 : -ENOMEM;
}

int logind_read_inhibitors(sd_bus_message *message, LogindLists *lists)
{
    int r = sd_bus_message_enter_container(message, 'a', "(ssssuu)");
    if (r < 0)
        return r;
    while (lists->n_inhibitors < LOGIND_MAX_INHIBITORS) {
        const char *what;
        const char *who;
        const char *why;
        const char *mode;
        uint32_t uid;
        uint32_t pid;
        r = sd_bus_message_read(message, "(ssssuu)", &what, &who, &why, &mode, &uid, &pid);
        if (r <= 0)
            return r;
        /* block-weak (systemd 257) does not count for root, and delay only delays. */
        if (is_about_shutdown(what) && strcmp(mode, "block") == 0)
            r = add_inhibitor(lists, who, why);
        if (r < 0)
            return r;
    }
    return 0;
}
