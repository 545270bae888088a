/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "updater/client/engine-proxy.h"

/* watch: a line at each change, until it is interrupted. An engine that is away is said once and
 * waited for without an end: that is what watching is. */

#define LOOK_INTERVAL_USEC (10 * USEC_PER_SEC)

typedef struct {
    const ClientOptions *options;
    EngineProxy *proxy;
    char said[2048]; /* what was printed last */
    bool was_gone;
} Watch;

static void print_line(Watch *watch, json_t *line, const char *text)
{
    _cleanup_free_ char *json = watch->options->is_json && line
                                        ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER)
                                        : NULL;
    json_decref(line);
    printf("%s\n", json ? json : text);
    fflush(stdout);
}

static void print_end(Watch *watch, const EngineEnd *end)
{
    char text[700];
    snprintf(text, sizeof(text), "%s: %s%s%s", end->what, end->result, end->text[0] ? ": " : "",
            end->text);
    print_line(watch,
            json_pack("{s:s, s:s, s:I, s:s}", "what", end->what, "result", end->result, "code",
                    (json_int_t)end->code, "text", end->text),
            text);
}

static void print_view(Watch *watch, const EngineView *view)
{
    char text[sizeof(watch->said)];
    bool has_fetch = strcmp(view->phase, "downloading") == 0 && view->fetch_text[0];
    snprintf(text, sizeof(text), "%s%s%s%s%s%s%s%s%s", view->phase, view->new_version[0] ? " " : "",
            view->new_version, has_fetch ? "; " : "", has_fetch ? view->fetch_text : "",
            view->deferred[0] ? "; waits: " : "", view->deferred,
            view->last_error[0] ? "; last failure: " : "", view->last_error);
    if (strcmp(text, watch->said) == 0)
        return;
    strcpy(watch->said, text);
    print_line(watch,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "phase", view->phase, "version",
                    view->version, "new_version", view->new_version, "channel", view->channel,
                    "last_error", view->last_error, "last_error_code",
                    (json_int_t)view->last_error_code, "fetch_text", view->fetch_text, "deferred",
                    view->deferred),
            text);
}

static void look(Watch *watch)
{
    EngineView view;
    ErrorText error = {};
    int exit_code = engine_proxy_is_there(watch->proxy)
                            ? engine_proxy_view(watch->proxy, &view, &error)
                            : CLIENT_NO_DAEMON;
    bool is_gone = exit_code == CLIENT_NO_DAEMON;
    if (is_gone && !watch->was_gone) {
        watch->said[0] = '\0';
        print_line(watch, json_pack("{s:s}", "phase", "gone"), "update-engine does not run");
    }
    watch->was_gone = is_gone;
    if (exit_code == CLIENT_DONE)
        print_view(watch, &view);
}

int verb_watch(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    Watch watch = {.options = context};
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    ErrorText error = {};
    if (engine_proxy_new(watch.options->bus, &proxy, &error) < 0 ||
            engine_proxy_listen(proxy, &error) < 0)
        return client_complain(CLIENT_NO_DAEMON, &error);
    watch.proxy = proxy;
    look(&watch);
    for (;;) {
        EngineEnd end;
        int r = engine_proxy_wait(proxy, LOOK_INTERVAL_USEC, &end);
        if (r < 0) {
            error_say(&error, r, "the bus is gone: %s", strerror(-r));
            return client_complain(CLIENT_NO_DAEMON, &error);
        }
        if (r > 0)
            print_end(&watch, &end);
        look(&watch);
    }
}
