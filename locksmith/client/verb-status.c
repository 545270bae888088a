/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/daemon-proxy.h"
#include "locksmith/client/lock-access.h"
#include "locksmith/client/status-report.h"
#include "locksmith/lock/lock-name.h"

/* status: the lock that this host takes before a reboot, and what locksmithd is about. Never
 * writes. Each of the two is shown without the other. */

#define WHAT "Error getting status"

typedef enum { LOOK_PLAIN, LOOK_LONG, LOOK_JSON } Look;

typedef struct {
    StatusReport report;
    Look look;
    LockUse use;
    int exit_code;
} Status;

static int print(const Status *status)
{
    const StatusReport *report = &status->report;
    switch (status->look) {
    case LOOK_JSON:
        if (status_report_print_json(report) < 0)
            return ctl_complain(CTL_FAILED, WHAT, &(ErrorText){});
        return CTL_DONE;
    case LOOK_PLAIN:
        if (report->lock)
            status_report_print(report);
        else if (!report->asks_lock)
            status_report_print_long(report);
        return CTL_DONE;
    case LOOK_LONG:
        status_report_print_long(report);
        return CTL_DONE;
    }
    return CTL_FAILED;
}

/* A host that takes no lock has nothing to show but its daemon. */
static int end_without_lock(Status *status)
{
    StatusReport *report = &status->report;
    report->asks_lock = false;
    report->lock_error = (ErrorText){};
    int exit_code = print(status);
    bool is_off = strcmp(report->strategy, reboot_strategy_name(STRATEGY_OFF)) == 0;
    if (exit_code != CTL_DONE || report->has_daemon || is_off)
        return exit_code;
    return CTL_NO_DAEMON;
}

static int end_with_error(const Status *status)
{
    (void)print(status);
    return ctl_complain(CTL_FAILED, WHAT, &status->report.lock_error);
}

static void on_answer(const LockAnswer *answer, void *userdata)
{
    Status *status = userdata;
    StatusReport *report = &status->report;
    if (answer->result == LOCK_DONE && answer->status) {
        report->lock = answer->status;
        status->exit_code = print(status);
        report->lock = NULL;
        return;
    }
    report->lock_error = lock_answer_text(answer);
    bool is_nobodys = status->use == LOCK_USE_IF_IT_ANSWERS && report->has_daemon &&
                      answer->result == LOCK_UNREACHABLE;
    bool is_not_told = answer->result == LOCK_NOT_OFFERED && report->has_daemon;
    status->exit_code =
            is_nobodys || is_not_told ? end_without_lock(status) : end_with_error(status);
}

static int run(const CtlOptions *options, Status *status)
{
    StatusReport *report = &status->report;
    _cleanup_(lock_access_freep) LockAccess *access = NULL;
    report->has_daemon =
            daemon_proxy_view(options->bus, &report->daemon, &report->daemon_error) == CTL_DONE;
    if (lock_access_new(options, (const char *const *)environ, &access, &report->lock_error) < 0)
        return end_with_error(status);
    const LocksmithConfig *config = lock_access_config(access);
    (void)ctl_this_host(options, config->id, &report->host, NULL);
    report->strategy = reboot_strategy_name(config->strategy);
    const DaemonView *daemon = report->has_daemon ? &report->daemon : NULL;
    lock_access_follow_daemon(access, daemon);
    status->use = lock_access_use(access, daemon);
    if (status->use == LOCK_USE_NONE)
        return end_without_lock(status);
    report->store = lock_name_of_store(lock_access_options(access)->store);
    report->group = lock_access_options(access)->group;
    LockRequest request = {.kind = LOCK_REQUEST_STATUS};
    int r = lock_access_run(access, NULL, &request, on_answer, status, &report->lock_error);
    return r < 0 ? end_with_error(status) : status->exit_code;
}

int verb_status(int argc, char **argv, void *context)
{
    bool is_json = false, is_long = false;
    const GoFlag flags[] = {{"json", FLAG_BOOL, &is_json}, {"long", FLAG_BOOL, &is_long}, {}};
    if (ctl_arguments(argc, argv, flags, 0) < 0)
        return EXIT_USAGE;
    Status status = {
            .report = {.now_usec = clock_now_usec(CLOCK_REALTIME),
                    .strategy = "",
                    .store = "",
                    .group = "",
                    .asks_lock = true},
            .look = is_json   ? LOOK_JSON
                    : is_long ? LOOK_LONG
                              : LOOK_PLAIN,
            .exit_code = CTL_FAILED,
    };
    return run(context, &status);
}
