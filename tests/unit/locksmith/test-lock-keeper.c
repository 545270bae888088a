/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/lock-keeper.h"

#include <string.h>

#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

/* Against a FleetLock server, whose requests are one each; with etcd it is in
 * tests/integration/test-locksmithd-lock.py. */

#define YES "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define FULL                                                           \
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 57\r\n\r\n" \
    "{\"kind\":\"failed_lock_semaphore_full\",\"value\":\"all taken\"}"
#define BAD \
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 38\r\n\r\n{\"kind\":\"unknown_group\",\"value\":\"who\"}"

typedef struct {
    sd_event *event;
    ScriptServer *server;
    LockKeeper *keeper;
    unsigned n_changes;
    int n_verified;
    bool is_held;
} Rig;

static void on_change(void *userdata)
{
    Rig *rig = userdata;
    rig->n_changes++;
}

static void set_up_cut_short(
        Rig *rig, const ScriptReply *replies, HoldState holds, bool is_cut_short)
{
    *rig = (Rig){};
    ck_assert_int_ge(sd_event_new(&rig->event), 0);
    rig->server = script_server_new(rig->event, replies);
    const char *endpoint = script_server_url(rig->server, "/");
    LockOptions lock = {.store = LOCK_STORE_FLEET_LOCK,
            .endpoints = &endpoint,
            .n_endpoints = 1,
            .group = "default"};
    LockKeeperOptions options = {.id = "m1",
            .host = "host",
            .boot_id = "b1",
            .holds = holds,
            .is_cut_short = is_cut_short};
    ErrorText error = {};
    ck_assert_msg(
            lock_keeper_new(rig->event, &lock, &options, on_change, rig, &rig->keeper, &error) == 0,
            "%s", error.line);
}

static void set_up(Rig *rig, const ScriptReply *replies, HoldState holds)
{
    set_up_cut_short(rig, replies, holds, false);
}

static void tear_down(Rig *rig)
{
    lock_keeper_free(rig->keeper);
    script_server_free(rig->server);
    sd_event_unref(rig->event);
}

static LockKeeperFacts wait_for_change(Rig *rig)
{
    unsigned n_before = rig->n_changes;
    while (rig->n_changes == n_before)
        ck_assert_int_ge(sd_event_run(rig->event, UINT64_MAX), 0);
    return lock_keeper_facts(rig->keeper);
}

START_TEST(test_taken_and_given_back)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = YES}, {.text = YES}, {}}, HOLDS_NO);
    ck_assert_uint_eq(script_server_n_connections(rig.server), 0);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "2.0.0");
    LockKeeperFacts facts = lock_keeper_facts(rig.keeper);
    /* What was asked for may be held from now on. */
    ck_assert(facts.is_busy && facts.holds == HOLDS_UNKNOWN);
    facts = wait_for_change(&rig);
    ck_assert(facts.holds == HOLDS_YES && !facts.is_busy);
    ck_assert_str_eq(facts.text, "");
    ck_assert_ptr_nonnull(strstr(script_server_request(rig.server, 0), "/v1/pre-reboot"));
    lock_keeper_want(rig.keeper, LOCK_WANT_FREE, "");
    facts = wait_for_change(&rig);
    ck_assert_int_eq(facts.holds, HOLDS_NO);
    ck_assert_ptr_nonnull(strstr(script_server_request(rig.server, 1), "/v1/steady-state"));
    tear_down(&rig);
}
END_TEST

START_TEST(test_nothing_to_give_back)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{}}, HOLDS_NO);
    lock_keeper_want(rig.keeper, LOCK_WANT_FREE, "");
    ck_assert(!lock_keeper_facts(rig.keeper).is_busy);
    tear_down(&rig);
}
END_TEST

START_TEST(test_what_may_be_held_is_given_back)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = YES}, {}}, HOLDS_UNKNOWN);
    lock_keeper_want(rig.keeper, LOCK_WANT_FREE, "");
    ck_assert_int_eq(wait_for_change(&rig).holds, HOLDS_NO);
    tear_down(&rig);
}
END_TEST

START_TEST(test_full)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = FULL}, {}}, HOLDS_NO);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "");
    LockKeeperFacts facts = wait_for_change(&rig);
    ck_assert_int_eq(facts.holds, HOLDS_NO);
    ck_assert_uint_eq(facts.n_failures, 0);
    ck_assert_str_ne(facts.text, "");
    /* Not wanted any more: nothing is to be given back. */
    lock_keeper_want(rig.keeper, LOCK_WANT_NOTHING, "");
    ck_assert_str_eq(lock_keeper_facts(rig.keeper).text, "");
    ck_assert_uint_eq(script_server_n_requests(rig.server), 1);
    tear_down(&rig);
}
END_TEST

START_TEST(test_refused)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = BAD}, {}}, HOLDS_NO);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "");
    LockKeeperFacts facts = wait_for_change(&rig);
    ck_assert_int_eq(facts.holds, HOLDS_NO);
    ck_assert_uint_eq(facts.n_failures, 1);
    ck_assert_uint_gt(facts.next_uptime_usec, 0);
    ck_assert_ptr_nonnull(strstr(facts.text, "who"));
    tear_down(&rig);
}
END_TEST

START_TEST(test_wanted_back_while_it_is_asked_for)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = YES}, {.text = YES}, {}}, HOLDS_NO);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "");
    lock_keeper_want(rig.keeper, LOCK_WANT_FREE, "");
    /* The request that is under way ends first. */
    while (lock_keeper_facts(rig.keeper).holds != HOLDS_NO)
        (void)wait_for_change(&rig);
    ck_assert_ptr_nonnull(strstr(script_server_request(rig.server, 0), "/v1/pre-reboot"));
    ck_assert_ptr_nonnull(strstr(script_server_request(rig.server, 1), "/v1/steady-state"));
    tear_down(&rig);
}
END_TEST

static void on_verified(bool is_held, void *userdata)
{
    Rig *rig = userdata;
    rig->n_verified++;
    rig->is_held = is_held;
}

static void verify(const char *reply, bool is_held)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = YES}, {.text = reply}, {}}, HOLDS_NO);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "");
    (void)wait_for_change(&rig);
    lock_keeper_verify(rig.keeper, on_verified, &rig);
    ck_assert_int_eq(rig.n_verified, 0);
    (void)wait_for_change(&rig);
    ck_assert_int_eq(rig.n_verified, 1);
    ck_assert(rig.is_held == is_held);
    tear_down(&rig);
}

START_TEST(test_verify)
{
    verify(YES, true);
    verify(FULL, false);
    verify(BAD, false);
}
END_TEST

/* A check that is not waited for any more must not be begun over and over. */
START_TEST(test_verify_no_more)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = YES}, {.text = YES}, {.text = YES}, {.text = YES}, {}},
            HOLDS_NO);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "");
    (void)wait_for_change(&rig);
    lock_keeper_verify(rig.keeper, on_verified, &rig);
    lock_keeper_verify(rig.keeper, NULL, NULL);
    (void)wait_for_change(&rig);
    ck_assert(!lock_keeper_facts(rig.keeper).is_busy);
    lock_keeper_verify(rig.keeper, NULL, NULL);
    ck_assert(!lock_keeper_facts(rig.keeper).is_busy);
    ck_assert_int_eq(rig.n_verified, 0);
    ck_assert_uint_eq(script_server_n_requests(rig.server), 2);
    tear_down(&rig);
}
END_TEST

/* FleetLock does not tell whether there was something to give back, and a request that was lost may
 * still be on its way. */
START_TEST(test_given_back_twice_after_a_lost_request)
{
    Rig rig;
    set_up_cut_short(&rig, (ScriptReply[]){{.text = YES}, {}}, HOLDS_UNKNOWN, true);
    lock_keeper_want(rig.keeper, LOCK_WANT_FREE, "");
    LockKeeperFacts facts = wait_for_change(&rig);
    ck_assert_int_eq(facts.holds, HOLDS_UNKNOWN);
    ck_assert_uint_gt(facts.next_uptime_usec, 0);
    tear_down(&rig);
}
END_TEST

/* A request that wrote nothing says nothing of what was written before it. */
START_TEST(test_what_may_be_held_stays_so_when_nobody_answers)
{
    Rig rig;
    set_up(&rig, (ScriptReply[]){{.text = BAD}, {}}, HOLDS_UNKNOWN);
    lock_keeper_want(rig.keeper, LOCK_WANT_HELD, "");
    LockKeeperFacts facts = wait_for_change(&rig);
    ck_assert_uint_eq(facts.n_failures, 1);
    ck_assert_int_eq(facts.holds, HOLDS_UNKNOWN);
    tear_down(&rig);
}
END_TEST

START_TEST(test_options_that_will_not_do)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    ck_assert_int_ge(sd_event_new(&event), 0);
    const char *endpoint = "127.0.0.1:2379";
    LockOptions lock = {
            .store = LOCK_STORE_ETCD_V3, .endpoints = &endpoint, .n_endpoints = 1, .group = ""};
    LockKeeperOptions options = {.id = "m1", .host = "", .boot_id = ""};
    LockKeeper *keeper = NULL;
    ErrorText error = {};
    ck_assert_int_eq(
            lock_keeper_new(event, &lock, &options, on_change, NULL, &keeper, &error), -EINVAL);
    ck_assert_str_ne(error.line, "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("lock-keeper");
    TCase *keeper = unit_case(suite, "keeper");
    tcase_add_test(keeper, test_taken_and_given_back);
    tcase_add_test(keeper, test_nothing_to_give_back);
    tcase_add_test(keeper, test_what_may_be_held_is_given_back);
    tcase_add_test(keeper, test_full);
    tcase_add_test(keeper, test_refused);
    tcase_add_test(keeper, test_wanted_back_while_it_is_asked_for);
    tcase_add_test(keeper, test_verify);
    tcase_add_test(keeper, test_verify_no_more);
    tcase_add_test(keeper, test_given_back_twice_after_a_lost_request);
    tcase_add_test(keeper, test_what_may_be_held_stays_so_when_nobody_answers);
    tcase_add_test(keeper, test_options_that_will_not_do);
    return suite;
}
