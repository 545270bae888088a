/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/offer.h"

#include <string.h>

#include "tests/unit/unit.h"

#define NOW_SEC 1800000000

static const char *const urls[] = {"http://example.org/payload"};
static const OmahaPackage packages[] = {{.name = "payload", .size_bytes = 1000}};
static EngineState *state;
static OmahaResponse response;
static OfferContext context;

static void make_offer(void)
{
    ck_assert_int_eq(engine_state_new(&state), 0);
    response = (OmahaResponse){.verdict = OMAHA_UPDATE,
            .app_status = "ok",
            .check_status = "ok",
            .version = "2.0",
            .urls = urls,
            .n_urls = 1,
            .packages = packages,
            .n_packages = 1,
            .max_failures_per_url = 10};
    context = (OfferContext){.running_version = "1.0", .now_sec = NOW_SEC};
}

static void free_offer(void)
{
    engine_state_free(state);
}

static void assert_decision(OfferDecision expected, const char *words)
{
    ErrorText text = {};
    download_policy_bind(&state->policy, &response);
    ck_assert_int_eq(offer_decide(&response, state, &context, &text), expected);
    ck_assert_msg(strstr(text.line, words) != NULL, "'%s' lacks '%s'", text.line, words);
}

START_TEST(a_newer_version_is_installed)
{
    assert_decision(OFFER_INSTALL, "2.0");
    response.version = "";
    assert_decision(OFFER_INSTALL, "available");
}
END_TEST

START_TEST(a_server_may_decline)
{
    response = (OmahaResponse){
            .verdict = OMAHA_NO_UPDATE, .app_status = "ok", .check_status = "noupdate"};
    ErrorText text = {};
    ck_assert_int_eq(offer_decide(&response, state, &context, &text), OFFER_NOTHING);
    response.verdict = OMAHA_NOT_NOW;
    response.app_status = "error-maxUpdatesPerPeriodLimitReached";
    ck_assert_int_eq(offer_decide(&response, state, &context, &text), OFFER_NOT_NOW);
    ck_assert_ptr_nonnull(strstr(text.line, "maxUpdatesPerPeriod"));
}
END_TEST

START_TEST(what_runs_or_waits_is_not_installed_again)
{
    context.running_version = "2.0";
    assert_decision(OFFER_ALREADY_RUNS, "2.0");
    context.running_version = "1.0";
    state->has_pending = true;
    strcpy(state->pending.version, "2.0");
    assert_decision(OFFER_ALREADY_WAITS, "reboot");
    state->pending.is_replaced = true;
    assert_decision(OFFER_INSTALL, "2.0");
    state->pending.is_replaced = false;
    strcpy(state->pending.version, "1.5");
    assert_decision(OFFER_INSTALL, "2.0");
}
END_TEST

START_TEST(what_waits_is_not_replaced_by_what_is_older)
{
    state->has_pending = true;
    strcpy(state->pending.version, "2.1");
    assert_decision(OFFER_ALREADY_WAITS, "'flipside update'");
    context.is_explicit = true;
    assert_decision(OFFER_INSTALL, "2.0");
    context.is_explicit = false;
    context.allows_downgrade = true;
    assert_decision(OFFER_INSTALL, "2.0");
    context.allows_downgrade = false;
    state->pending.is_rollback = true; /* to what was there before, and older anyhow */
    assert_decision(OFFER_INSTALL, "2.0");
    state->pending.is_rollback = false;
    state->pending.is_replaced = true;
    assert_decision(OFFER_INSTALL, "2.0");
}
END_TEST

START_TEST(what_failed_needs_a_person)
{
    engine_state_add_failed(state, "2.0");
    assert_decision(OFFER_FAILED_BEFORE, "flipside update");
    context.is_explicit = true;
    assert_decision(OFFER_INSTALL, "2.0");
    context.is_explicit = false;
    response.version = "2.1";
    assert_decision(OFFER_INSTALL, "2.1");
}
END_TEST

START_TEST(what_is_older_needs_permission)
{
    context.running_version = "2.1";
    assert_decision(OFFER_DOWNGRADE, "--allow-downgrade");
    context.is_explicit = true;
    assert_decision(OFFER_DOWNGRADE, "ALLOW_DOWNGRADE=yes");
    context.allows_downgrade = true;
    assert_decision(OFFER_INSTALL, "2.0");
}
END_TEST

START_TEST(what_keeps_failing_is_left_alone_for_a_while)
{
    download_policy_bind(&state->policy, &response);
    download_policy_on_complete(&state->policy, &response, NOW_SEC, 0);
    assert_decision(OFFER_BACK_OFF, "minutes");
    context.is_resumed = true;
    assert_decision(OFFER_INSTALL, "2.0");
    context.is_resumed = false;
    context.is_explicit = true;
    assert_decision(OFFER_INSTALL, "2.0");
}
END_TEST

START_TEST(the_full_payload_is_looked_at_where_that_costs_little_beside_the_delta)
{
    const OmahaPackage delta = {.name = "delta", .size_bytes = 807, .delta_from = "1.0"};
    response.metadata_size_bytes = 100;
    ck_assert(offer_is_weighed(&response, &delta));
    response.metadata_size_bytes = 101;
    ck_assert(!offer_is_weighed(&response, &delta));
    response.metadata_size_bytes = 0; /* not known */
    ck_assert(!offer_is_weighed(&response, &delta));
}
END_TEST

START_TEST(only_an_answer_over_https_names_hosts)
{
    ck_assert(offer_may_name_hosts("https://updates.example.org/v1/update/"));
    ck_assert(!offer_may_name_hosts("http://updates.example.org/v1/update/"));
    ck_assert(!offer_may_name_hosts("http://https://updates.example.org/"));
    ck_assert(!offer_may_name_hosts(""));
}
END_TEST

START_TEST(the_smallest_delta_from_what_runs_is_taken)
{
    const OmahaPackage with_deltas[] = {
            {.name = "full", .size_bytes = 1000},
            {.name = "oem", .size_bytes = 1},
            {.name = "other", .size_bytes = 2, .delta_from = "0.9"},
            {.name = "large", .size_bytes = 90, .delta_from = "1.0"},
            {.name = "small", .size_bytes = 80, .delta_from = "1.0"},
    };
    response.packages = with_deltas;
    response.n_packages = ELEMENTS(with_deltas);
    ck_assert_ptr_eq(offer_delta(&response, "1.0", 0), &with_deltas[4]);
    ck_assert_ptr_eq(offer_delta(&response, "1.0", 80), &with_deltas[4]);
    ck_assert_ptr_null(offer_delta(&response, "1.0", 79));
    ck_assert_ptr_null(offer_delta(&response, "1.1", 0));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("offer");
    TCase *tcase = unit_case(suite, "offer");
    tcase_add_checked_fixture(tcase, make_offer, free_offer);
    tcase_add_test(tcase, a_newer_version_is_installed);
    tcase_add_test(tcase, a_server_may_decline);
    tcase_add_test(tcase, what_runs_or_waits_is_not_installed_again);
    tcase_add_test(tcase, what_waits_is_not_replaced_by_what_is_older);
    tcase_add_test(tcase, what_failed_needs_a_person);
    tcase_add_test(tcase, what_is_older_needs_permission);
    tcase_add_test(tcase, what_keeps_failing_is_left_alone_for_a_while);
    tcase_add_test(tcase, the_smallest_delta_from_what_runs_is_taken);
    tcase_add_test(tcase, the_full_payload_is_looked_at_where_that_costs_little_beside_the_delta);
    tcase_add_test(tcase, only_an_answer_over_https_names_hosts);
    return suite;
}
