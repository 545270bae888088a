/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/plan/reboot-plan.h"

#include <string.h>

#include "locksmith/locksmith-bus.h"
#include "tests/unit/locksmith/plan-facts.h"
#include "tests/unit/unit.h"

typedef struct {
    const char *what;
    Change changes[6];
    PlanStep step;
    RebootState state;
} Row;

/* hooks are RUN_PASSED in ready(): something is under way. fresh rows begin with
 * have_no_hooks_run. */
static const Row rows[] = {
        {"all is well", {}, PLAN_REBOOT, REBOOT_REBOOTING},
        /* What is waited for, with nothing to take back. */
        {"off", {have_no_hooks_run, be_off}, PLAN_REST, REBOOT_OFF},
        {"off and now", {have_no_hooks_run, be_off, want_it_now}, PLAN_REST, REBOOT_OFF},
        {"not known", {have_no_hooks_run, know_no_trigger}, PLAN_REST, REBOOT_IDLE},
        {"nothing waits", {have_no_hooks_run, have_no_trigger}, PLAN_REST, REBOOT_IDLE},
        {"nothing, now", {have_no_hooks_run, have_no_trigger, want_it_now}, PLAN_REST, REBOOT_IDLE},
        {"paused", {have_no_hooks_run, be_paused}, PLAN_REST, REBOOT_PAUSED},
        {"pause is over", {have_no_hooks_run, have_paused_before}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"bad pause", {have_no_hooks_run, have_bad_pause}, PLAN_REST, REBOOT_PAUSED},
        {"young", {have_no_hooks_run, be_young}, PLAN_REST, REBOOT_UPTIME},
        {"not approved", {have_no_hooks_run, need_approval}, PLAN_REST, REBOOT_APPROVAL},
        {"approved", {have_no_hooks_run, be_approved}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"expired", {have_no_hooks_run, be_approved_before}, PLAN_REST, REBOOT_APPROVAL},
        {"this version", {have_no_hooks_run, be_approved_for_this}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"another one", {have_no_hooks_run, be_approved_for_another}, PLAN_REST, REBOOT_APPROVAL},
        {"bad approval", {have_no_hooks_run, have_bad_approval}, PLAN_REST, REBOOT_APPROVAL},
        {"outside", {have_no_hooks_run, be_outside}, PLAN_REST, REBOOT_WINDOW},
        {"no window", {have_no_hooks_run, have_no_window}, PLAN_REST, REBOOT_WINDOW},
        {"inside", {have_no_hooks_run, be_inside}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"inhibited", {have_no_hooks_run, be_inhibited}, PLAN_REST, REBOOT_INHIBITOR},
        {"no logind", {have_no_hooks_run, lose_logind}, PLAN_REST, REBOOT_INHIBITOR},
        {"refused", {have_no_hooks_run, have_been_refused}, PLAN_REST, REBOOT_CHECK},
        {"refused before", {have_no_hooks_run, have_been_refused_before, have_no_check}, PLAN_CHECK,
                REBOOT_CHECK},
        /* The order of conditions. */
        {"paused, young", {have_no_hooks_run, be_young, be_paused}, PLAN_REST, REBOOT_PAUSED},
        {"young, not approved", {have_no_hooks_run, need_approval, be_young}, PLAN_REST,
                REBOOT_UPTIME},
        {"not approved, outside", {have_no_hooks_run, be_outside, need_approval}, PLAN_REST,
                REBOOT_APPROVAL},
        {"outside, inhibited", {have_no_hooks_run, be_inhibited, be_outside}, PLAN_REST,
                REBOOT_WINDOW},
        {"inhibited, users", {have_no_hooks_run, have_users, be_inhibited}, PLAN_REST,
                REBOOT_INHIBITOR},
        {"refused, users", {have_no_hooks_run, have_users, have_been_refused}, PLAN_REST,
                REBOOT_CHECK},
        {"users, no check", {have_no_hooks_run, have_no_check, have_users}, PLAN_WARN_START,
                REBOOT_USERS},
        /* Users. */
        {"users come", {have_no_hooks_run, have_users}, PLAN_WARN_START, REBOOT_USERS},
        {"window at its end", {have_no_hooks_run, have_users, be_inside_at_the_end}, PLAN_REST,
                REBOOT_USERS},
        {"short window", {have_no_hooks_run, have_users, be_inside_a_short_one}, PLAN_WARN_START,
                REBOOT_USERS},
        {"they are warned", {have_no_hooks_run, have_users, begin_grace}, PLAN_REST, REBOOT_USERS},
        {"they have left", {have_no_hooks_run, begin_grace}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"last minute", {have_no_hooks_run, have_users, come_to_the_last_minute}, PLAN_WARN_END,
                REBOOT_USERS},
        {"warned twice", {have_no_hooks_run, have_users, have_warned_twice}, PLAN_REST,
                REBOOT_USERS},
        {"time is over", {have_no_hooks_run, have_users, end_grace}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"nobody is asked", {have_no_hooks_run, have_users, ask_nobody}, PLAN_RUN_HOOKS,
                REBOOT_HOOKS},
        {"users come late", {have_users}, PLAN_REBOOT, REBOOT_REBOOTING},
        {"users come with the lock", {have_no_hooks_run, hold, have_users}, PLAN_RUN_HOOKS,
                REBOOT_HOOKS},
        /* Check, lock, hooks. */
        {"no check yet", {have_no_check}, PLAN_CHECK, REBOOT_CHECK},
        {"checking", {be_checking}, PLAN_REST, REBOOT_CHECK},
        {"boot is busy", {have_no_hooks_run, be_busy_with_the_boot}, PLAN_REST, REBOOT_CHECK},
        {"undecided", {have_no_hooks_run, be_undecided}, PLAN_DECIDE, REBOOT_LOCK},
        {"undecided, no check", {have_no_hooks_run, have_no_check, be_undecided}, PLAN_CHECK,
                REBOOT_CHECK},
        {"deciding", {have_no_hooks_run, be_asking_what_is_needed}, PLAN_REST, REBOOT_LOCK},
        {"not clear", {have_no_hooks_run, get_no_clear_answer}, PLAN_REST, REBOOT_LOCK},
        {"lock needed", {have_no_hooks_run, need_lock}, PLAN_ACQUIRE, REBOOT_LOCK},
        {"lock perhaps held", {have_no_hooks_run, perhaps_hold}, PLAN_ACQUIRE, REBOOT_LOCK},
        {"lock held", {have_no_hooks_run, hold}, PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"lock held, look again", {have_no_hooks_run, hold, have_no_check}, PLAN_CHECK,
                REBOOT_CHECK},
        {"hooks run", {hold, have_no_check, run_hooks}, PLAN_REST, REBOOT_HOOKS},
        {"hooks done, look again", {hold, have_no_check}, PLAN_CHECK, REBOOT_CHECK},
        {"hooks done, looked again", {hold}, PLAN_REBOOT, REBOOT_REBOOTING},
        {"no hooks wanted", {have_no_hooks_run, hold, skip_hooks}, PLAN_REBOOT, REBOOT_REBOOTING},
        /* A person's now. */
        {"now, past", {have_no_hooks_run, want_it_now, be_paused, be_young, be_outside, have_users},
                PLAN_RUN_HOOKS, REBOOT_HOOKS},
        {"now, not approved", {have_no_hooks_run, want_it_now, need_approval}, PLAN_RUN_HOOKS,
                REBOOT_HOOKS},
        {"now, inhibited", {have_no_hooks_run, want_it_now, be_inhibited}, PLAN_REST,
                REBOOT_INHIBITOR},
        {"now, lock", {have_no_hooks_run, want_it_now, need_lock}, PLAN_ACQUIRE, REBOOT_LOCK},
        /* The lock is held or pre-reboot.d has run, and a condition does not hold any more. */
        {"held, off", {have_no_hooks_run, hold, be_off}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, withdrawn", {have_no_hooks_run, hold, have_no_trigger}, PLAN_BACK_OUT,
                REBOOT_BACKING_OUT},
        {"perhaps held, withdrawn", {have_no_hooks_run, perhaps_hold, have_no_trigger},
                PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"hooks ran, withdrawn", {have_no_trigger}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"hooks run, withdrawn", {run_hooks, have_no_trigger}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, paused", {hold, be_paused}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, not approved", {hold, be_approved_before}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, another version", {hold, be_approved_for_another}, PLAN_BACK_OUT,
                REBOOT_BACKING_OUT},
        {"held, outside", {hold, be_outside}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, inhibited", {hold, be_inhibited}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, engine away", {hold, know_no_trigger}, PLAN_REST, REBOOT_CHECK},
        {"held, engine lost", {hold, lose_trigger_for_long}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, logind away", {hold, lose_logind}, PLAN_REST, REBOOT_CHECK},
        {"held, logind lost", {hold, lose_logind_for_long}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"held, refused", {hold, have_been_refused}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
        {"going back", {hold, go_back}, PLAN_REST, REBOOT_BACKING_OUT},
        {"going back, all is well again", {go_back}, PLAN_REST, REBOOT_BACKING_OUT},
        /* logind. */
        {"asked", {hold, ask_logind}, PLAN_REST, REBOOT_REBOOTING},
        {"asked, withdrawn", {hold, ask_logind, have_no_trigger}, PLAN_REST, REBOOT_REBOOTING},
        {"shutting down", {hold, be_shutting_down, be_paused}, PLAN_REST, REBOOT_REBOOTING},
        {"does not go down", {hold, still_be_there}, PLAN_BACK_OUT, REBOOT_BACKING_OUT},
};

START_TEST(test_table)
{
    const Row *row = &rows[_i];
    RebootFacts facts = ready();
    for (size_t i = 0; i < ELEMENTS(row->changes) && row->changes[i]; i++)
        row->changes[i](&facts);
    RebootPlan plan;
    reboot_plan_make(&facts, &plan);
    ck_assert_msg(plan.step == row->step && plan.state == row->state,
            "%s: step %d instead of %d, state %s instead of %s, %s", row->what, plan.step,
            row->step, reboot_state_name(plan.state), reboot_state_name(row->state), plan.text);
    ck_assert(plan.text[0] != '\0');
    /* Waiting ends by something that happens, or there is a time. */
    ck_assert(plan.look_usec == 0 || plan.look_usec > NOW);
    ck_assert(plan.step != PLAN_BACK_OUT || !plan.starts_over);
}
END_TEST

static RebootPlan plan_of(const Change *changes, size_t n_changes)
{
    RebootFacts facts = ready();
    for (size_t i = 0; i < n_changes; i++)
        changes[i](&facts);
    RebootPlan plan;
    reboot_plan_make(&facts, &plan);
    return plan;
}

#define PLAN(...) \
    plan_of((const Change[]){__VA_ARGS__}, sizeof((const Change[]){__VA_ARGS__}) / sizeof(Change))

START_TEST(test_times)
{
    RebootPlan plan = PLAN(have_no_hooks_run, be_paused);
    ck_assert_uint_eq(plan.next_usec, NOW + USEC_PER_HOUR);
    ck_assert_uint_eq(plan.look_usec, NOW + USEC_PER_HOUR);
    plan = PLAN(have_no_hooks_run, be_young);
    ck_assert_uint_eq(plan.next_usec, NOW + USEC_PER_MINUTE);
    plan = PLAN(have_no_hooks_run, be_outside);
    ck_assert_uint_eq(plan.next_usec, NOW + USEC_PER_HOUR);
    plan = PLAN(have_no_hooks_run, have_no_trigger);
    ck_assert_uint_eq(plan.look_usec, 0);
    /* The second warning comes a minute before the end. */
    plan = PLAN(have_no_hooks_run, have_users, begin_grace);
    ck_assert_uint_eq(plan.next_usec, NOW + GRACE - USEC_PER_MINUTE);
    ck_assert_uint_eq(plan.look_usec, NOW + GRACE - 2 * USEC_PER_MINUTE);
    plan = PLAN(have_no_hooks_run, have_users, have_warned_twice);
    ck_assert_uint_eq(plan.look_usec, NOW + USEC_PER_MINUTE);
    /* Waiting for the lock: the window's end is looked at, the lock is the keeper's. */
    plan = PLAN(have_no_hooks_run, need_lock, be_inside);
    ck_assert_uint_eq(plan.look_usec, NOW + USEC_PER_HOUR);
    ck_assert_uint_eq(plan.next_usec, 0);
    /* An approval that ends while the window is closed. */
    plan = PLAN(have_no_hooks_run, be_approved, be_outside);
    ck_assert_uint_eq(plan.look_usec, NOW + USEC_PER_HOUR);
    plan = PLAN(hold, be_shutting_down);
    ck_assert_uint_eq(plan.look_usec, NOW + USEC_PER_MINUTE);
    plan = PLAN(hold, know_no_trigger);
    ck_assert_uint_eq(plan.look_usec, NOW + 2 * USEC_PER_MINUTE - USEC_PER_SEC);
    plan = PLAN(have_no_hooks_run, have_been_refused);
    ck_assert_uint_eq(plan.next_usec, NOW + USEC_PER_MINUTE);
}
END_TEST

START_TEST(test_what_is_lost)
{
    ck_assert(PLAN(have_no_hooks_run, be_outside).starts_over);
    ck_assert(PLAN(have_no_hooks_run, be_inhibited).starts_over);
    ck_assert(PLAN(have_no_hooks_run, be_off).starts_over);
    ck_assert(PLAN(have_no_hooks_run, have_been_refused).starts_over);
    ck_assert(!PLAN(have_no_hooks_run, have_users, begin_grace).starts_over);
    ck_assert(!PLAN(have_no_hooks_run, need_lock).starts_over);
    ck_assert(!PLAN(hold, know_no_trigger).starts_over);
}
END_TEST

START_TEST(test_grace)
{
    RebootFacts facts = ready();
    ck_assert_uint_eq(reboot_plan_grace_usec(&facts), GRACE);
    be_inside(&facts);
    ck_assert_uint_eq(reboot_plan_grace_usec(&facts), GRACE);
    be_inside_a_short_one(&facts);
    ck_assert_uint_eq(reboot_plan_grace_usec(&facts), 2 * USEC_PER_MINUTE);
    be_outside(&facts);
    ck_assert_uint_eq(reboot_plan_grace_usec(&facts), GRACE);
}
END_TEST

START_TEST(test_conditions)
{
    RebootPlan plan = PLAN(have_no_hooks_run, be_outside, have_users, need_lock);
    static const bool holds[CONDITION_N] = {
            [CONDITION_UPDATE] = true,
            [CONDITION_PAUSE] = true,
            [CONDITION_UPTIME] = true,
            [CONDITION_APPROVAL] = true,
            [CONDITION_INHIBITORS] = true,
            [CONDITION_CHECK] = true,
    };
    for (ConditionKind kind = 0; kind < CONDITION_N; kind++) {
        ck_assert_msg(plan.conditions[kind].holds == holds[kind], "%s: %s",
                reboot_condition_name(kind), plan.conditions[kind].text);
        ck_assert(plan.conditions[kind].text[0] != '\0');
    }
    ck_assert_str_eq(reboot_condition_name(CONDITION_UPDATE), "update");
    ck_assert_str_eq(reboot_condition_name(CONDITION_LOCK), "lock");
}
END_TEST

START_TEST(test_texts)
{
    ck_assert_ptr_nonnull(strstr(PLAN(have_no_hooks_run, be_paused).text, "disk is replaced"));
    ck_assert_ptr_nonnull(strstr(PLAN(have_no_hooks_run, be_inhibited).text, "apt"));
    ck_assert_ptr_nonnull(strstr(PLAN(have_no_hooks_run, have_users).text, "alice"));
    ck_assert_ptr_nonnull(strstr(PLAN(have_no_hooks_run, have_been_refused).text, "10-ceph"));
    ck_assert_ptr_nonnull(strstr(PLAN(hold, be_paused).text, "paused"));
    ck_assert_ptr_nonnull(strstr(PLAN(hold, go_back).text, "window closed"));
    RebootFacts facts = ready();
    facts.hooks = RUN_NOT_YET;
    facts.need = NEED_LOCK;
    facts.lock_text = "held by \x1b[2J\xff";
    RebootPlan plan;
    reboot_plan_make(&facts, &plan);
    ck_assert_str_eq(plan.text, "held by ?[2J?");
}
END_TEST

START_TEST(test_names)
{
    ck_assert_str_eq(reboot_state_name(REBOOT_OFF), LOCKSMITH_STATE_OFF);
    ck_assert_str_eq(reboot_state_name(REBOOT_BACKING_OUT), LOCKSMITH_STATE_BACKING_OUT);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("reboot-plan");
    TCase *plan = unit_case(suite, "plan");
    tcase_add_loop_test(plan, test_table, 0, ELEMENTS(rows));
    tcase_add_test(plan, test_times);
    tcase_add_test(plan, test_what_is_lost);
    tcase_add_test(plan, test_grace);
    tcase_add_test(plan, test_conditions);
    tcase_add_test(plan, test_texts);
    tcase_add_test(plan, test_names);
    return suite;
}
