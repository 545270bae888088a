/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/bus-connect.h"
#include "common/clock.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/daemon-proxy.h"
#include "locksmith/client/lock-access.h"
#include "locksmith/conditions/logind/logind.h"

/* reboot: takes the lock where this host takes one, then asks logind. Being a holder already is as
 * good. Whatever does not come to a reboot gives back the lock that was taken for it, but not one
 * that was held before: that is somebody else's to give back. */

#define WHAT "Error rebooting"
#define LOGIND_ANSWER_USEC (30 * USEC_PER_SEC)

typedef struct {
    LockAccess *access;
    LockUse use;
    HostIdentity host;
    bool has_taken;        /* the lock, by this command */
    bool has_asked_logind; /* and its answer is not there yet */

    sd_event *event;
    sd_bus *bus;
    Logind *logind;
    LogindReboot *reboot;
    int exit_code;
    ErrorText error;
} Reboot;

static void reboot_done(Reboot *reboot)
{
    logind_reboot_free(reboot->reboot);
    logind_free(reboot->logind);
    sd_bus_flush_close_unref(reboot->bus);
    sd_event_unref(reboot->event);
    lock_access_free(reboot->access);
}

static void on_locked(const LockAnswer *answer, void *userdata)
{
    Reboot *reboot = userdata;
    bool goes_without = answer->result == LOCK_UNREACHABLE && reboot->use == LOCK_USE_IF_IT_ANSWERS;
    if (goes_without)
        fprintf(stderr, "no etcd answers on this host: best-effort reboots without the lock\n");
    if (answer->warning[0])
        fprintf(stderr, "%s\n", answer->warning);
    reboot->has_taken = answer->result == LOCK_UNKNOWN ||
                        (answer->result == LOCK_DONE && !answer->was_so_before);
    reboot->exit_code = answer->result == LOCK_DONE || goes_without ? CTL_DONE : CTL_FAILED;
    reboot->error = lock_answer_text(answer);
}

static void on_released(const LockAnswer *answer, void *userdata)
{
    (void)userdata;
    ErrorText error;
    if (answer->result == LOCK_DONE)
        return;
    error_say(&error, 0, "%s; 'locksmithctl unlock' gives the lock back", answer->error);
    ctl_complain(CTL_FAILED, "Error unlocking", &error);
}

static int take_lock(Reboot *reboot)
{
    HolderFacts facts = {.host = reboot->host.host_name,
            .boot_id = reboot->host.boot_id,
            .since_usec = clock_now_usec(CLOCK_REALTIME)};
    LockRequest request = {
            .kind = LOCK_REQUEST_ACQUIRE, .id = reboot->host.machine_id, .facts = &facts};
    reboot->exit_code = CTL_FAILED;
    if (lock_access_run(reboot->access, NULL, &request, on_locked, reboot, &reboot->error) < 0 ||
            reboot->exit_code != CTL_DONE)
        return ctl_complain(CTL_FAILED, "Error locking", &reboot->error);
    return CTL_DONE;
}

static void give_back(Reboot *reboot)
{
    if (!reboot->has_taken)
        return;
    ErrorText error = {};
    LockRequest request = {.kind = LOCK_REQUEST_RELEASE, .id = reboot->host.machine_id};
    if (lock_access_run(reboot->access, NULL, &request, on_released, reboot, &error) < 0)
        ctl_complain(CTL_FAILED, "Error unlocking", &error);
}

static void on_change(void *userdata)
{
    (void)userdata; /* asked for with logind_refresh() */
}

static void on_refreshed(void *userdata)
{
    Reboot *reboot = userdata;
    LogindFacts facts = logind_facts(reboot->logind);
    if (!facts.is_known) {
        error_say(&reboot->error, 0, "%s", facts.error);
        reboot->exit_code = CTL_FAILED;
    } else if (facts.n_inhibitors > 0) {
        error_say(&reboot->error, 0, "%s does not let this host reboot: %s",
                facts.inhibitors[0].who, facts.inhibitors[0].why);
        reboot->exit_code = CTL_REFUSED;
    } else {
        reboot->exit_code = CTL_DONE;
    }
    reboot->has_asked_logind = false;
}

static void on_reboot(LogindReboot *logind_reboot, int r, const char *error, void *userdata)
{
    (void)logind_reboot;
    Reboot *reboot = userdata;
    reboot->exit_code = r < 0 ? CTL_FAILED : CTL_DONE;
    error_say(&reboot->error, 0, "%s", error ? error : "");
    reboot->has_asked_logind = false;
}

/* Turns the loop until logind's answer to a question that was put with r, or its deadline. */
static int wait_for_logind(Reboot *reboot, int r)
{
    reboot->has_asked_logind = true;
    while (r >= 0 && reboot->has_asked_logind)
        r = sd_event_run(reboot->event, UINT64_MAX);
    if (r >= 0)
        return reboot->exit_code;
    error_say(&reboot->error, r, "cannot ask logind: %s", strerror(-r));
    return CTL_FAILED;
}

static int open_logind(Reboot *reboot, const char *address)
{
    int r = bus_connect(address, &reboot->bus);
    if (r >= 0)
        r = sd_event_new(&reboot->event);
    if (r >= 0)
        r = sd_bus_attach_event(reboot->bus, reboot->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = logind_new(reboot->event, reboot->bus, on_change, reboot, &reboot->logind);
    return r;
}

/* Whether it can be at all is found out before others have to wait for this host. */
static int look_before(Reboot *reboot, const char *address)
{
    int r = open_logind(reboot, address);
    if (r >= 0)
        r = logind_refresh(reboot->logind, on_refreshed);
    int exit_code = wait_for_logind(reboot, r);
    return exit_code == CTL_DONE ? exit_code : ctl_complain(exit_code, WHAT, &reboot->error);
}

static int reboot_by_logind(Reboot *reboot)
{
    int r = logind_reboot_new(
            reboot->logind, LOGIND_ANSWER_USEC, on_reboot, reboot, &reboot->reboot);
    int exit_code = wait_for_logind(reboot, r);
    if (exit_code == CTL_DONE)
        return exit_code;
    give_back(reboot);
    return ctl_complain(exit_code, WHAT, &reboot->error);
}

/* Finds out which lock this host takes, if any. */
static int choose_lock(Reboot *reboot, const CtlOptions *options)
{
    ErrorText error = {};
    if (lock_access_new(options, (const char *const *)environ, &reboot->access, &error) < 0 ||
            ctl_this_host(options, lock_access_config(reboot->access)->id, &reboot->host, &error) <
                    0)
        return ctl_complain(CTL_FAILED, WHAT, &error);
    DaemonView daemon;
    bool has_daemon = daemon_proxy_view(options->bus, &daemon, &error) == CTL_DONE;
    lock_access_follow_daemon(reboot->access, has_daemon ? &daemon : NULL);
    reboot->use = lock_access_use(reboot->access, has_daemon ? &daemon : NULL);
    return CTL_DONE;
}

int verb_reboot(int argc, char **argv, void *context)
{
    const CtlOptions *options = context;
    if (ctl_arguments(argc, argv, NULL, 0) < 0)
        return EXIT_USAGE;
    if (geteuid() != 0 && !options->bus) { /* on a bus of their own tests need not be root */
        fprintf(stderr, "Must be root to initiate reboot.\n");
        return CTL_REFUSED;
    }
    _cleanup_(reboot_done) Reboot reboot = {};
    int exit_code = choose_lock(&reboot, options);
    if (exit_code == CTL_DONE)
        exit_code = look_before(&reboot, options->bus);
    if (exit_code == CTL_DONE && reboot.use != LOCK_USE_NONE)
        exit_code = take_lock(&reboot);
    return exit_code == CTL_DONE ? reboot_by_logind(&reboot) : exit_code;
}
