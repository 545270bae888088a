/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/etcd-session.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/lock/etcd/etcd-v3-answer.h"
#include "tests/unit/etcd/etcd-rig.h"
#include "tests/unit/unit.h"

#define MSEC UINT64_C(1000)
#define HEADER "\"header\":{\"revision\":\"2\"}"
#define GOOD etcd_rig_answer("200 OK", "{" HEADER "}", SCRIPT_KEEP)
#define NO_LEADER                                                                \
    etcd_rig_answer("503 Service Unavailable",                                   \
            "{\"error\":\"etcdserver: no leader\",\"message\":\"etcdserver: no " \
            "leader\",\"code\":14}",                                             \
            SCRIPT_KEEP)
#define TOKEN(token) etcd_rig_answer("200 OK", "{" HEADER ",\"token\":\"" token "\"}", SCRIPT_KEEP)
#define OLD_TOKEN                                                                      \
    etcd_rig_answer("401 Unauthorized",                                                \
            "{\"error\":\"etcdserver: invalid auth token\",\"message\":\"etcdserver: " \
            "invalid auth token\",\"code\":16}",                                       \
            SCRIPT_KEEP)
#define OFF etcd_rig_answer("404 Not Found", "404 page not found", SCRIPT_KEEP)
#define DENIED \
    etcd_rig_answer("403 No", "{\"code\":7,\"message\":\"permission denied\"}", SCRIPT_KEEP)

typedef struct {
    EtcdRig rig;
    EtcdSession *session;
    EtcdCall *call;
    unsigned n_done;
    StoreResult result;
    unsigned n_sends;
    char error[512];
} World;

static void world_init(
        World *world, const ScriptReply *first, const ScriptReply *second, const ScriptReply *third)
{
    *world = (World){.n_done = 0};
    etcd_rig_init(&world->rig, first, second, third);
}

static void world_open(World *world)
{
    ErrorText error = {0};
    EtcdTimes times = {.connect_usec = USEC_PER_SEC,
            .attempt_usec = 150 * MSEC,
            .call_usec = 10 * USEC_PER_SEC,
            .leader_usec = 100 * MSEC};
    int r = etcd_session_new(world->rig.event, world->rig.client, &world->rig.options, &times,
            &world->session, &error);
    ck_assert_msg(r == 0, "%s", error.line);
}

static void world_done(World *world)
{
    etcd_call_free(world->call);
    etcd_session_free(world->session);
    etcd_rig_done(&world->rig);
}

static EtcdVerdict judge(
        unsigned status, const char *body, size_t n_bytes, void *userdata, ErrorText *error)
{
    (void)userdata;
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    return etcd_v3_read_answer(status, body, n_bytes, &answer, error);
}

static void on_done(
        EtcdCall *call, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    World *world = userdata;
    ck_assert_ptr_eq(call, world->call);
    ck_assert((result == STORE_DONE) == (error[0] == '\0'));
    etcd_call_free(TAKE_PTR(world->call));
    world->n_done++;
    world->result = result;
    world->n_sends = n_sends;
    snprintf(world->error, sizeof(world->error), "%s", error);
}

static const EtcdHandlers handlers = {.judge = judge, .on_done = on_done};

static void ask(World *world, bool is_write)
{
    EtcdRequest request = {.path = "/v3/kv/txn", .body = "{}", .is_write = is_write};
    world->n_done = 0;
    ck_assert_int_eq(etcd_call_new(world->session, &request, &handlers, world, &world->call), 0);
    ck_assert_uint_eq(world->n_done, 0);
    etcd_rig_run_until(&world->rig, &world->n_done);
}

START_TEST(a_request_says_what_etcd_needs)
{
    ScriptReply replies[] = {GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    world_open(&world);
    ask(&world, false);
    ck_assert_int_eq(world.result, STORE_DONE);
    ck_assert_uint_eq(world.n_sends, 1);
    const char *request = etcd_rig_request(&world.rig, 0, 0);
    ck_assert_ptr_eq(strstr(request, "POST /v3/kv/txn HTTP/1.1\r\n"), request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nGrpc-Metadata-hasleader: true\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_null(strcasestr(request, "Authorization"));
}
END_TEST

/* What the first member does when it is asked: every class of error that another may not have. */
static const ScriptReply failures[] = {
        {.text = "", .then = SCRIPT_CLOSE}, {.text = "", .then = SCRIPT_HANG},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", .then = SCRIPT_CLOSE},
        {.text = "HTTP/1.1 200 OK\r\n\r\n<html>", .then = SCRIPT_CLOSE},
        {.text = "HTTP/1.1 200 OK\r\n\r\n{}", .then = SCRIPT_CLOSE},
        {.text = "HTTP/1.1 500 No\r\n\r\n{\"code\":2,\"message\":\"context deadline exceeded\"}",
                .then = SCRIPT_CLOSE},
        {.text = "HTTP/1.1 503 No\r\n\r\n{\"code\":14,\"message\":\"etcdserver: request timed out\"}",
                .then = SCRIPT_CLOSE},
        {.text = "HTTP/1.1 502 Bad Gateway\r\n\r\nno", .then = SCRIPT_CLOSE},
        {.text = "\x15\x03\x01", .then = SCRIPT_CLOSE}, /* a TLS alert: https there */
};

START_TEST(a_read_goes_to_the_next_member)
{
    ScriptReply bad[] = {failures[_i], {NULL}};
    ScriptReply good[] = {GOOD, GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, bad, good, NULL);
    world_open(&world);
    ask(&world, false);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 1);
    ask(&world, false); /* begins with the good one */
    ck_assert_int_eq(world.result, STORE_DONE);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 1);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 1), 2);
}
END_TEST

START_TEST(a_write_that_may_have_arrived_is_not_repeated)
{
    ScriptReply bad[] = {failures[_i], {NULL}};
    ScriptReply good[] = {GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, bad, good, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(world.error, "is not known"));
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 1), 0);
    ask(&world, false); /* and the reading again begins elsewhere */
    ck_assert_int_eq(world.result, STORE_DONE);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 1), 1);
}
END_TEST

START_TEST(a_write_that_surely_did_not_arrive_goes_on)
{
    ScriptReply no_leader[] = {NO_LEADER, {NULL}};
    ScriptReply off[] = {OFF, {NULL}};
    ScriptReply good[] = {GOOD, {NULL}};
    const ScriptReply *const bad[] = {RIG_NOBODY, no_leader, off};
    _cleanup_(world_done) World world;
    world_init(&world, bad[_i], good, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    ck_assert_uint_eq(world.n_sends, 1);
}
END_TEST

START_TEST(a_name_without_an_address_leads_on)
{
    ScriptReply good[] = {GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, RIG_NOBODY, good, NULL);
    world.rig.endpoints[0] = "http://nosuch.invalid:2379/";
    world_open(&world);
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
}
END_TEST

START_TEST(nobody_anywhere_is_unreachable)
{
    _cleanup_(world_done) World world;
    world_init(&world, RIG_NOBODY, RIG_NOBODY, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.error, "none of the 2 etcd endpoints"));
    ck_assert_uint_eq(world.n_sends, 0);
}
END_TEST

START_TEST(an_api_that_is_off_everywhere_needs_a_person)
{
    ScriptReply off[] = {OFF, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, off, off, NULL);
    world_open(&world);
    ask(&world, false);
    ck_assert_int_eq(world.result, STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(world.error, "gateway"));
}
END_TEST

START_TEST(an_api_that_is_off_somewhere_may_come_back)
{
    ScriptReply off[] = {OFF, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, off, RIG_NOBODY, NULL);
    world_open(&world);
    ask(&world, false);
    ck_assert_int_eq(world.result, STORE_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.error, "gateway"));
}
END_TEST

START_TEST(a_refusal_is_not_asked_elsewhere)
{
    ScriptReply denied[] = {DENIED, {NULL}};
    ScriptReply good[] = {GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, denied, good, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(world.error, "READWRITE"));
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 1), 0);
}
END_TEST

START_TEST(a_leader_is_waited_for)
{
    ScriptReply first[] = {NO_LEADER, GOOD, {NULL}};
    ScriptReply second[] = {NO_LEADER, GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, first, second, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
}
END_TEST

START_TEST(a_leader_is_not_waited_for_for_ever)
{
    ScriptReply replies[] = {NO_LEADER, NO_LEADER, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.error, "are enough members up?"));
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 2);
}
END_TEST

START_TEST(the_whole_call_has_an_end)
{
    ScriptReply hang[] = {failures[1], {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, hang, hang, hang);
    world_open(&world);
    EtcdRequest request = {.path = "/", .body = "{}", .limit_usec = 200 * MSEC};
    ck_assert_int_eq(etcd_call_new(world.session, &request, &handlers, &world, &world.call), 0);
    etcd_rig_run_until(&world.rig, &world.n_done);
    ck_assert_int_eq(world.result, STORE_UNREACHABLE);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 2), 0);

    world.n_done = 0;
    request.is_write = true;
    request.limit_usec = 50 * MSEC;
    ck_assert_int_eq(etcd_call_new(world.session, &request, &handlers, &world, &world.call), 0);
    etcd_rig_run_until(&world.rig, &world.n_done);
    ck_assert_int_eq(world.result, STORE_UNKNOWN);
}
END_TEST

START_TEST(a_write_that_curl_repeated_says_so)
{
    ScriptReply replies[] = {GOOD, failures[0], GOOD, {NULL}};
    ScriptReply denied[] = {GOOD, failures[0], NO_LEADER, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    world_open(&world);
    ask(&world, true);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_DONE);
    ck_assert_uint_eq(world.n_sends, 2);

    _cleanup_(world_done) World other; /* "nothing was written" is no longer sure */
    world_init(&other, denied, NULL, NULL);
    world_open(&other);
    ask(&other, true);
    ask(&other, true);
    ck_assert_int_eq(other.result, STORE_UNKNOWN);
}
END_TEST

START_TEST(a_redirect_does_not_take_the_login_along)
{
    char away[256];
    ScriptReply good[] = {GOOD, {NULL}};
    ScriptReply redirect[] = {TOKEN("secret.1"), {.text = away}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, redirect, good, NULL);
    snprintf(away, sizeof(away), "HTTP/1.1 307 There\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n",
            world.rig.urls[1]);
    world.rig.options.n_endpoints = 1;
    world.rig.options.user = "u";
    world.rig.options.password = "p";
    world_open(&world);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_REFUSED);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 1), 0);
}
END_TEST

/* users */

static void log_in_as(World *world, const char *user, const char *password)
{
    world->rig.options.user = user;
    world->rig.options.password = password;
    world_open(world);
}

START_TEST(a_token_is_fetched_once)
{
    ScriptReply replies[] = {TOKEN("secret.1"), GOOD, GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    log_in_as(&world, "node1", "nodepw");
    ask(&world, true);
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 3);
    const char *login = etcd_rig_request(&world.rig, 0, 0);
    ck_assert_ptr_eq(strstr(login, "POST /v3/auth/authenticate HTTP/1.1\r\n"), login);
    ck_assert_ptr_nonnull(strstr(login, "{\"name\":\"node1\",\"password\":\"nodepw\"}"));
    ck_assert_ptr_null(strcasestr(login, "Authorization"));
    ck_assert_ptr_nonnull(
            strstr(etcd_rig_request(&world.rig, 0, 2), "\r\nAuthorization: secret.1\r\n"));
}
END_TEST

START_TEST(an_old_token_is_renewed)
{
    ScriptReply replies[] = {TOKEN("secret.1"), OLD_TOKEN, TOKEN("secret.2"), GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    log_in_as(&world, "node1", "nodepw");
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    ck_assert_ptr_nonnull(
            strstr(etcd_rig_request(&world.rig, 0, 3), "\r\nAuthorization: secret.2\r\n"));
}
END_TEST

START_TEST(a_token_is_renewed_once_at_each_member)
{
    ScriptReply bad[] = {TOKEN("a.1"), OLD_TOKEN, TOKEN("a.2"), OLD_TOKEN, {NULL}};
    ScriptReply good[] = {OLD_TOKEN, TOKEN("b.1"), GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, bad, good, NULL);
    log_in_as(&world, "node1", "nodepw");
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 4);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 1), 3);
}
END_TEST

START_TEST(a_cluster_without_users_is_asked_without_a_token)
{
    ScriptReply replies[] = {
            etcd_rig_answer("412 No",
                    "{\"code\":9,\"message\":\"etcdserver: authentication is not enabled\"}",
                    SCRIPT_KEEP),
            GOOD, GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    log_in_as(&world, "node1", "nodepw");
    ask(&world, true);
    ask(&world, true);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    ck_assert_ptr_null(strcasestr(etcd_rig_request(&world.rig, 0, 2), "Authorization"));
}
END_TEST

START_TEST(a_wrong_password_needs_a_person)
{
    ScriptReply replies[] = {
            etcd_rig_answer("400 Bad",
                    "{\"code\":3,\"message\":\"etcdserver: authentication failed, invalid user ID "
                    "or password\"}",
                    SCRIPT_KEEP),
            {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    log_in_as(&world, "node1", "wrong");
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(world.error, "wrong user or password"));
}
END_TEST

START_TEST(a_missing_user_needs_a_person)
{
    ScriptReply replies[] = {
            etcd_rig_answer("400 Bad",
                    "{\"code\":3,\"message\":\"etcdserver: user name is empty\"}", SCRIPT_KEEP),
            {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    world_open(&world);
    ask(&world, true);
    ck_assert_int_eq(world.result, STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(world.error, "it wants a user and a password"));
}
END_TEST

START_TEST(v2_is_told_user_and_password)
{
    ScriptReply replies[] = {GOOD, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies, NULL, NULL);
    world.rig.options.store = LOCK_STORE_ETCD_V2;
    log_in_as(&world, "Aladdin", "open sesame");
    ask(&world, true);
    const char *request = etcd_rig_request(&world.rig, 0, 0);
    ck_assert_ptr_nonnull(
            strstr(request, "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    ck_assert_ptr_nonnull(
            strstr(request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    ck_assert_ptr_null(strstr(request, "hasleader"));
}
END_TEST

/* what is refused at once */

START_TEST(bad_options_are_named)
{
    const char *endpoints[] = {"127.0.0.1:2379"};
    LockOptions options = {.endpoints = endpoints, .n_endpoints = 1, .group = ""};
    EtcdSession *session = NULL;
    ErrorText error = {0};
    ck_assert_int_eq(etcd_session_new(NULL, NULL, &options, NULL, &session, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "127.0.0.1:2379"));
    endpoints[0] = "https://127.0.0.1:2379";
    options.ca_file = "/nonexistent";
    ck_assert_int_eq(etcd_session_new(NULL, NULL, &options, NULL, &session, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.line, "/nonexistent"));
    ck_assert_ptr_null(session);
}
END_TEST

START_TEST(a_call_can_be_cancelled_at_any_step)
{
    for (unsigned n_steps = 0; n_steps < 40; n_steps++) {
        ScriptReply replies[] = {
                {.text = "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}"}, {NULL}};
        World world;
        world_init(&world, replies, replies, NULL);
        world_open(&world);
        EtcdRequest request = {.path = "/", .body = "{}"};
        ck_assert_int_eq(etcd_call_new(world.session, &request, &handlers, &world, &world.call), 0);
        for (unsigned i = 0; i < n_steps; i++)
            ck_assert_int_ge(sd_event_run(world.rig.event, 0), 0);
        world_done(&world);
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-session");
    TCase *tcase = unit_case(suite, "etcd-session");
    tcase_add_test(tcase, a_request_says_what_etcd_needs);
    tcase_add_loop_test(tcase, a_read_goes_to_the_next_member, 0, ELEMENTS(failures));
    tcase_add_loop_test(
            tcase, a_write_that_may_have_arrived_is_not_repeated, 0, ELEMENTS(failures));
    tcase_add_loop_test(tcase, a_write_that_surely_did_not_arrive_goes_on, 0, 3);
    tcase_add_test(tcase, a_name_without_an_address_leads_on);
    tcase_add_test(tcase, nobody_anywhere_is_unreachable);
    tcase_add_test(tcase, an_api_that_is_off_everywhere_needs_a_person);
    tcase_add_test(tcase, an_api_that_is_off_somewhere_may_come_back);
    tcase_add_test(tcase, a_refusal_is_not_asked_elsewhere);
    tcase_add_test(tcase, a_leader_is_waited_for);
    tcase_add_test(tcase, a_leader_is_not_waited_for_for_ever);
    tcase_add_test(tcase, the_whole_call_has_an_end);
    tcase_add_test(tcase, a_write_that_curl_repeated_says_so);
    tcase_add_test(tcase, a_redirect_does_not_take_the_login_along);
    tcase_add_test(tcase, a_token_is_fetched_once);
    tcase_add_test(tcase, an_old_token_is_renewed);
    tcase_add_test(tcase, a_token_is_renewed_once_at_each_member);
    tcase_add_test(tcase, a_cluster_without_users_is_asked_without_a_token);
    tcase_add_test(tcase, a_wrong_password_needs_a_person);
    tcase_add_test(tcase, a_missing_user_needs_a_person);
    tcase_add_test(tcase, v2_is_told_user_and_password);
    tcase_add_test(tcase, bad_options_are_named);
    tcase_add_test(tcase, a_call_can_be_cancelled_at_any_step);
    return suite;
}
