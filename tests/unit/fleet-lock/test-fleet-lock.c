/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/fleet-lock/fleet-lock.h"

#include <string.h>

#include "common/clock.h"
#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

#define MSEC UINT64_C(1000)
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* As airlock answers, with what it says to be put in. */
#define REPLY(status, length, body)                                                             \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " length \
    "\r\n\r\n" body "\n"
#define FULL                                 \
    REPLY("500 Internal Server Error", "72", \
            "{\"kind\":\"failed_lock\",\"value\":\"all 1 semaphore slots currently locked\"}")
#define CONFLICT                             \
    REPLY("500 Internal Server Error", "74", \
            "{\"kind\":\"failed_lock\",\"value\":\"conflict on semaphore detected, aborting\"}")
#define UNKNOWN_GROUP              \
    REPLY("400 Bad Request", "61", \
            "{\"kind\":\"unknown_group\",\"value\":\"unknown group \\\"nogroup\\\"\"}")
#define NO_ETCD                                                                                  \
    REPLY("500 Internal Server Error", "103",                                                    \
            "{\"kind\":\"failed_sem_init\",\"value\":\"failed to initialize semaphore manager: " \
            "context deadline exceeded\"}")
#define CUT "HTTP/1.1 200 O"

typedef struct {
    sd_event *event;
    HttpClient *client;
    ScriptServer *server;
    LockOptions options;
    char url[128];
    const char *endpoints[1];
    LockBackend *backend;
    LockCall *call;
    unsigned n_done;
    bool frees_in_done;
    LockResult result;
    char error[512];
} World;

static uint64_t no_random(void)
{
    return 0;
}

static World *world_new(const ScriptReply *replies, uint64_t deadline_usec)
{
    static const ScriptReply nothing[] = {{.text = NULL}};
    World *world = calloc(1, sizeof(*world));
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    ck_assert_int_eq(sd_event_new(&world->event), 0);
    ck_assert_int_eq(http_client_new(world->event, "test/1", &world->client), 0);
    world->server = script_server_new(world->event, replies ? replies : nothing);
    snprintf(world->url, sizeof(world->url), "%s", script_server_url(world->server, "/base/"));
    world->endpoints[0] = world->url;
    world->options = (LockOptions){.store = LOCK_STORE_FLEET_LOCK,
            .endpoints = world->endpoints,
            .n_endpoints = 1,
            .group = "workers"};
    LockWorld of_lock = {.event = world->event,
            .random_number = no_random,
            .deadline_usec = deadline_usec ? deadline_usec : 20 * USEC_PER_SEC};
    ck_assert_int_eq(fleet_lock_new(&of_lock, world->client, &world->options, &world->backend), 0);
    return world;
}

static void world_free(World *world)
{
    lock_call_free(world->call);
    lock_backend_free(world->backend);
    http_client_free(world->client);
    script_server_free(world->server);
    sd_event_unref(world->event);
    free(world);
}
DEFINE_CLEANUP(World *, world_free);

static void on_done(LockCall *call, const LockAnswer *answer, void *userdata)
{
    World *world = userdata;
    ck_assert_ptr_eq(call, world->call);
    world->n_done++;
    world->result = answer->result;
    snprintf(world->error, sizeof(world->error), "%s", answer->error);
    ck_assert((answer->result == LOCK_DONE) == (answer->error[0] == '\0'));
    ck_assert_str_eq(answer->warning, "");
    ck_assert_ptr_null(answer->status);
    if (world->frees_in_done)
        lock_call_free(TAKE_PTR(world->call));
}

static void start(World *world, LockRequestKind kind)
{
    LockRequest request = {.kind = kind, .id = "m<1>\xc3\xa9"};
    lock_call_free(TAKE_PTR(world->call));
    world->n_done = 0;
    ck_assert_int_eq(
            world->backend->ops->call(world->backend, &request, on_done, world, &world->call), 0);
    ck_assert_uint_eq(world->n_done, 0);
}

static LockResult run(World *world, LockRequestKind kind)
{
    start(world, kind);
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    while (world->n_done == 0 && clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    ck_assert_uint_eq(world->n_done, 1);
    return world->result;
}

START_TEST(both_requests_are_as_the_protocol_has_them)
{
    ScriptReply replies[] = {{.text = OK}, {.text = OK}, {.text = OK}, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(replies, 0);
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_DONE);
    const char *request = script_server_request(world->server, 0);
    ck_assert_ptr_eq(strstr(request, "POST /base/v1/pre-reboot HTTP/1.1\r\n"), request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nfleet-lock-protocol: true\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(request,
            "\r\n\r\n{\"client_params\":{\"id\":\"m<1>\xc3\xa9\",\"group\":\"workers\"}}"));
    ck_assert_int_eq(run(world, LOCK_REQUEST_RELEASE), LOCK_DONE);
    request = script_server_request(world->server, 1);
    ck_assert_ptr_eq(strstr(request, "POST /base/v1/steady-state HTTP/1.1\r\n"), request);
    world->options.group = "";
    ck_assert_int_eq(run(world, LOCK_REQUEST_RELEASE), LOCK_DONE);
    ck_assert_ptr_nonnull(strstr(script_server_request(world->server, 2), "\"group\":\"default\""));
    ck_assert_uint_eq(script_server_n_connections(world->server), 1);
}
END_TEST

static const struct {
    const char *reply;
    LockResult result;
    const char *says;
} clear_answers[] = {
        {OK, LOCK_DONE, ""},
        {"HTTP/1.1 202 Accepted\r\nContent-Length: 21\r\n\r\nobtained reboot lease", LOCK_DONE, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nand then it breaks off", LOCK_DONE,
                ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nand then it breaks off", LOCK_DONE, ""},
        {FULL, LOCK_FULL, "all 1 semaphore slots"},
        {UNKNOWN_GROUP, LOCK_REFUSED, "nogroup"},
        {NO_ETCD, LOCK_UNREACHABLE, "cannot reach its etcd"},
        {REPLY("404 Not Found", "19", "404 page not found"), LOCK_REFUSED, "path"},
        {"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                LOCK_REFUSED, "redirects"},
        {"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", LOCK_UNREACHABLE, "too often"},
};

START_TEST(a_clear_answer_ends_the_call)
{
    ScriptReply replies[] = {
            {.text = clear_answers[_i].reply, .then = SCRIPT_CLOSE}, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(replies, 0);
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), clear_answers[_i].result);
    ck_assert_msg(strstr(world->error, clear_answers[_i].says), "%s", world->error);
    ck_assert_uint_eq(script_server_n_requests(world->server), 1);
}
END_TEST

START_TEST(conflicts_are_asked_again_at_once)
{
    ScriptReply replies[] = {{.text = CONFLICT}, {.text = CONFLICT}, {.text = OK}, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(replies, 0);
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_DONE);
    ck_assert_uint_eq(script_server_n_requests(world->server), 3);
}
END_TEST

START_TEST(endless_conflicts_come_to_an_end)
{
    ScriptReply replies[31] = {{.text = NULL}};
    for (int i = 0; i < 30; i++)
        replies[i].text = CONFLICT;
    _cleanup_(world_freep) World *world = world_new(replies, 0);
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_UNREACHABLE);
    ck_assert_uint_eq(script_server_n_requests(world->server), 11);
}
END_TEST

/* A server that takes the request and fails may have done it. */
START_TEST(a_lost_answer_is_asked_for_again)
{
    ScriptReply replies[] = {{.text = CUT, .then = SCRIPT_CLOSE}, {.text = FULL}, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(replies, 0);
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_FULL);
    ScriptReply failing[] = {
            {.text = REPLY("502 Bad Gateway", "8", "gateway")}, {.text = OK}, {.text = NULL}};
    _cleanup_(world_freep) World *other = world_new(failing, 0);
    ck_assert_int_eq(run(other, LOCK_REQUEST_RELEASE), LOCK_DONE);
    ck_assert_uint_eq(script_server_n_requests(other->server), 2);
}
END_TEST

static const struct {
    ScriptReply first, second;
} lost[] = {
        {{.text = CUT, .then = SCRIPT_CLOSE}, {.text = "", .then = SCRIPT_HANG}},
        {{.text = "", .then = SCRIPT_HANG}, {.text = NULL}},
        {{.text = CUT, .then = SCRIPT_CLOSE}, {.text = NO_ETCD}},
        {{.text = CUT, .then = SCRIPT_CLOSE}, {.text = UNKNOWN_GROUP}},
};

START_TEST(what_stays_lost_is_unknown)
{
    ScriptReply replies[] = {lost[_i].first, lost[_i].second, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(replies, 200 * MSEC);
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_UNKNOWN);
    ck_assert_msg(strstr(world->error, "not known"), "%s", world->error);
}
END_TEST

START_TEST(nobody_there_wrote_nothing)
{
    _cleanup_(world_freep) World *world = world_new(NULL, 0);
    script_server_free(TAKE_PTR(world->server));
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_UNREACHABLE);
    ck_assert_msg(strstr(world->error, "does not answer"), "%s", world->error);
}
END_TEST

START_TEST(what_fleet_lock_lacks_is_said)
{
    static const LockRequestKind kinds[] = {
            LOCK_REQUEST_STATUS, LOCK_REQUEST_GROUPS, LOCK_REQUEST_SET_MAX};
    _cleanup_(world_freep) World *world = world_new(NULL, 0);
    for (size_t i = 0; i < ELEMENTS(kinds); i++) {
        ck_assert_int_eq(run(world, kinds[i]), LOCK_NOT_OFFERED);
        ck_assert_ptr_nonnull(strstr(world->error, "no such request"));
    }
    ck_assert_uint_eq(script_server_n_requests(world->server), 0);
}
END_TEST

START_TEST(a_call_may_be_freed_where_it_ends_and_before)
{
    ScriptReply replies[] = {{.text = OK}, {.text = "", .then = SCRIPT_HANG}, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(replies, 0);
    world->frees_in_done = true;
    ck_assert_int_eq(run(world, LOCK_REQUEST_ACQUIRE), LOCK_DONE);
    ck_assert_int_eq(run(world, LOCK_REQUEST_STATUS), LOCK_NOT_OFFERED);
    start(world, LOCK_REQUEST_RELEASE);
    while (script_server_n_requests(world->server) < 2)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    lock_call_free(TAKE_PTR(world->call));
    ck_assert_uint_eq(world->n_done, 0);
}
END_TEST

static void on_change(void *userdata)
{
    (void)userdata;
}

START_TEST(a_watch_asks_nobody)
{
    _cleanup_(world_freep) World *world = world_new(NULL, 0);
    LockWatch *watch;
    ck_assert_int_eq(world->backend->ops->watch(world->backend, on_change, world, &watch), 0);
    ck_assert_int_ge(sd_event_run(world->event, 0), 0);
    lock_watch_free(watch);
    ck_assert_uint_eq(script_server_n_requests(world->server), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("fleet-lock");
    TCase *tcase = unit_case(suite, "fleet-lock");
    tcase_add_test(tcase, both_requests_are_as_the_protocol_has_them);
    tcase_add_loop_test(tcase, a_clear_answer_ends_the_call, 0, (int)ELEMENTS(clear_answers));
    tcase_add_test(tcase, conflicts_are_asked_again_at_once);
    tcase_add_test(tcase, endless_conflicts_come_to_an_end);
    tcase_add_test(tcase, a_lost_answer_is_asked_for_again);
    tcase_add_loop_test(tcase, what_stays_lost_is_unknown, 0, (int)ELEMENTS(lost));
    tcase_add_test(tcase, nobody_there_wrote_nothing);
    tcase_add_test(tcase, what_fleet_lock_lacks_is_said);
    tcase_add_test(tcase, a_call_may_be_freed_where_it_ends_and_before);
    tcase_add_test(tcase, a_watch_asks_nobody);
    return suite;
}
