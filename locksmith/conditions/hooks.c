/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/hooks.h"

#include <stdio.h>
#include <string.h>

#include "common/error-text.h"
#include "common/log.h"
#include "locksmith/conditions/child-process.h"
#include "locksmith/conditions/hook-list.h"

/* The list is read once, at the start. One source begins every hook, the first one and, when there
 * is nothing to run, the end: so nothing is told from inside _new. */

struct HookRun {
    sd_event *event;
    sd_event_source *begin;
    HookList *list;
    HookListResult list_result;
    char *refused;
    ErrorText refusal;
    size_t at; /* the hook that runs, or the next */
    ChildProcess *child;
    char *kind;
    char **environment; /* as of the options, and LOCKSMITH_HOOK */
    uint64_t timeout_usec;
    void (*on_done)(
            HookRun *run, HooksResult result, const char *name, const char *text, void *userdata);
    void *userdata;
};

/* Last. */
static void finish(HookRun *run, HooksResult result, const char *name, const char *text)
{
    child_process_free(TAKE_PTR(run->child));
    run->on_done(run, result, name, text, run->userdata);
}

static void on_line(const char *line, void *userdata)
{
    const HookRun *run = userdata;
    const char *name = run->list->hooks[run->at].name;
    const LogField fields[] = {
            {"LOCKSMITH_HOOK", run->kind}, {"LOCKSMITH_HOOK_NAME", name}, {NULL, NULL}};
    log_fields(LOG_LEVEL_INFO, fields, "%s.d/%s: %s", run->kind, name, line);
}

static HooksResult judge(ChildEnd end)
{
    switch (end) {
    case CHILD_EXITED:
    case CHILD_SIGNALLED:
        return HOOKS_VETO;
    case CHILD_TIMED_OUT:
        return HOOKS_TIMED_OUT;
    case CHILD_NOT_STARTED:
        break;
    }
    return HOOKS_FAILED;
}

static void on_child_done(ChildProcess *child, ChildEnd end, int number, void *userdata)
{
    (void)child;
    HookRun *run = userdata;
    const char *name = run->list->hooks[run->at].name;
    child_process_free(TAKE_PTR(run->child));
    if (end == CHILD_EXITED && number == 0) {
        run->at++;
        sd_event_source_set_enabled(run->begin, SD_EVENT_ONESHOT);
        return;
    }
    ErrorText text;
    error_say(&text, 0, "the hook %s.d/%s %s", run->kind, name, child_end_show(end, number).text);
    finish(run, judge(end), name, text.line);
}

static int on_begin(sd_event_source *source, void *userdata)
{
    (void)source;
    HookRun *run = userdata;
    if (run->list_result == HOOK_LIST_REFUSED) {
        finish(run, HOOKS_FAILED, run->refused, run->refusal.line);
        return 0;
    }
    if (run->at == run->list->n_hooks) {
        finish(run, HOOKS_DONE, "", "");
        return 0;
    }
    const Hook *hook = &run->list->hooks[run->at];
    const char *const arguments[] = {hook->path, run->kind, NULL};
    ChildProcessOptions options = {.arguments = arguments,
            .environment = (const char *const *)run->environment,
            .timeout_usec = run->timeout_usec,
            .on_line = on_line,
            .on_done = on_child_done,
            .userdata = run};
    int r = child_process_new(run->event, &options, &run->child);
    if (r < 0) {
        ErrorText text;
        error_say(&text, 0, "the hook %s.d/%s could not be started: %s", run->kind, hook->name,
                strerror(-r));
        finish(run, HOOKS_FAILED, hook->name, text.line);
    }
    return 0;
}

static int copy_environment(HookRun *run, const HookRunOptions *options)
{
    size_t n = 0;
    while (options->environment && options->environment[n])
        n++;
    run->environment = calloc(n + 2, sizeof(*run->environment));
    if (!run->environment)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        run->environment[i] = strdup(options->environment[i]);
        if (!run->environment[i])
            return -ENOMEM;
    }
    char *own;
    if (asprintf(&own, "LOCKSMITH_HOOK=%s", options->kind) < 0)
        return -ENOMEM;
    run->environment[n] = own;
    return 0;
}

int hook_run_new(sd_event *event, const HookRunOptions *options,
        void (*on_done)(HookRun *run, HooksResult result, const char *name, const char *text,
                void *userdata),
        void *userdata, HookRun **ret_run)
{
    _cleanup_(hook_run_freep) HookRun *run = malloc(sizeof(*run));
    if (!run)
        return -ENOMEM;
    *run = (HookRun){.event = sd_event_ref(event),
            .timeout_usec = options->timeout_usec,
            .on_done = on_done,
            .userdata = userdata};
    run->kind = strdup(options->kind);
    if (!run->kind)
        return -ENOMEM;
    int r = copy_environment(run, options);
    if (r >= 0)
        r = hook_list_new(options->root, options->kind, &run->list, &run->list_result,
                &run->refused, &run->refusal);
    if (r >= 0)
        r = sd_event_add_defer(event, &run->begin, on_begin, run);
    if (r < 0)
        return r;
    *ret_run = TAKE_PTR(run);
    return 0;
}

void hook_run_free(HookRun *run)
{
    if (!run)
        return;
    child_process_free(run->child);
    sd_event_source_disable_unref(run->begin);
    hook_list_free(run->list);
    for (char **text = run->environment; text && *text; text++)
        free(*text);
    free(run->environment);
    free(run->refused);
    free(run->kind);
    sd_event_unref(run->event);
    free(run);
}
