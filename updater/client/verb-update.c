/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-url.h"
#include "updater/client/follow.h"
#include "updater/config/config.h"
#include "updater/engine/bus-names.h"

/* check, update, install, rollback and cancel: what is asked of the engine and followed to its
 * end. */

#define QUICK_CALL_USEC (15 * USEC_PER_SEC)
#define CHECK_CALL_USEC (3 * USEC_PER_MINUTE)
#define ROLLBACK_CALL_USEC (30 * USEC_PER_MINUTE) /* the other slot is read whole */

static void print_json_result(const char *result, unsigned code, const char *text)
{
    json_t *line =
            json_pack("{s:s, s:I, s:s}", "result", result, "code", (json_int_t)code, "text", text);
    if (line)
        json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(line);
}

/* Says how it ended; the exit code. */
static int report_end(const ClientOptions *options, const EngineEnd *end)
{
    bool is_done = strcmp(end->result, BUS_RESULT_DONE) == 0 ||
                   strcmp(end->result, BUS_RESULT_NO_UPDATE) == 0;
    /* A server that says "not now" is no failure, and there is nothing to be done about it. */
    bool is_not_now = strcmp(end->result, BUS_RESULT_NOT_NOW) == 0;
    if (options->is_json)
        print_json_result(end->result, end->code, end->text);
    else if (is_done || is_not_now)
        printf("%s\n", end->text);
    if (is_done || is_not_now)
        return CLIENT_DONE;
    ErrorText error;
    error_say(&error, 0, "%s failed: %s (error %u)", end->what, end->text, end->code);
    if (strcmp(end->result, BUS_RESULT_CANCELLED) == 0)
        error_say(&error, 0, "%s was cancelled", end->what);
    return client_complain(CLIENT_FAILED, &error);
}

static int connect_and_listen(
        const ClientOptions *options, EngineProxy **ret_proxy, ErrorText *error)
{
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    int r = engine_proxy_new(options->bus, &proxy, error);
    if (r < 0)
        return r;
    r = engine_proxy_listen(proxy, error);
    if (r < 0)
        return r;
    *ret_proxy = TAKE_PTR(proxy);
    return 0;
}

static int follow_to_end(const ClientOptions *options, EngineProxy *proxy, const char *what)
{
    ErrorText error = {};
    EngineEnd end;
    int exit_code = follow_task(proxy, what, options->is_json, &end, &error);
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    return report_end(options, &end);
}

static uint64_t flags_of(const ClientOptions *options)
{
    return options->allows_downgrade ? BUS_FLAG_ALLOW_DOWNGRADE : 0;
}

int verb_update(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    const ClientOptions *options = context;
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    ErrorText error = {};
    if (connect_and_listen(options, &proxy, &error) < 0)
        return client_complain(CLIENT_NO_DAEMON, &error);
    int exit_code = engine_proxy_call(
            proxy, "UpdateWithFlags", QUICK_CALL_USEC, NULL, &error, "t", flags_of(options));
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    return follow_to_end(options, proxy, BUS_WHAT_UPDATE);
}

/* A file's absolute path, or the URL as it is. *ret_source is new. Errors: errno, with error. */
static int source_of(const char *argument, char **ret_source, ErrorText *error)
{
    char *source = http_url_is_meant(argument) ? strdup(argument) : realpath(argument, NULL);
    if (!source)
        return error_say(error, -errno, "cannot install %s: %m", argument);
    *ret_source = source;
    return 0;
}

/* What was installed by hand is not to be replaced by what the server has. */
static int disable_updates(const ClientOptions *options, EngineProxy *proxy)
{
    ErrorText error = {};
    _cleanup_close_ int root_fd = client_open_root(options, &error);
    if (root_fd < 0 || config_set(root_fd, "SERVER", "disabled", &error) < 0)
        return client_complain(CLIENT_FAILED, &error);
    int exit_code = engine_proxy_call(proxy, "Reload", QUICK_CALL_USEC, NULL, &error, "");
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    if (!options->is_json)
        printf("SERVER=disabled is set in /%s\n", CONFIG_MACHINE_FILE);
    return CLIENT_DONE;
}

/* Their absolute paths, with newlines between. *ret_list is new. Errors: errno, with error. */
static int list_extensions(const ClientOptions *options, char **ret_list, ErrorText *error)
{
    _cleanup_free_ char *list = strdup("");
    for (size_t i = 0; list && options->extensions[i]; i++) {
        _cleanup_free_ char *path = realpath(options->extensions[i], NULL), *longer = NULL;
        if (!path)
            return error_say(
                    error, -errno, "cannot use the extension %s: %m", options->extensions[i]);
        if (strchr(path, '\n'))
            return error_say(
                    error, -EINVAL, "cannot use the extension %s: its path has two lines", path);
        if (asprintf(&longer, "%s%s%s", list, list[0] ? "\n" : "", path) < 0)
            longer = NULL;
        free(list);
        list = TAKE_PTR(longer);
    }
    if (!list)
        return error_say(error, -ENOMEM, "not enough memory");
    *ret_list = TAKE_PTR(list);
    return 0;
}

int verb_install(int argc, char **argv, void *context)
{
    (void)argc;
    const ClientOptions *options = context;
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    _cleanup_free_ char *source = NULL, *extensions = NULL;
    ErrorText error = {};
    if (source_of(argv[1], &source, &error) < 0 ||
            list_extensions(options, &extensions, &error) < 0)
        return client_complain(CLIENT_FAILED, &error);
    if (connect_and_listen(options, &proxy, &error) < 0)
        return client_complain(CLIENT_NO_DAEMON, &error);
    /* An older daemon is asked for what it knows. */
    bool has_more = extensions[0];
    int exit_code = engine_proxy_call(proxy,
            has_more ? "InstallWithExtensions" : "InstallWithFlags", QUICK_CALL_USEC, NULL, &error,
            has_more ? "ssts" : "sst", source, options->to_version, flags_of(options), extensions);
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    exit_code = follow_to_end(options, proxy, BUS_WHAT_INSTALL);
    return exit_code == CLIENT_DONE && options->disables_afterwards
                   ? disable_updates(options, proxy)
                   : exit_code;
}

int verb_check(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    const ClientOptions *options = context;
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    ErrorText error = {};
    if (engine_proxy_new(options->bus, &proxy, &error) < 0)
        return client_complain(CLIENT_NO_DAEMON, &error);
    int exit_code = engine_proxy_call(proxy, "Check", CHECK_CALL_USEC, &reply, &error, "");
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    char verdict[32], text[512];
    if (engine_proxy_read_text(reply, verdict, sizeof(verdict)) < 0 ||
            engine_proxy_read_text(reply, text, sizeof(text)) < 0) {
        error_say(&error, 0, "update-engine's answer cannot be read");
        return client_complain(CLIENT_FAILED, &error);
    }
    bool is_update = strcmp(verdict, BUS_VERDICT_UPDATE) == 0;
    if (options->is_json)
        print_json_result(verdict, 0, text);
    else if (is_update)
        printf("version %s is available; 'flipside update' installs it\n", text);
    else
        printf("%s\n", text);
    return is_update ? CLIENT_DONE : CLIENT_NOTHING;
}

int verb_rollback(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    const ClientOptions *options = context;
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    ErrorText error = {};
    if (engine_proxy_new(options->bus, &proxy, &error) < 0)
        return client_complain(CLIENT_NO_DAEMON, &error);
    if (!options->is_json && isatty(STDOUT_FILENO)) {
        printf("verifying the other slot ...\n");
        fflush(stdout);
    }
    int exit_code = engine_proxy_call(proxy, "Rollback", ROLLBACK_CALL_USEC, &reply, &error, "");
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    char version[160], text[256];
    if (engine_proxy_read_text(reply, version, sizeof(version)) < 0 ||
            engine_proxy_read_text(reply, text, sizeof(text)) < 0) {
        error_say(&error, 0, "update-engine's answer cannot be read");
        return client_complain(CLIENT_FAILED, &error);
    }
    if (options->is_json)
        print_json_result(BUS_RESULT_DONE, 0, text);
    else
        printf("%s\n", text);
    return CLIENT_DONE;
}

int verb_cancel(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    const ClientOptions *options = context;
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    ErrorText error = {};
    if (engine_proxy_new(options->bus, &proxy, &error) < 0)
        return client_complain(CLIENT_NO_DAEMON, &error);
    /* The engine first lets its worker threads come to an end. */
    int exit_code = engine_proxy_call(proxy, "Cancel", USEC_PER_MINUTE, NULL, &error, "");
    if (exit_code != CLIENT_DONE)
        return client_complain(exit_code, &error);
    if (options->is_json)
        print_json_result(BUS_RESULT_CANCELLED, 0, "cancelled");
    else
        printf("cancelled\n");
    return CLIENT_DONE;
}
