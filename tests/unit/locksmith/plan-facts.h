/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The facts that test-reboot-plan.c begins with, and small changes of them that have names. */

#include <string.h>

#include "common/clock.h"
#include "locksmith/daemon/plan/reboot-facts.h"

#define NOW (UINT64_C(1795600000) * USEC_PER_SEC)
#define UP (3 * USEC_PER_HOUR)
#define GRACE (5 * USEC_PER_MINUTE)

static const LogindSession users[] = {
        {.id = (char *)"1", .user = (char *)"alice", .tty = (char *)"pts/0"},
        {.id = (char *)"2", .user = (char *)"bob", .tty = (char *)"tty1"},
};
static const LogindInhibitor inhibitors[] = {
        {.who = (char *)"apt", .why = (char *)"installing"},
};

/* An update waits, nothing is in the way, no lock is needed. */
static inline RebootFacts ready(void)
{
    return (RebootFacts){
            .now_usec = NOW,
            .uptime_usec = UP,
            .trigger = TRIGGER_UPDATE_ENGINE,
            .version = "2.0.0",
            .pause_error = "",
            .approval_error = "",
            .window = {.is_always_open = true},
            .logind = {.is_known = true},
            .grace_usec = GRACE,
            .check = RUN_PASSED,
            .refusal = "",
            .need = NEED_NO_LOCK,
            .need_text = "the strategy is reboot",
            .lock_text = "",
            .hooks = RUN_PASSED,
            .back_out_text = "",
    };
}

/* Small changes of the facts. */
typedef void (*Change)(RebootFacts *facts);

static inline void be_off(RebootFacts *facts)
{
    facts->is_off = true;
}

static inline void know_no_trigger(RebootFacts *facts)
{
    facts->trigger = TRIGGER_UNKNOWN;
    facts->unknown_since_uptime_usec = UP - USEC_PER_SEC;
}

static inline void lose_trigger_for_long(RebootFacts *facts)
{
    facts->trigger = TRIGGER_UNKNOWN;
    facts->unknown_since_uptime_usec = UP - 3 * USEC_PER_MINUTE;
}

static inline void have_no_trigger(RebootFacts *facts)
{
    facts->trigger = TRIGGER_NONE;
}

static inline void be_paused(RebootFacts *facts)
{
    facts->pause = (PersonsWord){.state = WORD_GIVEN, .until_usec = NOW + USEC_PER_HOUR};
    strcpy(facts->pause.why, "disk is replaced");
}

static inline void have_paused_before(RebootFacts *facts)
{
    facts->pause = (PersonsWord){.state = WORD_GIVEN, .until_usec = NOW};
}

static inline void have_bad_pause(RebootFacts *facts)
{
    facts->pause_error = "var/lib/locksmith/paused:1: what is that?";
}

static inline void be_young(RebootFacts *facts)
{
    facts->min_uptime_usec = UP + USEC_PER_MINUTE;
}

static inline void need_approval(RebootFacts *facts)
{
    facts->needs_approval = true;
}

static inline void be_approved(RebootFacts *facts)
{
    facts->needs_approval = true;
    facts->approval = (PersonsWord){.state = WORD_GIVEN, .until_usec = NOW + USEC_PER_HOUR};
}

static inline void be_approved_before(RebootFacts *facts)
{
    be_approved(facts);
    facts->approval.until_usec = NOW;
}

static inline void be_approved_for_this(RebootFacts *facts)
{
    be_approved(facts);
    strcpy(facts->approval.version, "2.0.0");
}

static inline void be_approved_for_another(RebootFacts *facts)
{
    be_approved(facts);
    strcpy(facts->approval.version, "1.9.0");
}

static inline void have_bad_approval(RebootFacts *facts)
{
    be_approved(facts);
    facts->approval_error = "run/locksmith/approved:1: what is that?";
}

static inline void be_outside(RebootFacts *facts)
{
    facts->window =
            (RebootWindow){.start_usec = NOW + USEC_PER_HOUR, .end_usec = NOW + 2 * USEC_PER_HOUR};
}

static inline void have_no_window(RebootFacts *facts)
{
    facts->window = (RebootWindow){};
}

static inline void be_inside(RebootFacts *facts)
{
    facts->window = (RebootWindow){
            .is_open = true, .start_usec = NOW - USEC_PER_HOUR, .end_usec = NOW + USEC_PER_HOUR};
}

static inline void be_inside_at_the_end(RebootFacts *facts)
{
    be_inside(facts);
    facts->window.end_usec = NOW + GRACE;
}

static inline void be_inside_a_short_one(RebootFacts *facts)
{
    facts->window = (RebootWindow){
            .is_open = true, .start_usec = NOW, .end_usec = NOW + 4 * USEC_PER_MINUTE};
}

static inline void be_inhibited(RebootFacts *facts)
{
    facts->logind.inhibitors = inhibitors;
    facts->logind.n_inhibitors = 1;
}

static inline void lose_logind(RebootFacts *facts)
{
    facts->logind.is_known = false;
    facts->unknown_since_uptime_usec = UP - USEC_PER_SEC;
}

static inline void lose_logind_for_long(RebootFacts *facts)
{
    facts->logind.is_known = false;
    facts->unknown_since_uptime_usec = UP - 3 * USEC_PER_MINUTE;
}

static inline void have_users(RebootFacts *facts)
{
    facts->logind.sessions = users;
    facts->logind.n_sessions = 2;
}

static inline void begin_grace(RebootFacts *facts)
{
    facts->grace = GRACE_BEGUN;
    facts->grace_begun_uptime_usec = UP - USEC_PER_MINUTE;
}

static inline void come_to_the_last_minute(RebootFacts *facts)
{
    facts->grace = GRACE_BEGUN;
    facts->grace_begun_uptime_usec = UP - GRACE + USEC_PER_MINUTE;
}

static inline void have_warned_twice(RebootFacts *facts)
{
    come_to_the_last_minute(facts);
    facts->grace = GRACE_ENDING;
}

static inline void end_grace(RebootFacts *facts)
{
    facts->grace = GRACE_ENDING;
    facts->grace_begun_uptime_usec = UP - GRACE;
}

static inline void ask_nobody(RebootFacts *facts)
{
    facts->grace_usec = 0;
}

static inline void have_no_check(RebootFacts *facts)
{
    facts->check = RUN_NOT_YET;
}

static inline void be_checking(RebootFacts *facts)
{
    facts->check = RUN_UNDER_WAY;
}

static inline void be_busy_with_the_boot(RebootFacts *facts)
{
    facts->check = RUN_NOT_YET;
    facts->is_boot_busy = true;
}

static inline void have_been_refused(RebootFacts *facts)
{
    facts->refusal = "hook 10-ceph: the cluster is not healthy";
    facts->retry_uptime_usec = UP + USEC_PER_MINUTE;
}

static inline void have_been_refused_before(RebootFacts *facts)
{
    facts->refusal = "hook 10-ceph: the cluster is not healthy";
    facts->retry_uptime_usec = UP;
}

static inline void be_undecided(RebootFacts *facts)
{
    facts->need = NEED_UNDECIDED;
}

static inline void be_asking_what_is_needed(RebootFacts *facts)
{
    facts->need = NEED_ASKING;
}

static inline void get_no_clear_answer(RebootFacts *facts)
{
    facts->need = NEED_UNCLEAR;
    facts->need_text = "something at 127.0.0.1:2379 does not speak as etcd does";
}

static inline void need_lock(RebootFacts *facts)
{
    facts->need = NEED_LOCK;
}

static inline void hold(RebootFacts *facts)
{
    facts->need = NEED_LOCK;
    facts->holds = HOLDS_YES;
}

static inline void perhaps_hold(RebootFacts *facts)
{
    facts->need = NEED_LOCK;
    facts->holds = HOLDS_UNKNOWN;
}

static inline void have_no_hooks_run(RebootFacts *facts)
{
    facts->hooks = RUN_NOT_YET;
}

static inline void run_hooks(RebootFacts *facts)
{
    facts->hooks = RUN_UNDER_WAY;
}

static inline void skip_hooks(RebootFacts *facts)
{
    facts->skips_hooks = true;
}

static inline void want_it_now(RebootFacts *facts)
{
    facts->is_reboot_now = true;
}

static inline void ask_logind(RebootFacts *facts)
{
    facts->logind_stage = LOGIND_ASKED;
}

static inline void be_shutting_down(RebootFacts *facts)
{
    facts->logind_stage = LOGIND_ACCEPTED;
    facts->logind_deadline_uptime_usec = UP + USEC_PER_MINUTE;
}

static inline void still_be_there(RebootFacts *facts)
{
    facts->logind_stage = LOGIND_ACCEPTED;
    facts->logind_deadline_uptime_usec = UP;
}

static inline void go_back(RebootFacts *facts)
{
    facts->is_backing_out = true;
    facts->back_out_text = "the reboot window closed";
}
