/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/plan/reboot-plan.h"

#include <string.h>

#include "common/clock.h"
#include "common/printable.h"
#include "locksmith/daemon/plan/reboot-plan-private.h"
#include "locksmith/locksmith-bus.h"

/* The order: update, pause, uptime, approval, window, inhibitors - users - look again with
 * reboot-check.d - the lock - look again - pre-reboot.d, with the lock held, because hosts must not
 * drain at the same time - look again - logind.
 *
 * The conditions up to the inhibitors are looked at in every plan. Once something would have to be
 * taken back (the lock, a drain), one that does not hold leads to PLAN_BACK_OUT instead of waiting:
 * a host that waits must not keep others from going on. */

/* update-engine and logind may restart, and so may the bus, without the lock being given back. */
#define UNKNOWN_MAX_USEC (2 * USEC_PER_MINUTE)

/* The second warning's distance from the end of the grace. */
#define WARN_END_USEC USEC_PER_MINUTE

const char *reboot_state_name(RebootState state)
{
    static const char *const names[] = {
            [REBOOT_OFF] = LOCKSMITH_STATE_OFF,
            [REBOOT_IDLE] = LOCKSMITH_STATE_IDLE,
            [REBOOT_PAUSED] = LOCKSMITH_STATE_PAUSED,
            [REBOOT_UPTIME] = LOCKSMITH_STATE_UPTIME,
            [REBOOT_APPROVAL] = LOCKSMITH_STATE_APPROVAL,
            [REBOOT_WINDOW] = LOCKSMITH_STATE_WINDOW,
            [REBOOT_INHIBITOR] = LOCKSMITH_STATE_INHIBITOR,
            [REBOOT_USERS] = LOCKSMITH_STATE_USERS,
            [REBOOT_CHECK] = LOCKSMITH_STATE_CHECK,
            [REBOOT_LOCK] = LOCKSMITH_STATE_LOCK,
            [REBOOT_HOOKS] = LOCKSMITH_STATE_HOOKS,
            [REBOOT_REBOOTING] = LOCKSMITH_STATE_REBOOTING,
            [REBOOT_BACKING_OUT] = LOCKSMITH_STATE_BACKING_OUT,
    };
    return names[state];
}

static RebootState state_of(ConditionKind kind)
{
    static const RebootState states[CONDITION_N] = {
            [CONDITION_UPDATE] = REBOOT_IDLE,
            [CONDITION_PAUSE] = REBOOT_PAUSED,
            [CONDITION_UPTIME] = REBOOT_UPTIME,
            [CONDITION_APPROVAL] = REBOOT_APPROVAL,
            [CONDITION_WINDOW] = REBOOT_WINDOW,
            [CONDITION_INHIBITORS] = REBOOT_INHIBITOR,
            [CONDITION_USERS] = REBOOT_USERS,
            [CONDITION_CHECK] = REBOOT_CHECK,
            [CONDITION_LOCK] = REBOOT_LOCK,
    };
    return states[kind];
}

_printf_(4, 5) static void decide(
        RebootPlan *plan, PlanStep step, RebootState state, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printable_vformat(plan->text, sizeof(plan->text), format, arguments);
    va_end(arguments);
    plan->step = step;
    plan->state = state;
}

static void look_at(RebootPlan *plan, uint64_t usec)
{
    if (usec > 0 && (plan->look_usec == 0 || usec < plan->look_usec))
        plan->look_usec = usec;
}

/* Waits for a condition; those before it may change, too. */
static void wait_for(RebootPlan *plan, ConditionKind kind)
{
    const RebootCondition *condition = &plan->conditions[kind];
    decide(plan, PLAN_REST, state_of(kind), "%s", condition->text);
    plan->next_usec = condition->next_usec;
    for (ConditionKind before = 0; before <= kind; before++)
        look_at(plan, plan->conditions[before].next_usec);
}

static bool is_unknown(const RebootFacts *facts, ConditionKind kind)
{
    return (kind == CONDITION_UPDATE && facts->trigger == TRIGGER_UNKNOWN) ||
           (kind == CONDITION_INHIBITORS && !facts->logind.is_known);
}

/* A condition that must hold throughout does not. */
static void refuse(const RebootFacts *facts, ConditionKind kind, RebootPlan *plan)
{
    wait_for(plan, kind);
    if (!reboot_plan_is_under_way(facts)) {
        plan->starts_over = true;
        return;
    }
    uint64_t give_up_usec = facts->unknown_since_uptime_usec + UNKNOWN_MAX_USEC;
    if (is_unknown(facts, kind) && facts->uptime_usec < give_up_usec) {
        plan->state = REBOOT_CHECK;
        look_at(plan, reboot_plan_realtime(facts, give_up_usec));
        return;
    }
    plan->step = PLAN_BACK_OUT;
    plan->state = REBOOT_BACKING_OUT;
    plan->next_usec = plan->look_usec = 0;
}

static void plan_logind(const RebootFacts *facts, RebootPlan *plan)
{
    if (facts->logind_stage == LOGIND_ASKED) {
        decide(plan, PLAN_REST, REBOOT_REBOOTING, "asks logind for the reboot");
        return;
    }
    if (facts->uptime_usec < facts->logind_deadline_uptime_usec) {
        decide(plan, PLAN_REST, REBOOT_REBOOTING,
                "logind was asked for the reboot, which is to come now");
        look_at(plan, reboot_plan_realtime(facts, facts->logind_deadline_uptime_usec));
        return;
    }
    decide(plan, PLAN_BACK_OUT, REBOOT_BACKING_OUT,
            "logind was asked for the reboot, but the system did not go down: see what keeps it "
            "with "
            "'systemctl list-jobs'");
}

static void plan_users(const RebootFacts *facts, RebootPlan *plan)
{
    wait_for(plan, CONDITION_USERS);
    if (facts->grace == GRACE_NOT_BEGUN) {
        if (reboot_plan_grace_fits(facts))
            plan->step = PLAN_WARN_START;
        plan->grace_left_usec = reboot_plan_grace_usec(facts);
        return;
    }
    uint64_t end_usec = reboot_plan_grace_end(facts);
    if (facts->grace == GRACE_ENDING || reboot_plan_grace_usec(facts) <= WARN_END_USEC)
        return;
    plan->grace_left_usec = end_usec - facts->uptime_usec;
    if (plan->grace_left_usec <= WARN_END_USEC)
        plan->step = PLAN_WARN_END;
    else
        look_at(plan, reboot_plan_realtime(facts, end_usec - WARN_END_USEC));
}

static void plan_lock(const RebootFacts *facts, RebootPlan *plan)
{
    wait_for(plan, CONDITION_LOCK);
    /* What asks the store has its own timers. */
    plan->look_usec = 0;
    for (ConditionKind kind = 0; kind < CONDITION_CHECK; kind++)
        look_at(plan, plan->conditions[kind].next_usec);
    if (facts->need == NEED_UNDECIDED)
        decide(plan, PLAN_DECIDE, REBOOT_LOCK, "asks whether a lock is needed");
    else if (facts->need == NEED_LOCK && facts->lock_text[0] == '\0')
        decide(plan, PLAN_ACQUIRE, REBOOT_LOCK, "asks for the lock");
    else if (facts->need == NEED_LOCK)
        plan->step = PLAN_ACQUIRE;
}

/* Every condition but check and lock holds. */
static void plan_steps(const RebootFacts *facts, RebootPlan *plan)
{
    if (facts->hooks == RUN_UNDER_WAY) {
        decide(plan, PLAN_REST, REBOOT_HOOKS, "runs pre-reboot.d");
    } else if (!plan->conditions[CONDITION_CHECK].holds) {
        wait_for(plan, CONDITION_CHECK);
        if (facts->check == RUN_NOT_YET && !facts->is_boot_busy)
            decide(plan, PLAN_CHECK, REBOOT_CHECK, CHECKING_TEXT);
    } else if (!plan->conditions[CONDITION_LOCK].holds) {
        plan_lock(facts, plan);
        return;
    } else if (facts->hooks == RUN_NOT_YET && !facts->skips_hooks) {
        decide(plan, PLAN_RUN_HOOKS, REBOOT_HOOKS, "runs pre-reboot.d");
    } else {
        decide(plan, PLAN_REBOOT, REBOOT_REBOOTING, "asks logind for the reboot");
    }
    for (ConditionKind kind = 0; kind < CONDITION_CHECK; kind++)
        look_at(plan, plan->conditions[kind].next_usec);
}

static bool is_held_up(const RebootFacts *facts)
{
    return facts->refusal[0] && facts->uptime_usec < facts->retry_uptime_usec;
}

static void plan_conditions(const RebootFacts *facts, RebootPlan *plan)
{
    for (ConditionKind kind = 0; kind <= CONDITION_INHIBITORS; kind++) {
        if (!plan->conditions[kind].holds) {
            refuse(facts, kind, plan);
            return;
        }
    }
    /* Nobody is warned of a reboot that does not come. */
    if (is_held_up(facts))
        refuse(facts, CONDITION_CHECK, plan);
    else if (!plan->conditions[CONDITION_USERS].holds)
        plan_users(facts, plan);
    else
        plan_steps(facts, plan);
}

static void plan_off(const RebootFacts *facts, RebootPlan *plan)
{
    bool goes_back = reboot_plan_is_under_way(facts);
    plan->starts_over = !goes_back;
    decide(plan, goes_back ? PLAN_BACK_OUT : PLAN_REST, goes_back ? REBOOT_BACKING_OUT : REBOOT_OFF,
            "the strategy is off");
}

void reboot_plan_make(const RebootFacts *facts, RebootPlan *ret_plan)
{
    *ret_plan = (RebootPlan){};
    for (ConditionKind kind = 0; kind < CONDITION_N; kind++)
        reboot_condition_at(facts, kind, &ret_plan->conditions[kind]);
    if (facts->is_backing_out)
        decide(ret_plan, PLAN_REST, REBOOT_BACKING_OUT, "%s%s%s", facts->back_out_text,
                facts->lock_text[0] ? "; " : "", facts->lock_text);
    else if (facts->logind_stage != LOGIND_NOT_ASKED)
        plan_logind(facts, ret_plan);
    else if (facts->is_off)
        plan_off(facts, ret_plan);
    else
        plan_conditions(facts, ret_plan);
}
