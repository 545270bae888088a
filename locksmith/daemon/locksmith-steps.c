/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/random.h"
#include "locksmith/conditions/logind/login-warning.h"
#include "locksmith/daemon/hook-words.h"
#include "locksmith/daemon/locksmith-private.h"
#include "locksmith/window/duration.h"

/* Doing what the plan says: each step begins one thing and changes the facts, so that the next plan
 * says something else. */

#define RETRY_MIN_USEC (30 * USEC_PER_SEC)
#define RETRY_MAX_USEC (30 * USEC_PER_MINUTE)
#define LOGIND_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define USERS_LOOK_USEC (10 * USEC_PER_SEC)

void locksmith_forgive(Locksmith *locksmith)
{
    locksmith->n_refusals = 0;
    locksmith->refusal[0] = '\0';
    locksmith->retry_uptime_usec = 0;
}

void locksmith_start_over(Locksmith *locksmith)
{
    if (locksmith->is_backing_out || locksmith->logind_stage != LOGIND_NOT_ASKED)
        return;
    locksmith->grace = GRACE_NOT_BEGUN;
    locksmith_stop_looking(locksmith);
    locksmith_reset_need(locksmith);
}

static bool is_under_way(const Locksmith *locksmith)
{
    if (locksmith->hooks != RUN_NOT_YET || locksmith->logind_stage != LOGIND_NOT_ASKED)
        return true;
    return locksmith->keeper && !locksmith->is_lock_from_before &&
           lock_keeper_facts(locksmith->keeper).holds != HOLDS_NO;
}

void locksmith_fail(Locksmith *locksmith, const char *what, const char *text)
{
    snprintf(locksmith->refusal, sizeof(locksmith->refusal), "%s: %s", what, text);
    printable_clean(locksmith->refusal);
    uint64_t wait = backoff_usec(++locksmith->n_refusals, RETRY_MIN_USEC, RETRY_MAX_USEC);
    locksmith->retry_uptime_usec =
            clock_now_usec(CLOCK_BOOTTIME) + backoff_jitter_usec(wait, wait / 4, random_uint64());
    /* A person who asked for now is told, and decides again. */
    locksmith->is_reboot_now = locksmith->skips_hooks = false;
    locksmith_complain(locksmith, what, text);
    locksmith_stop_looking(locksmith);
    if (is_under_way(locksmith))
        locksmith_back_out(locksmith, locksmith->refusal);
    locksmith_touch(locksmith);
}

static void warn(Locksmith *locksmith, uint64_t left_usec)
{
    LogindFacts logind = logind_facts(locksmith->logind);
    char when[64] = "now";
    if (left_usec > 0)
        snprintf(when, sizeof(when), "in %s", duration_show(left_usec).text);
    LoginWarning warning = {
            .host = locksmith->identity.host_name,
            .version = locksmith->version,
            .when = when,
    };
    size_t n_told = login_warning_send(locksmith->dev_root, logind.sessions, logind.n_sessions,
            login_warning_show(&warning).text);
    if (logind.n_sessions > 0)
        log_notice("told %zu of %zu sessions that the system reboots %s", n_told, logind.n_sessions,
                when);
}

static int on_users_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Locksmith *locksmith = userdata;
    locksmith->users_timer = sd_event_source_disable_unref(locksmith->users_timer);
    locksmith_touch(locksmith);
    return 0;
}

static void ignore(void *userdata)
{
    (void)userdata;
}

/* As long as people are waited for. */
static void look_at_users(Locksmith *locksmith)
{
    if (locksmith->users_timer || !locksmith->logind)
        return;
    int r = logind_refresh(locksmith->logind, ignore);
    if (r >= 0)
        r = sd_event_add_time_relative(locksmith->event, &locksmith->users_timer, CLOCK_BOOTTIME,
                USERS_LOOK_USEC, USEC_PER_SEC, on_users_timer, locksmith);
    if (r < 0)
        log_warning("cannot look after users: %s", strerror(-r));
}

static void warn_of_grace(Locksmith *locksmith, GraceStage stage)
{
    locksmith->grace = stage;
    warn(locksmith, locksmith->plan.grace_left_usec);
    locksmith_touch(locksmith);
}

/* The note goes before what it is of: a lock that nobody knows of after a power cut would stay
 * taken. */
static bool take_over(Locksmith *locksmith)
{
    RebootNote before = locksmith->note;
    bool was_from_before = locksmith->is_lock_from_before;
    ErrorText error = {};
    locksmith->is_lock_from_before = false;
    locksmith->note.may_hold = true;
    if (locksmith_write_note(locksmith, &error) < 0) {
        locksmith->note = before;
        locksmith->is_lock_from_before = was_from_before;
        locksmith_fail(locksmith, "the lock is not asked for", error.line);
        return false;
    }
    locksmith->is_owed_to_boot = was_from_before && before.may_hold;
    if (locksmith->release)
        boot_release_keep_lock(locksmith->release);
    return true;
}

static void acquire(Locksmith *locksmith)
{
    if ((locksmith->note.may_hold && !locksmith->is_lock_from_before) || take_over(locksmith))
        lock_keeper_want(locksmith->keeper, LOCK_WANT_HELD, locksmith->version);
}

static void on_pre_reboot(
        HookRun *run, HooksResult result, const char *name, const char *text, void *userdata)
{
    (void)run;
    (void)name;
    Locksmith *locksmith = userdata;
    char copy[sizeof(locksmith->refusal)];
    snprintf(copy, sizeof(copy), "%s", text);
    hook_run_free(TAKE_PTR(locksmith->hook_run));
    if (result == HOOKS_DONE) {
        locksmith->hooks = RUN_PASSED;
        locksmith_touch(locksmith);
    } else {
        locksmith_fail(locksmith, "pre-reboot.d", copy);
    }
}

static void run_pre_reboot(Locksmith *locksmith)
{
    ErrorText error = {};
    locksmith->check = RUN_NOT_YET;
    locksmith->note.has_begun_hooks = true;
    if (locksmith_write_note(locksmith, &error) < 0) {
        locksmith->note.has_begun_hooks = false;
        locksmith_fail(locksmith, "pre-reboot.d is not run", error.line);
        return;
    }
    locksmith->hooks = RUN_UNDER_WAY;
    int r = locksmith_run_hooks(locksmith, "pre-reboot", HOOK_EVENT_REBOOT, on_pre_reboot);
    if (r < 0)
        locksmith_fail(locksmith, "pre-reboot.d", strerror(-r));
}

void locksmith_expect_reboot(Locksmith *locksmith)
{
    locksmith->logind_stage = LOGIND_ACCEPTED;
    locksmith->logind_deadline_uptime_usec =
            clock_now_usec(CLOCK_BOOTTIME) + locksmith->config->reboot_timeout_usec;
}

static void on_reboot(LogindReboot *reboot, int r, const char *error, void *userdata)
{
    (void)reboot;
    Locksmith *locksmith = userdata;
    char copy[sizeof(locksmith->refusal)];
    snprintf(copy, sizeof(copy), "%s", error);
    logind_reboot_free(TAKE_PTR(locksmith->reboot));
    if (r < 0 && r != -ETIMEDOUT && r != -EINPROGRESS) {
        locksmith_fail(locksmith, "logind refuses the reboot", copy);
        return;
    }
    /* Without an answer (it timed out, or logind or the bus went away) it may begin all the same,
     * and a daemon that was killed may have asked before: no other host may have the lock then. */
    locksmith_expect_reboot(locksmith);
    if (r == -EINPROGRESS)
        log_notice("logind has begun already: %s", copy);
    else if (r < 0)
        locksmith_complain(locksmith, "logind does not answer whether it reboots", copy);
    else
        log_notice("logind has begun the reboot");
    locksmith_touch(locksmith);
}

static void reboot(Locksmith *locksmith)
{
    locksmith->logind_stage = LOGIND_ASKED;
    log_notice("asks logind for the reboot, because of %s%s%s",
            locksmith_trigger_name(locksmith->trigger), locksmith->version[0] ? ", version " : "",
            locksmith->version);
    warn(locksmith, 0);
    int r = logind_reboot_new(
            locksmith->logind, LOGIND_TIMEOUT_USEC, on_reboot, locksmith, &locksmith->reboot);
    if (r < 0)
        locksmith_fail(locksmith, "cannot ask logind for the reboot", strerror(-r));
}

static void go_back(Locksmith *locksmith)
{
    if (locksmith->logind_stage == LOGIND_ACCEPTED)
        locksmith_fail(locksmith, "no reboot", locksmith->plan.text);
    else
        locksmith_back_out(locksmith, locksmith->plan.text);
    locksmith_touch(locksmith);
}

void locksmith_do(Locksmith *locksmith, PlanStep step)
{
    switch (step) {
    case PLAN_REST:
        if (locksmith->plan.state == REBOOT_USERS && locksmith->grace != GRACE_NOT_BEGUN)
            look_at_users(locksmith);
        return;
    case PLAN_WARN_START:
        locksmith->grace_begun_uptime_usec = clock_now_usec(CLOCK_BOOTTIME);
        warn_of_grace(locksmith, GRACE_BEGUN);
        return;
    case PLAN_WARN_END:
        warn_of_grace(locksmith, GRACE_ENDING);
        return;
    case PLAN_CHECK:
        locksmith_look(locksmith);
        locksmith_touch(locksmith);
        return;
    case PLAN_DECIDE:
        locksmith_decide_need(locksmith);
        locksmith_touch(locksmith);
        return;
    case PLAN_ACQUIRE:
        acquire(locksmith);
        return;
    case PLAN_RUN_HOOKS:
        run_pre_reboot(locksmith);
        locksmith_touch(locksmith);
        return;
    case PLAN_REBOOT:
        reboot(locksmith);
        locksmith_touch(locksmith);
        return;
    case PLAN_BACK_OUT:
        go_back(locksmith);
        return;
    }
}
