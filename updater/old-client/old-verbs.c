/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/old-client/old-verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "updater/engine/bus-names.h"
#include "updater/old-client/update-trace.h"

#define POLL_USEC (5 * USEC_PER_SEC)
#define RETURN_WAIT_USEC (30 * USEC_PER_SEC)

static void print_status(const ManagerStatus *status)
{
    printf("LAST_CHECKED_TIME=%" PRIi64 "\nPROGRESS=%f\nCURRENT_OP=%s\nNEW_VERSION=%s\n"
           "NEW_SIZE=%" PRIi64 "\n",
            status->last_checked_sec, status->progress, status->operation, status->new_version,
            status->new_size_bytes);
    fflush(stdout);
}

int old_verb_reset_status(ManagerProxy *proxy, ErrorText *error)
{
    ManagerExtra extra;
    if (manager_proxy_call(proxy, "ResetStatus", error) < 0)
        return EXIT_FAILURE;
    manager_proxy_extra(proxy, &extra);
    if (!extra.is_there)
        fprintf(stderr, "The partition table is as it was: 'slotctl prioritize' with the label of "
                        "the running slot\nhas it boot next.\n");
    return EXIT_SUCCESS;
}

int old_verb_status(ManagerProxy *proxy, ErrorText *error)
{
    ManagerStatus status;
    if (manager_proxy_status(proxy, &status, error) < 0)
        return EXIT_FAILURE;
    print_status(&status);
    return EXIT_SUCCESS;
}

int old_verb_check_for_update(ManagerProxy *proxy, ErrorText *error)
{
    return manager_proxy_call(proxy, "AttemptUpdate", error) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int old_verb_watch(ManagerProxy *proxy, ErrorText *error)
{
    for (;;) {
        ManagerEvent event;
        int r = manager_proxy_next(proxy, UINT64_MAX, &event);
        if (r < 0) {
            error_say(error, r, "the system bus is gone: %s", strerror(-r));
            return EXIT_FAILURE;
        }
        if (event.kind == MANAGER_STATUS)
            print_status(&event.status);
        if (ferror(stdout)) {
            error_say(error, -EPIPE, "standard output cannot be written");
            return EXIT_FAILURE;
        }
    }
}

typedef struct {
    ManagerProxy *proxy;
    bool is_ours; /* it tells results, and takes an attempt up before it answers */
    UpdateTrace trace;
    uint64_t idle_usec; /* since when; CLOCK_MONOTONIC */
    bool has_rest;      /* it has come to rest: time to look */
    bool has_end;
    ManagerEvent end;
} Attempt;

static void take_event(Attempt *attempt, const ManagerEvent *event)
{
    switch (event->kind) {
    case MANAGER_NOTHING:
        return;
    case MANAGER_STATUS:
        update_trace_add(&attempt->trace, event->status.operation);
        attempt->has_rest |= strcmp(event->status.operation, BUS_STATUS_IDLE) == 0 ||
                             strcmp(event->status.operation, BUS_STATUS_NEED_REBOOT) == 0;
        return;
    case MANAGER_END:
        attempt->has_end = true;
        attempt->end = *event;
        return;
    case MANAGER_GONE:
        update_trace_restart(&attempt->trace);
        attempt->idle_usec = clock_now_usec(CLOCK_MONOTONIC);
        return;
    }
}

/* Takes in what happens for wait_usec, or until it is time to look. */
static int wait_for_events(Attempt *attempt, uint64_t wait_usec, ErrorText *error)
{
    uint64_t now = clock_now_usec(CLOCK_MONOTONIC), end = now + wait_usec;
    for (;;) {
        ManagerEvent event;
        bool may_wait = now < end && !attempt->has_end && !attempt->has_rest;
        int r = manager_proxy_next(attempt->proxy, may_wait ? end - now : 0, &event);
        if (r < 0)
            return error_say(error, r, "the system bus is gone: %s", strerror(-r));
        take_event(attempt, &event);
        now = clock_now_usec(CLOCK_MONOTONIC);
        if (!may_wait && event.kind == MANAGER_NOTHING)
            return 0;
    }
}

/* A daemon that is gone is waited for. */
static int look(Attempt *attempt, ManagerStatus *ret_status, ErrorText *error)
{
    int r = manager_proxy_status(attempt->proxy, ret_status, error);
    if (r == -EHOSTUNREACH) {
        fprintf(stderr, "update-engine is gone; waiting for it to come back\n");
        r = wait_for_events(attempt, 0, error);
        if (r >= 0)
            r = manager_proxy_wait_for_daemon(attempt->proxy, RETURN_WAIT_USEC, error);
        if (r >= 0)
            r = manager_proxy_status(attempt->proxy, ret_status, error);
    }
    if (r < 0)
        return r;
    print_status(ret_status);
    attempt->has_rest = false;
    /* What was signalled before the answer counts before it. */
    r = wait_for_events(attempt, 0, error);
    if (strcmp(ret_status->operation, BUS_STATUS_IDLE) != 0)
        attempt->idle_usec = clock_now_usec(CLOCK_MONOTONIC);
    update_trace_add(&attempt->trace, ret_status->operation);
    return r;
}

static int fail(const Attempt *attempt, const char *otherwise, ErrorText *error)
{
    ManagerExtra extra;
    manager_proxy_extra(attempt->proxy, &extra);
    const char *reason = attempt->has_end && attempt->end.text[0] ? attempt->end.text
                         : extra.last_error[0]                    ? extra.last_error
                                                                  : otherwise;
    error_say(error, 0, "the update failed: %s", reason);
    return EXIT_FAILURE;
}

static int succeed(const char *words)
{
    fprintf(stderr, "%s\n", words);
    return EXIT_SUCCESS;
}

/* What this daemon says of the end. */
static int report_end(const Attempt *attempt, ErrorText *error)
{
    const ManagerEvent *end = &attempt->end;
    bool is_not_now = strcmp(end->result, BUS_RESULT_NOT_NOW) == 0;
    bool is_nothing = is_not_now || strcmp(end->result, BUS_RESULT_NO_UPDATE) == 0;
    ManagerStatus status = {};
    if (manager_proxy_status(attempt->proxy, &status, NULL) == 0)
        print_status(&status);
    /* One that was installed before may still wait. */
    if (strcmp(end->result, BUS_RESULT_DONE) == 0 ||
            (is_nothing && strcmp(status.operation, BUS_STATUS_NEED_REBOOT) == 0))
        return succeed("Update succeeded -- reboot needed.");
    if (is_nothing)
        return succeed(is_not_now ? end->text : "No update available");
    return fail(attempt, "it was cancelled", error);
}

/* AttemptUpdate always succeeds. Returns -1 to go on: it can be begun by now. */
static int report_not_started(const Attempt *attempt, ErrorText *error)
{
    ErrorText reason = {};
    ManagerExtra extra;
    int r = manager_proxy_update(attempt->proxy, &reason);
    if (r >= 0)
        return -1;
    manager_proxy_extra(attempt->proxy, &extra);
    if (r == -EACCES && extra.server[0] == '\0')
        error_say(&reason, 0, "no update server is configured");
    else if (r == -EACCES)
        error_say(&reason, 0, "%s",
                extra.last_error[0] ? extra.last_error : "see 'journalctl -u update-engine'");
    error_say(error, 0, "no update was begun: %s", reason.line);
    return EXIT_FAILURE;
}

/* Returns -1 to go on. */
static int report(const Attempt *attempt, const ManagerStatus *status, ErrorText *error)
{
    if (attempt->has_end)
        return report_end(attempt, error);
    uint64_t idle_usec = clock_now_usec(CLOCK_MONOTONIC) - attempt->idle_usec;
    switch (update_trace_judge(&attempt->trace, status->operation, idle_usec, attempt->is_ours)) {
    case ATTEMPT_GOES_ON:
        return -1;
    case ATTEMPT_INSTALLED:
        return succeed("Update succeeded -- reboot needed.");
    case ATTEMPT_NOTHING_NEW:
        return succeed("No update available");
    case ATTEMPT_FAILED:
        return fail(attempt, "see 'journalctl -u update-engine'", error);
    case ATTEMPT_NOT_STARTED:
        return report_not_started(attempt, error);
    case ATTEMPT_LOST:
        return fail(attempt, "update-engine was started anew and does not go on with it", error);
    }
    return EXIT_FAILURE;
}

int old_verb_update(ManagerProxy *proxy, ErrorText *error)
{
    ManagerExtra extra;
    manager_proxy_extra(proxy, &extra);
    if (manager_proxy_call(proxy, "AttemptUpdate", error) < 0)
        return EXIT_FAILURE;
    Attempt attempt = {
            .proxy = proxy,
            .is_ours = extra.is_there,
            .idle_usec = clock_now_usec(CLOCK_MONOTONIC),
    };
    for (;;) {
        ManagerStatus status;
        if (look(&attempt, &status, error) < 0)
            return EXIT_FAILURE;
        int exit_code = report(&attempt, &status, error);
        if (exit_code >= 0)
            return exit_code;
        if (wait_for_events(&attempt, POLL_USEC, error) < 0)
            return EXIT_FAILURE;
    }
}
