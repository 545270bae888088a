/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What locksmithd does next, from a snapshot of all facts: the one place where that is decided.
 * Every condition is looked at every time, so a reboot that is under way goes back when one of them
 * does not hold any more (DESIGN promise 13). Pure, but for the system's time zone in texts. */

#include "common/cleanup.h"
#include "locksmith/daemon/plan/reboot-facts.h"

typedef enum {
    REBOOT_OFF,
    REBOOT_IDLE,
    REBOOT_PAUSED,
    REBOOT_UPTIME,
    REBOOT_APPROVAL,
    REBOOT_WINDOW,
    REBOOT_INHIBITOR,
    REBOOT_USERS,
    REBOOT_CHECK,
    REBOOT_LOCK,
    REBOOT_HOOKS,
    REBOOT_REBOOTING,
    REBOOT_BACKING_OUT,
} RebootState;

const char *reboot_state_name(RebootState state); /* LOCKSMITH_STATE_* */

typedef enum {
    PLAN_REST,       /* until a fact changes, or next_usec */
    PLAN_WARN_START, /* users: the grace begins */
    PLAN_WARN_END,   /* users: it ends soon */
    PLAN_CHECK,      /* ask everybody again, and reboot-check.d */
    PLAN_DECIDE,     /* find out whether a lock is needed */
    PLAN_ACQUIRE,
    PLAN_RUN_HOOKS, /* pre-reboot.d */
    PLAN_REBOOT,
    PLAN_BACK_OUT, /* post-boot.d where pre-reboot.d began; the lock back */
} PlanStep;

/* In the order in which they are looked at. */
typedef enum {
    CONDITION_UPDATE,
    CONDITION_PAUSE,
    CONDITION_UPTIME,
    CONDITION_APPROVAL,
    CONDITION_WINDOW,
    CONDITION_INHIBITORS,
    CONDITION_USERS,
    CONDITION_CHECK,
    CONDITION_LOCK,
    CONDITION_N,
} ConditionKind;

#define PLAN_TEXT_BYTES 320

typedef struct {
    bool holds;
    uint64_t next_usec; /* CLOCK_REALTIME: may change by itself; 0 not known */
    char text[PLAN_TEXT_BYTES];
} RebootCondition;

const char *reboot_condition_name(ConditionKind kind); /* "update", "pause", ... */

/* Evaluates one of them; text is printable. */
void reboot_condition_at(
        const RebootFacts *facts, ConditionKind kind, RebootCondition *ret_condition);

typedef struct {
    PlanStep step;
    RebootState state;
    char text[PLAN_TEXT_BYTES]; /* one line for a person */
    uint64_t next_usec;         /* CLOCK_REALTIME: can go on by itself; 0: when something happens */
    uint64_t look_usec;         /* CLOCK_REALTIME: the next plan is due without a cause; 0: never */
    uint64_t grace_left_usec;   /* PLAN_WARN_*: what is left to users */
    bool starts_over;           /* what was reached counts no more: grace, check, decision */
    RebootCondition conditions[CONDITION_N];
} RebootPlan;

void reboot_plan_make(const RebootFacts *facts, RebootPlan *ret_plan);

/* How long the users' grace is now: as configured, or half of a window that is shorter than it. */
uint64_t reboot_plan_grace_usec(const RebootFacts *facts);
