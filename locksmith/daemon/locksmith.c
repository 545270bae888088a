/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/locksmith.h"

#include <fcntl.h>
#include <malloc.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "locksmith/daemon/locksmith-private.h"
#include "locksmith/window/duration.h"

/* Whoever has something new touches the daemon; then it gathers the facts once, plans, and does the
 * plan's step. Nothing else decides. */

void locksmith_touch(Locksmith *locksmith)
{
    int r = sd_event_source_set_enabled(locksmith->turn, SD_EVENT_ONESHOT);
    if (r < 0)
        log_error("cannot plan: %s", strerror(-r));
}

static void on_change(void *userdata)
{
    locksmith_touch(userdata);
}

void locksmith_complain(Locksmith *locksmith, const char *what, const char *text)
{
    log_error("%s: %s", what, text);
    snprintf(locksmith->last_error, sizeof(locksmith->last_error), "%s: %s", what, text);
    printable_clean(locksmith->last_error);
    locksmith->last_error_usec = clock_now_usec(CLOCK_REALTIME);
    locksmith_touch(locksmith);
}

int locksmith_write_note(Locksmith *locksmith, ErrorText *error)
{
    RebootNote *note = &locksmith->note;
    if (!locksmith->is_lock_from_before)
        snprintf(note->boot_id, sizeof(note->boot_id), "%s",
                locksmith->identity.boot_id[0] ? locksmith->identity.boot_id : "?");
    return reboot_note_write(locksmith->root_fd, note, error);
}

void locksmith_save_note(Locksmith *locksmith)
{
    ErrorText error = {};
    if (locksmith_write_note(locksmith, &error) < 0)
        locksmith_complain(locksmith, "cannot note what is under way", error.line);
}

static void tell_coordinator(Locksmith *locksmith)
{
    if (!locksmith->coordinator)
        return;
    CoordinatorState state = COORDINATOR_REBOOT_PLANNED;
    if (locksmith->plan.state == REBOOT_IDLE || locksmith->plan.state == REBOOT_OFF)
        state = COORDINATOR_RUNNING;
    else if (locksmith->plan.state == REBOOT_REBOOTING)
        state = COORDINATOR_REBOOTING;
    ErrorText error = {};
    if (coordinator_set(locksmith->coordinator, reboot_strategy_name(locksmith->config->strategy),
                state, &error) < 0)
        locksmith_complain(locksmith, "the coordinator file", error.line);
}

static int on_lock_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Locksmith *locksmith = userdata;
    char what[96];
    /* The clock may have been set back. */
    uint64_t now_usec = MAX(clock_now_usec(CLOCK_REALTIME), locksmith->since_usec);
    snprintf(what, sizeof(what), "an update has waited %s for the lock",
            duration_show(now_usec - locksmith->since_usec).text);
    locksmith_complain(locksmith, what, locksmith->plan.text);
    int r = sd_event_source_set_time_relative(
            locksmith->lock_timer, locksmith->config->lock_warning_usec);
    if (r >= 0)
        r = sd_event_source_set_enabled(locksmith->lock_timer, SD_EVENT_ONESHOT);
    if (r < 0)
        log_error("cannot plan a warning: %s", strerror(-r));
    return 0;
}

/* The one place where the state changes. */
static void set_plan(Locksmith *locksmith, const RebootPlan *plan)
{
    RebootState before = locksmith->plan.state;
    bool is_first = locksmith->since_usec == 0;
    bool is_new_text = strcmp(locksmith->plan.text, plan->text) != 0;
    locksmith->plan = *plan;
    if (is_first || before != plan->state) {
        locksmith->since_usec = clock_now_usec(CLOCK_REALTIME);
        log_fields(LOG_LEVEL_INFO,
                (LogField[]){{"LOCKSMITH_STATE", reboot_state_name(plan->state)}, {}}, "%s: %s",
                reboot_state_name(plan->state), plan->text);
        locksmith->lock_timer = sd_event_source_disable_unref(locksmith->lock_timer);
        if (plan->state == REBOOT_LOCK &&
                sd_event_add_time_relative(locksmith->event, &locksmith->lock_timer, CLOCK_BOOTTIME,
                        locksmith->config->lock_warning_usec, USEC_PER_SEC, on_lock_timer,
                        locksmith) < 0)
            log_error("cannot plan a warning");
        tell_coordinator(locksmith);
        /* What a request or an answer needed is over. */
        if (plan->state == REBOOT_IDLE)
            malloc_trim(0);
    } else if (is_new_text) {
        log_info("%s", plan->text);
    }
}

/* Tried once: without it, a store that loses the semaphore is taken for a new one. */
static void note_semaphore(Locksmith *locksmith)
{
    ErrorText error = {};
    const char *place = locksmith->note.place;
    locksmith->is_semaphore_noted = true;
    if (!semaphore_seen_read(locksmith->root_fd, place) &&
            semaphore_seen_write(locksmith->root_fd, place, &error) < 0)
        locksmith_complain(locksmith, "cannot note that the lock was seen", error.line);
}

/* What the lock's keeper says, as far as it is not for the plan. */
static void heed_keeper(Locksmith *locksmith)
{
    if (!locksmith->keeper)
        return;
    LockKeeperFacts facts = lock_keeper_facts(locksmith->keeper);
    if (facts.has_seen_document && !locksmith->is_semaphore_noted)
        note_semaphore(locksmith);
    HoldState holds = facts.holds;
    /* What was looked at before the lock was there says nothing about now. */
    if (holds == HOLDS_YES && locksmith->keeper_holds != HOLDS_YES && !locksmith->is_backing_out) {
        log_notice("this host holds the lock");
        locksmith_stop_looking(locksmith);
    }
    locksmith->keeper_holds = holds;
    if (locksmith->is_lock_from_before)
        boot_release_on_keeper(locksmith->release);
    else if (locksmith->is_backing_out)
        locksmith_back_out_further(locksmith);
}

/* Nothing is asked for any more that is not wanted now. */
static void let_go(Locksmith *locksmith)
{
    if (!locksmith->keeper || locksmith->is_lock_from_before || locksmith->is_backing_out ||
            locksmith->plan.state == REBOOT_LOCK ||
            lock_keeper_facts(locksmith->keeper).holds != HOLDS_NO)
        return;
    lock_keeper_want(locksmith->keeper, LOCK_WANT_NOTHING, "");
    if (locksmith->note.may_hold) {
        locksmith->note.may_hold = false;
        locksmith_save_note(locksmith);
    }
}

static int on_turn(sd_event_source *source, void *userdata)
{
    (void)source;
    Locksmith *locksmith = userdata;
    heed_keeper(locksmith);
    locksmith_change_lock(locksmith);
    RebootFacts facts;
    RebootPlan plan;
    locksmith_gather(locksmith, &facts);
    reboot_plan_make(&facts, &plan);
    set_plan(locksmith, &plan);
    if (plan.starts_over)
        locksmith_start_over(locksmith);
    else if (plan.state == REBOOT_USERS)
        locksmith_stop_looking(locksmith);
    let_go(locksmith);
    int r = clock_alarm_set(locksmith->alarm, plan.look_usec);
    if (r < 0)
        log_error("cannot set the alarm: %s", strerror(-r));
    locksmith_do(locksmith, plan.step);
    locksmith->on_status(locksmith->userdata);
    return 0;
}

void locksmith_set_bus(Locksmith *locksmith, sd_bus *bus)
{
    /* An answer that does not come any more. */
    if (locksmith->look == LOOK_UPDATE || locksmith->look == LOOK_LOGIND)
        locksmith_stop_looking(locksmith);
    /* logind may have begun all the same. */
    if (locksmith->logind_stage == LOGIND_ASKED)
        locksmith_expect_reboot(locksmith);
    logind_reboot_free(TAKE_PTR(locksmith->reboot));
    logind_free(TAKE_PTR(locksmith->logind));
    update_signal_free(TAKE_PTR(locksmith->update));
    locksmith->bus = sd_bus_unref(locksmith->bus);
    int r = 0;
    if (bus) {
        locksmith->bus = sd_bus_ref(bus);
        r = logind_new(locksmith->event, bus, on_change, locksmith, &locksmith->logind);
        if (r >= 0)
            r = update_signal_new(locksmith->event, bus, on_change, locksmith, &locksmith->update);
    }
    if (r < 0)
        locksmith_complain(locksmith, "cannot listen on the bus", strerror(-r));
    if (locksmith->release)
        boot_release_set_bus(locksmith->release, bus);
    locksmith_touch(locksmith);
}

static int watch_files(Locksmith *locksmith)
{
    static const char *const paths[] = {
            APPROVAL_FILE, PAUSE_FILE, "run/reboot-required", "var/run/reboot-required"};
    int r = file_watch_new(locksmith->event, locksmith->options->root, paths, ELEMENTS(paths),
            on_change, locksmith, &locksmith->files);
    if (r >= 0)
        r = clock_alarm_new(locksmith->event, on_change, locksmith, &locksmith->alarm);
    if (r >= 0)
        r = sd_event_add_defer(locksmith->event, &locksmith->turn, on_turn, locksmith);
    return r;
}

static int identify(Locksmith *locksmith, ErrorText *error)
{
    const LocksmithOptions *options = locksmith->options;
    HostIdentity *identity = &locksmith->identity;
    int r = host_identity_read(locksmith->root_fd, identity, error);
    if (r < 0 && !options->machine_id)
        return r;
    if (options->machine_id)
        snprintf(identity->machine_id, sizeof(identity->machine_id), "%s", options->machine_id);
    if (options->boot_id)
        snprintf(identity->boot_id, sizeof(identity->boot_id), "%s", options->boot_id);
    return 0;
}

static int set_up(Locksmith *locksmith, ErrorText *error)
{
    const char *root = locksmith->options->root;
    locksmith->root_fd = open(root[0] ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (locksmith->root_fd < 0)
        return error_say(error, -errno, "cannot open %s: %s", root, strerror(errno));
    if (asprintf(&locksmith->dev_root, "%s/dev", root) < 0)
        return -ENOMEM;
    int r = identify(locksmith, error);
    if (r >= 0)
        r = locksmith_load(locksmith, error);
    if (r >= 0) {
        r = watch_files(locksmith);
        if (r < 0)
            return error_say(error, r, "cannot watch files and clock: %s", strerror(-r));
    }
    return r < 0 ? r : locksmith_settle_boot(locksmith, error);
}

int locksmith_new(sd_event *event, const LocksmithOptions *options,
        void (*on_status)(void *userdata), void *userdata, Locksmith **ret_locksmith,
        ErrorText *error)
{
    _cleanup_(locksmith_freep) Locksmith *locksmith = calloc(1, sizeof(*locksmith));
    if (!locksmith)
        return -ENOMEM;
    *locksmith = (Locksmith){
            .event = sd_event_ref(event),
            .options = options,
            .on_status = on_status,
            .userdata = userdata,
            .root_fd = -1,
    };
    int r = set_up(locksmith, error);
    if (r < 0)
        return r;
    *ret_locksmith = TAKE_PTR(locksmith);
    return 0;
}

void locksmith_free(Locksmith *locksmith)
{
    if (!locksmith)
        return;
    hook_run_free(locksmith->hook_run);
    local_etcd_free(locksmith->local_etcd);
    boot_release_free(locksmith->release);
    lock_keeper_free(locksmith->keeper);
    lock_keeper_free(locksmith->next_keeper);
    logind_reboot_free(locksmith->reboot);
    logind_free(locksmith->logind);
    update_signal_free(locksmith->update);
    sd_bus_unref(locksmith->bus);
    sd_event_source_disable_unref(locksmith->users_timer);
    sd_event_source_disable_unref(locksmith->need_timer);
    sd_event_source_disable_unref(locksmith->lock_timer);
    sd_event_source_disable_unref(locksmith->turn);
    clock_alarm_free(locksmith->alarm);
    file_watch_free(locksmith->files);
    coordinator_free(locksmith->coordinator);
    reboot_calendar_free(locksmith->calendar);
    locksmith_config_free(locksmith->config);
    safe_close(locksmith->root_fd);
    sd_event_unref(locksmith->event);
    free(locksmith->dev_root);
    free(locksmith);
}
