/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/printable.h"
#include "locksmith/daemon/plan/reboot-plan-private.h"
#include "locksmith/window/duration.h"

/* The conditions one by one: each looks at the facts alone and says in one line what it found. What
 * follows from it is reboot-plan.c's. */

const char *reboot_condition_name(ConditionKind kind)
{
    static const char *const names[CONDITION_N] = {
            [CONDITION_UPDATE] = "update",
            [CONDITION_PAUSE] = "pause",
            [CONDITION_UPTIME] = "uptime",
            [CONDITION_APPROVAL] = "approval",
            [CONDITION_WINDOW] = "window",
            [CONDITION_INHIBITORS] = "inhibitors",
            [CONDITION_USERS] = "users",
            [CONDITION_CHECK] = "check",
            [CONDITION_LOCK] = "lock",
    };
    return names[kind];
}

WallTime reboot_plan_time(uint64_t usec)
{
    WallTime shown = {};
    time_t sec = (time_t)(usec / USEC_PER_SEC);
    struct tm parts;
    if (!localtime_r(&sec, &parts) ||
            strftime(shown.text, sizeof(shown.text), "%a %Y-%m-%d %H:%M:%S %Z", &parts) == 0)
        strcpy(shown.text, "?");
    return shown;
}

uint64_t reboot_plan_realtime(const RebootFacts *facts, uint64_t uptime_usec)
{
    return uptime_usec > facts->uptime_usec ? facts->now_usec + (uptime_usec - facts->uptime_usec)
                                            : facts->now_usec;
}

bool reboot_plan_is_under_way(const RebootFacts *facts)
{
    return facts->holds != HOLDS_NO || facts->hooks != RUN_NOT_YET;
}

_printf_(3, 4) static void say(RebootCondition *condition, bool holds, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printable_vformat(condition->text, sizeof(condition->text), format, arguments);
    va_end(arguments);
    condition->holds = holds;
}

static void look_at_update(const RebootFacts *facts, RebootCondition *condition)
{
    switch (facts->trigger) {
    case TRIGGER_UNKNOWN:
        say(condition, false, "update-engine has not said yet whether an update waits");
        return;
    case TRIGGER_NONE:
        say(condition, false, "nothing to reboot for");
        return;
    case TRIGGER_UPDATE_ENGINE:
        if (facts->version[0])
            say(condition, true, "version %s waits for the reboot", facts->version);
        else
            say(condition, true, "an update waits for the reboot");
        return;
    case TRIGGER_REBOOT_REQUIRED:
        say(condition, true, "/run/reboot-required asks for a reboot");
        return;
    case TRIGGER_PERSON:
        say(condition, true, "a person asked for a reboot");
        return;
    }
}

static void look_at_pause(const RebootFacts *facts, RebootCondition *condition)
{
    const PersonsWord *pause = &facts->pause;
    if (facts->pause_error[0]) {
        say(condition, false, "counts as paused: %s", facts->pause_error);
        return;
    }
    if (pause->state != WORD_GIVEN || pause->until_usec <= facts->now_usec) {
        say(condition, true, "not paused");
        return;
    }
    condition->next_usec = pause->until_usec;
    say(condition, false, "paused until %s%s%s", reboot_plan_time(pause->until_usec).text,
            pause->why[0] ? ": " : "", pause->why);
}

static void look_at_uptime(const RebootFacts *facts, RebootCondition *condition)
{
    if (facts->uptime_usec >= facts->min_uptime_usec) {
        say(condition, true, "up for %s", duration_show(facts->uptime_usec).text);
        return;
    }
    condition->next_usec = reboot_plan_realtime(facts, facts->min_uptime_usec);
    say(condition, false, "waits until the system is up for %s, at %s",
            duration_show(facts->min_uptime_usec).text,
            reboot_plan_time(condition->next_usec).text);
}

static void look_at_approval(const RebootFacts *facts, RebootCondition *condition)
{
    const PersonsWord *word = &facts->approval;
    bool is_other = word->version[0] && strcmp(word->version, facts->version) != 0;
    bool is_over = word->until_usec > 0 && word->until_usec <= facts->now_usec;
    if (!facts->needs_approval) {
        say(condition, true, "no approval is needed");
    } else if (facts->approval_error[0]) {
        say(condition, false, "not approved: %s", facts->approval_error);
    } else if (word->state == WORD_MISSING) {
        say(condition, false, "waits for 'locksmithctl approve'");
    } else if (word->state == WORD_EXPIRED || is_over) {
        say(condition, false, "the approval has expired: waits for 'locksmithctl approve'");
    } else if (is_other) {
        say(condition, false,
                "version %s was approved, which is not what waits: waits for "
                "'locksmithctl approve'",
                word->version);
    } else {
        condition->next_usec = word->until_usec;
        say(condition, true, "approved%s%s", word->until_usec ? " until " : "",
                word->until_usec ? reboot_plan_time(word->until_usec).text : "");
    }
}

static void look_at_window(const RebootFacts *facts, RebootCondition *condition)
{
    const RebootWindow *window = &facts->window;
    if (window->is_always_open) {
        say(condition, true, "no reboot window is configured");
    } else if (window->is_open) {
        condition->next_usec = window->end_usec;
        say(condition, true, "the reboot window is open until %s",
                reboot_plan_time(window->end_usec).text);
    } else if (window->start_usec == 0) {
        say(condition, false, "no reboot window opens within a year");
    } else {
        condition->next_usec = window->start_usec;
        say(condition, false, "the next reboot window opens at %s",
                reboot_plan_time(window->start_usec).text);
    }
}

static void look_at_inhibitors(const RebootFacts *facts, RebootCondition *condition)
{
    const LogindFacts *logind = &facts->logind;
    if (!logind->is_known)
        say(condition, false, "logind does not answer on the bus");
    else if (logind->n_inhibitors == 0)
        say(condition, true, "nothing blocks a shutdown");
    else if (logind->n_inhibitors == 1)
        say(condition, false, "%s blocks the shutdown: %s", logind->inhibitors[0].who,
                logind->inhibitors[0].why);
    else
        say(condition, false, "%s and %zu more block the shutdown: %s", logind->inhibitors[0].who,
                logind->n_inhibitors - 1, logind->inhibitors[0].why);
}

uint64_t reboot_plan_grace_usec(const RebootFacts *facts)
{
    const RebootWindow *window = &facts->window;
    if (window->is_always_open || !window->is_open)
        return facts->grace_usec;
    uint64_t length_usec = window->end_usec - window->start_usec;
    return length_usec > facts->grace_usec ? facts->grace_usec
                                           : MIN(facts->grace_usec, length_usec / 2);
}

uint64_t reboot_plan_grace_end(const RebootFacts *facts)
{
    return facts->grace_begun_uptime_usec + reboot_plan_grace_usec(facts);
}

bool reboot_plan_grace_fits(const RebootFacts *facts)
{
    const RebootWindow *window = &facts->window;
    return window->is_always_open ||
           window->end_usec > facts->now_usec + reboot_plan_grace_usec(facts);
}

static void look_at_users(const RebootFacts *facts, RebootCondition *condition)
{
    const LogindFacts *logind = &facts->logind;
    const char *first = logind->n_sessions > 0 ? logind->sessions[0].user : "";
    const char *others = logind->n_sessions > 1 ? " and others" : "";
    if (!logind->is_known) {
        say(condition, false, "logind does not answer on the bus");
    } else if (logind->n_sessions == 0) {
        say(condition, true, "nobody is logged in");
    } else if (facts->grace_usec == 0) {
        say(condition, true, "%s%s: nobody is asked", first, others);
    } else if (reboot_plan_is_under_way(facts)) {
        say(condition, true, "%s%s: the reboot is under way", first, others);
    } else if (facts->grace == GRACE_NOT_BEGUN) {
        if (reboot_plan_grace_fits(facts)) {
            say(condition, false, "%s%s: to be warned", first, others);
            return;
        }
        condition->next_usec = facts->window.end_usec;
        say(condition, false, "%s%s: the reboot window closes before the %s that they are given",
                first, others, duration_show(facts->grace_usec).text);
    } else if (facts->uptime_usec >= reboot_plan_grace_end(facts)) {
        say(condition, true, "%s%s: had %s", first, others,
                duration_show(reboot_plan_grace_usec(facts)).text);
    } else {
        condition->next_usec = reboot_plan_realtime(facts, reboot_plan_grace_end(facts));
        say(condition, false, "%s%s: warned, until %s", first, others,
                reboot_plan_time(condition->next_usec).text);
    }
}

static void look_at_check(const RebootFacts *facts, RebootCondition *condition)
{
    if (facts->refusal[0] && facts->uptime_usec < facts->retry_uptime_usec) {
        condition->next_usec = reboot_plan_realtime(facts, facts->retry_uptime_usec);
        say(condition, false, "%s; tried again at %s", facts->refusal,
                reboot_plan_time(condition->next_usec).text);
        return;
    }
    switch (facts->check) {
    case RUN_NOT_YET:
        if (facts->is_boot_busy)
            say(condition, false, "the health check or post-boot.d of this boot still runs");
        else
            say(condition, false, "not asked yet");
        return;
    case RUN_UNDER_WAY:
        say(condition, false, CHECKING_TEXT);
        return;
    case RUN_PASSED:
        say(condition, true, "nothing speaks against the reboot");
        return;
    }
}

static void look_at_lock(const RebootFacts *facts, RebootCondition *condition)
{
    if (facts->lock_next_uptime_usec > 0)
        condition->next_usec = reboot_plan_realtime(facts, facts->lock_next_uptime_usec);
    switch (facts->need) {
    case NEED_UNDECIDED:
        say(condition, false, "not decided yet whether a lock is needed");
        return;
    case NEED_ASKING:
    case NEED_UNCLEAR:
        say(condition, false, "%s", facts->need_text);
        return;
    case NEED_NO_LOCK:
        say(condition, true, "no lock is needed: %s", facts->need_text);
        return;
    case NEED_LOCK:
        if (facts->holds == HOLDS_YES)
            say(condition, true, "this host holds the lock");
        else
            say(condition, false, "%s",
                    facts->lock_text[0] ? facts->lock_text : "the lock was not asked for yet");
        return;
    }
}

static bool is_skipped(ConditionKind kind)
{
    return kind == CONDITION_PAUSE || kind == CONDITION_UPTIME || kind == CONDITION_APPROVAL ||
           kind == CONDITION_WINDOW || kind == CONDITION_USERS;
}

void reboot_condition_at(
        const RebootFacts *facts, ConditionKind kind, RebootCondition *ret_condition)
{
    static void (*const looks[CONDITION_N])(const RebootFacts *, RebootCondition *) = {
            [CONDITION_UPDATE] = look_at_update,
            [CONDITION_PAUSE] = look_at_pause,
            [CONDITION_UPTIME] = look_at_uptime,
            [CONDITION_APPROVAL] = look_at_approval,
            [CONDITION_WINDOW] = look_at_window,
            [CONDITION_INHIBITORS] = look_at_inhibitors,
            [CONDITION_USERS] = look_at_users,
            [CONDITION_CHECK] = look_at_check,
            [CONDITION_LOCK] = look_at_lock,
    };
    *ret_condition = (RebootCondition){};
    looks[kind](facts, ret_condition);
    if (!ret_condition->holds && facts->is_reboot_now && is_skipped(kind)) {
        *ret_condition = (RebootCondition){};
        say(ret_condition, true, "skipped: a person asked for the reboot now");
    }
}
