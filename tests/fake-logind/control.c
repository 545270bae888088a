/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/fake-logind/fake-host.h"

/* The object that tells the fakes what to do, and the report of what was asked of them. */

#define CONTROL_NAME "flipside.Fake"
#define CONTROL_PATH "/control"
#define MAX_WORDS 8

typedef struct {
    const char *name;
    size_t n_arguments;
    int (*run)(FakeHost *host, char **arguments);
} Command;

static void take_word(FakeWord word, const char *text)
{
    snprintf(word, FAKE_WORD_CHARS, "%s", text);
}

static int run_reboot(FakeHost *host, char **arguments)
{
    static const char *const modes[] = {
            [REBOOT_ACCEPT] = "accept",
            [REBOOT_REFUSE] = "refuse",
            [REBOOT_NOTHING] = "nothing",
            [REBOOT_NO_REPLY] = "no-reply",
            [REBOOT_IN_PROGRESS] = "in-progress",
    };
    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        if (strcmp(arguments[0], modes[i]) == 0) {
            host->reboot = (RebootMode)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int run_silent(FakeHost *host, char **arguments)
{
    host->is_silent = strcmp(arguments[0], "yes") == 0;
    return host->is_silent || strcmp(arguments[0], "no") == 0 ? 0 : -EINVAL;
}

static int run_add_session(FakeHost *host, char **arguments)
{
    FakeSession session = {};
    take_word(session.id, arguments[0]);
    take_word(session.user, arguments[1]);
    take_word(session.class, arguments[2]);
    take_word(session.tty, arguments[3]);
    take_word(session.seat, arguments[4]);
    take_word(session.state, arguments[5]);
    return login1_add_session(host, &session);
}

static int run_remove_session(FakeHost *host, char **arguments)
{
    return login1_remove_session(host, arguments[0]);
}

static int run_add_inhibitor(FakeHost *host, char **arguments)
{
    FakeInhibitor inhibitor = {};
    take_word(inhibitor.what, arguments[0]);
    take_word(inhibitor.who, arguments[1]);
    take_word(inhibitor.why, arguments[2]);
    take_word(inhibitor.mode, arguments[3]);
    return login1_add_inhibitor(host, &inhibitor);
}

static int run_remove_inhibitor(FakeHost *host, char **arguments)
{
    return login1_remove_inhibitor(host, arguments[0]);
}

static int run_unit(FakeHost *host, char **arguments)
{
    return systemd1_set_unit(host, arguments[0], arguments[1]);
}

static int run_update(FakeHost *host, char **arguments)
{
    return update1_set(host, arguments[0], arguments[1]);
}

static int run_own(FakeHost *host, char **arguments)
{
    return sd_bus_request_name(host->bus, arguments[0], 0);
}

static int run_release(FakeHost *host, char **arguments)
{
    return sd_bus_release_name(host->bus, arguments[0]);
}

static const Command commands[] = {
        {"reboot", 1, run_reboot},
        {"silent", 1, run_silent},
        {"add-session", 6, run_add_session},
        {"remove-session", 1, run_remove_session},
        {"add-inhibitor", 4, run_add_inhibitor},
        {"remove-inhibitor", 1, run_remove_inhibitor},
        {"unit", 2, run_unit},
        {"update", 2, run_update},
        {"own", 1, run_own},
        {"release", 1, run_release},
};

static const Command *find_command(char **words, size_t n_words)
{
    for (size_t i = 0; n_words > 0 && i < ELEMENTS(commands); i++)
        if (strcmp(words[0], commands[i].name) == 0 && n_words - 1 == commands[i].n_arguments)
            return &commands[i];
    return NULL;
}

static void free_words(char ***words)
{
    for (size_t i = 0; *words && (*words)[i]; i++)
        free((*words)[i]);
    free(*words);
}

static int on_do(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    FakeHost *host = userdata;
    _cleanup_(free_words) char **words = NULL;
    int r = sd_bus_message_read_strv(call, &words);
    if (r < 0)
        return r;
    size_t n_words = 0;
    while (words && words[n_words])
        n_words++;
    const Command *command = find_command(words, n_words);
    if (!command)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                "no such command with so many arguments: see fake-logind --help");
    r = command->run(host, words + 1);
    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "%s: %s", command->name, strerror(-r));
    return sd_bus_reply_method_return(call, "");
}

static const sd_bus_vtable control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Do", "as", "", on_do, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* A positive answer ends the handling of a message: what was silenced gets no reply, ever. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_)
{
    const FakeHost *host = userdata;
    const char *path = sd_bus_message_get_path(message);
    return host->is_silent && sd_bus_message_is_method_call(message, NULL, NULL) > 0 && path &&
           strcmp(path, CONTROL_PATH) != 0;
}

int control_serve(FakeHost *host)
{
    int r = sd_bus_add_filter(host->bus, NULL, on_message, host);
    if (r >= 0)
        r = sd_bus_add_object_vtable(
                host->bus, NULL, CONTROL_PATH, CONTROL_NAME, control_vtable, host);
    if (r >= 0)
        r = sd_bus_request_name(host->bus, CONTROL_NAME, 0);
    return r;
}

static void write_report(FakeHost *host, json_t *line)
{
    if (!line || json_dumpf(line, host->report, JSON_COMPACT) < 0 ||
            fputc('\n', host->report) == EOF || fflush(host->report) != 0)
        fprintf(stderr, "fake-logind: the report cannot be written\n");
    json_decref(line);
}

void fake_report_ready(FakeHost *host)
{
    write_report(host, json_pack("{s:s}", "what", "ready"));
}

void fake_report(FakeHost *host, const char *what, sd_bus_message *call, const char *detail)
{
    write_report(host, json_pack("{s:s, s:s, s:s}", "what", what, "member",
                               sd_bus_message_get_member(call), "detail", detail));
}
