/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "locksmith/conditions/reboot-required.h"
#include "locksmith/daemon/locksmith-private.h"
#include "locksmith/lock/lock-name.h"

/* The snapshot for reboot-plan.h, from everybody who knows something. */

const char *locksmith_trigger_name(RebootTrigger trigger)
{
    switch (trigger) {
    case TRIGGER_UNKNOWN:
    case TRIGGER_NONE:
        return "";
    case TRIGGER_UPDATE_ENGINE:
        return "update-engine";
    case TRIGGER_REBOOT_REQUIRED:
        return "reboot-required";
    case TRIGGER_PERSON:
        return "person";
    }
    return "";
}

static RebootTrigger find_trigger(const Locksmith *locksmith, const UpdateFacts *update)
{
    if (update->state == UPDATE_WAITS)
        return TRIGGER_UPDATE_ENGINE;
    RebootRequired required = {};
    if (locksmith->config->is_reboot_required_read &&
            reboot_required_read(locksmith->root_fd, &required) >= 0 && required.is_required)
        return TRIGGER_REBOOT_REQUIRED;
    if (locksmith->is_needed_by_person)
        return TRIGGER_PERSON;
    return update->state == UPDATE_UNKNOWN ? TRIGGER_UNKNOWN : TRIGGER_NONE;
}

/* Another version, or another reason, is another reboot: users are asked for it anew. */
static void note_trigger(Locksmith *locksmith, RebootTrigger trigger, const char *version)
{
    if (trigger == TRIGGER_UNKNOWN ||
            (trigger == locksmith->trigger && strcmp(version, locksmith->version) == 0))
        return;
    bool was_there = locksmith->trigger != TRIGGER_UNKNOWN && locksmith->trigger != TRIGGER_NONE;
    locksmith->trigger = trigger;
    snprintf(locksmith->version, sizeof(locksmith->version), "%s", version);
    if (trigger == TRIGGER_NONE) {
        if (was_there)
            log_notice("the reboot is not asked for any more");
        locksmith->is_reboot_now = locksmith->skips_hooks = false;
    } else {
        log_notice("a reboot is asked for by %s%s%s", locksmith_trigger_name(trigger),
                version[0] ? ", version " : "", version);
    }
    locksmith_forgive(locksmith);
    locksmith_start_over(locksmith);
}

static void gather_lock(const Locksmith *locksmith, RebootFacts *facts)
{
    facts->need = locksmith->need;
    facts->need_text = locksmith->need_text;
    facts->lock_text = "";
    facts->lock_next_uptime_usec = locksmith->need_next_uptime_usec;
    if (locksmith->is_lock_stale && facts->need == NEED_LOCK) {
        facts->need = NEED_UNCLEAR;
        facts->need_text = "another lock is configured now: the one from before is given back "
                           "first, when the boot is declared good";
    }
    if (!locksmith->keeper || locksmith->is_lock_from_before)
        return;
    LockKeeperFacts keeper = lock_keeper_facts(locksmith->keeper);
    facts->holds = keeper.holds;
    facts->lock_text = keeper.text;
    if (keeper.next_uptime_usec > 0)
        facts->lock_next_uptime_usec = keeper.next_uptime_usec;
}

static void gather_words(Locksmith *locksmith, RebootFacts *facts)
{
    locksmith->pause_error = locksmith->approval_error = (ErrorText){};
    (void)pause_read(locksmith->root_fd, facts->now_usec, &facts->pause, &locksmith->pause_error);
    if (locksmith->config->needs_approval)
        (void)approval_read(
                locksmith->root_fd, facts->now_usec, &facts->approval, &locksmith->approval_error);
    facts->pause_error = locksmith->pause_error.line;
    facts->approval_error = locksmith->approval_error.line;
    locksmith->pause = facts->pause;
}

void locksmith_gather(Locksmith *locksmith, RebootFacts *ret_facts)
{
    const LocksmithConfig *config = locksmith->config;
    UpdateFacts update = {.version = ""};
    if (locksmith->update)
        update = update_signal_facts(locksmith->update);
    RebootTrigger trigger = find_trigger(locksmith, &update);
    note_trigger(locksmith, trigger, trigger == TRIGGER_UPDATE_ENGINE ? update.version : "");
    uint64_t now_usec = clock_now_usec(CLOCK_REALTIME);
    RebootFacts facts = {
            .now_usec = now_usec,
            .uptime_usec = clock_now_usec(CLOCK_BOOTTIME),
            .is_off = config->strategy == STRATEGY_OFF,
            .trigger = trigger,
            .version = locksmith->version,
            .is_reboot_now = locksmith->is_reboot_now,
            .skips_hooks = locksmith->skips_hooks,
            .min_uptime_usec = config->min_uptime_usec,
            .needs_approval = config->needs_approval,
            .window = reboot_calendar_at(locksmith->calendar, now_usec),
            .grace_usec = config->login_grace_usec,
            .grace = locksmith->grace,
            .grace_begun_uptime_usec = locksmith->grace_begun_uptime_usec,
            .check = locksmith->check,
            .refusal = locksmith->refusal,
            .retry_uptime_usec = locksmith->retry_uptime_usec,
            .hooks = locksmith->hooks,
            .logind_stage = locksmith->logind_stage,
            .logind_deadline_uptime_usec = locksmith->logind_deadline_uptime_usec,
            .is_backing_out = locksmith->is_backing_out,
            .back_out_text = locksmith->back_out_text,
    };
    if (locksmith->logind)
        facts.logind = logind_facts(locksmith->logind);
    if (locksmith->release)
        facts.is_boot_busy = boot_release_facts(locksmith->release).is_busy;
    if (trigger != TRIGGER_UNKNOWN && facts.logind.is_known)
        locksmith->unknown_since_uptime_usec = 0;
    else if (locksmith->unknown_since_uptime_usec == 0)
        locksmith->unknown_since_uptime_usec = facts.uptime_usec;
    facts.unknown_since_uptime_usec = locksmith->unknown_since_uptime_usec;
    /* Whoever comes when all had left is warned anew. */
    if (facts.logind.is_known && facts.logind.n_sessions == 0)
        facts.grace = locksmith->grace = GRACE_NOT_BEGUN;
    gather_lock(locksmith, &facts);
    gather_words(locksmith, &facts);
    *ret_facts = facts;
}

static const char *holds_word(const Locksmith *locksmith)
{
    HoldState holds = locksmith->keeper ? lock_keeper_facts(locksmith->keeper).holds : HOLDS_NO;
    switch (holds) {
    case HOLDS_NO:
        return "no";
    case HOLDS_YES:
        return "yes";
    case HOLDS_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}

static const char *decision_text(const Locksmith *locksmith)
{
    switch (locksmith->need) {
    case NEED_UNDECIDED:
    case NEED_ASKING:
    case NEED_UNCLEAR:
        return "";
    case NEED_NO_LOCK:
    case NEED_LOCK:
        return locksmith->need_text;
    }
    return "";
}

void locksmith_status(const Locksmith *locksmith, LocksmithStatus *ret_status)
{
    const RebootPlan *plan = &locksmith->plan;
    BootReleaseFacts release = {.stage = BOOT_RELEASE_DONE, .text = ""};
    if (locksmith->release)
        release = boot_release_facts(locksmith->release);
    *ret_status = (LocksmithStatus){
            .state = reboot_state_name(plan->state),
            .text = plan->text,
            .since_usec = locksmith->since_usec,
            .next_usec = plan->next_usec,
            .strategy = reboot_strategy_name(locksmith->config->strategy),
            .decision = decision_text(locksmith),
            .group = locksmith->keeper ? locksmith->config->lock.group : "",
            .store = locksmith->keeper ? lock_name_of_store(locksmith->config->lock.store) : "",
            .holds = holds_word(locksmith),
            .release = boot_release_stage_name(release.stage),
            .release_text = release.text,
            .version = locksmith->version,
            .trigger = locksmith_trigger_name(locksmith->trigger),
            .paused_until_usec =
                    locksmith->pause.state == WORD_GIVEN ? locksmith->pause.until_usec : 0,
            .last_error = locksmith->last_error,
            .last_error_usec = locksmith->last_error_usec,
            .conditions = plan->conditions,
    };
}
