/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/fleet-lock/fleet-answer.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define FAILED_LOCK(value) "{\"kind\":\"failed_lock\",\"value\":\"" value "\"}\n"

/* As airlock a3585ed and poseidon/fleetlock word them. */
static const struct {
    unsigned status;
    bool is_pre_reboot;
    const char *body;
    FleetVerdict verdict;
    const char *says;
} answers[] = {
        {200, true, "", FLEET_DONE, ""},
        {200, true, "obtained reboot lease", FLEET_DONE, ""},
        {204, false, "", FLEET_DONE, ""},
        {299, false, "{\"kind\":\"failed_lock\"}", FLEET_DONE, ""},
        /* airlock */
        {500, true, FAILED_LOCK("all 1 semaphore slots currently locked"), FLEET_FULL,
                "others hold the lock (it says: failed_lock: all 1 semaphore slots"},
        {500, true, FAILED_LOCK("conflict on semaphore detected, aborting"), FLEET_CONFLICT,
                "at the same time"},
        {500, true, FAILED_LOCK("context deadline exceeded"), FLEET_UNCLEAR, "look at its log"},
        {500, false,
                "{\"kind\":\"failed_sem_init\",\"value\":\"failed to initialize semaphore manager: "
                "context deadline exceeded\"}\n",
                FLEET_NOT_NOW, "cannot reach its etcd"},
        {400, true,
                "{\"kind\":\"invalid_client_identity\",\"value\":\"failed to validate client "
                "identity: empty client ID\"}\n",
                FLEET_REFUSED, "look at id and group"},
        {400, true, "{\"kind\":\"unknown_group\",\"value\":\"unknown group \\\"nogroup\\\"\"}\n",
                FLEET_REFUSED, "LOCKSMITHD_GROUP"},
        {404, true, "404 page not found\n", FLEET_REFUSED, "no FleetLock at this address"},
        /* poseidon */
        {423, true,
                "{\"kind\":\"locked\",\"value\":\"reboot lease unavailable, held by node-2\"}\n",
                FLEET_FULL, "held by node-2"},
        {423, true, "{\"kind\":\"locked\",\"value\":\"reboot lease unavailable, held by \"}\n",
                FLEET_CONFLICT, "at the same time"},
        {500, true, "{\"kind\":\"internal_error\",\"value\":\"error getting reboot lease\"}\n",
                FLEET_UNCLEAR, "internal_error"},
        {400, true, "{\"kind\":\"missing_header\",\"value\":\"missing required header\"}\n",
                FLEET_REFUSED, "fleet-lock-protocol"},
        {400, true, "{\"kind\":\"failed_decoding_request\",\"value\":\"error decoding message\"}\n",
                FLEET_REFUSED, "id and group"},
        {405, true, "{\"kind\":\"method_not_allowed\",\"value\":\"required method POST\"}\n",
                FLEET_REFUSED, "method_not_allowed"},
        /* the protocol's own example */
        {404, true, "{\"kind\":\"failed_lock_semaphore_full\",\"value\":\"full\"}", FLEET_FULL,
                "others hold"},
        /* nothing to go by but the status */
        {423, true, "", FLEET_FULL, "status 423"},
        {409, true, "<html>", FLEET_FULL, "status 409"},
        {423, false, "", FLEET_UNCLEAR, "status 423"},
        {302, true, "", FLEET_REFUSED, "redirects"},
        {401, true, "", FLEET_REFUSED, "user and password"},
        {403, true, "", FLEET_REFUSED, "forbids"},
        {408, true, "", FLEET_UNCLEAR, "failed"},
        {425, true, "", FLEET_NOT_NOW, "not ready"},
        {429, true, "", FLEET_NOT_NOW, "too often"},
        {418, true, "", FLEET_REFUSED, "refuses"},
        {500, true, "[]", FLEET_UNCLEAR, "status 500"},
        {503, true, "{\"kind\":7,\"value\":null}", FLEET_UNCLEAR, "status 503"},
        {599, false, "{\"kind\":\"new_word\"", FLEET_UNCLEAR, "status 599"},
        {101, true, "", FLEET_UNCLEAR, "status 101"},
        {0, true, "", FLEET_UNCLEAR, "status 0"},
};

START_TEST(answers_are_judged)
{
    ErrorText error = {""};
    const char *body = answers[_i].body;
    FleetVerdict verdict = fleet_answer_judge(
            answers[_i].status, answers[_i].is_pre_reboot, body, strlen(body), &error);
    ck_assert_msg(verdict == answers[_i].verdict, "%u %s: %d: %s", answers[_i].status, body,
            (int)verdict, error.line);
    ck_assert_msg(strstr(error.line, answers[_i].says), "%s: %s", body, error.line);
    ck_assert((verdict == FLEET_DONE) == (error.line[0] == '\0'));
}
END_TEST

START_TEST(hostile_words_are_cut_and_cleaned)
{
    char body[FLEET_ANSWER_MAX_BYTES + 1];
    ErrorText error = {""};
    int n = snprintf(body, sizeof(body), "{\"kind\":\"\\u001b[2J\",\"value\":\"%0*d\"}", 8000, 1);
    ck_assert_int_eq(fleet_answer_judge(500, true, body, (size_t)n, &error), FLEET_UNCLEAR);
    ck_assert_ptr_nonnull(strstr(error.line, "?[2J: 0000"));
    ck_assert_uint_lt(strlen(error.line), 400);
    memset(body, ' ', sizeof(body));
    memcpy(body, "{\"kind\":\"locked\"}", 17);
    ck_assert_int_eq(fleet_answer_judge(500, true, body, sizeof(body), &error), FLEET_UNCLEAR);
    ck_assert_ptr_null(strstr(error.line, "locked"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("fleet-answer");
    TCase *tcase = unit_case(suite, "answers");
    tcase_add_loop_test(tcase, answers_are_judged, 0, (int)ELEMENTS(answers));
    tcase_add_test(tcase, hostile_words_are_cut_and_cleaned);
    return suite;
}
