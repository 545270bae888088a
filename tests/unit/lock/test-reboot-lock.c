/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/reboot-lock.h"

#include <string.h>

#include "common/clock.h"
#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

/* A lock on a scripted server, and the answer of its last call. */
typedef struct {
    sd_event *event;
    ScriptServer *server;
    char url[64];
    RebootLock *lock;
    LockCall *call;
    unsigned n_done;
    LockResult result;
} World;

static World *world_new(LockStoreKind store, const char *group, const ScriptReply *replies)
{
    World *world = calloc(1, sizeof(*world));
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    ck_assert_int_eq(sd_event_new(&world->event), 0);
    world->server = script_server_new(world->event, replies);
    snprintf(world->url, sizeof(world->url), "%s", script_server_url(world->server, ""));
    char *endpoint = strdup(world->url);
    char *own_group = strdup(group);
    const char *endpoints[] = {endpoint};
    ErrorText error = {""};
    LockOptions options = {
            .store = store, .endpoints = endpoints, .n_endpoints = 1, .group = own_group};
    ck_assert_msg(
            reboot_lock_new(world->event, &options, &world->lock, &error) == 0, "%s", error.line);
    memset(endpoint, 'x', strlen(endpoint)); /* borrowed for the call alone */
    memset(own_group, 'x', strlen(own_group));
    free(endpoint);
    free(own_group);
    return world;
}

static void world_free(World *world)
{
    lock_call_free(world->call);
    reboot_lock_free(world->lock);
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
}

static void run(World *world)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    while (world->n_done == 0 && clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    ck_assert_uint_eq(world->n_done, 1);
}

#define NODE(key, index, value)                                                            \
    "\"node\":{\"key\":\"/coreos.com/updateengine/rebootlock/" key "\",\"value\":\"" value \
    "\",\"modifiedIndex\":" index ",\"createdIndex\":14}"
#define GROUP_KEY "groups/a%2Fb/semaphore"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

/* The answers that etcd 3.4 gave Go locksmithctl, and then its request. */
START_TEST(etcd_v2_gets_the_request_that_go_locksmith_makes)
{
    ScriptReply replies[] = {
            {.text = HEAD "{\"action\":\"get\"," NODE(GROUP_KEY, "14",
                     "{\\\"semaphore\\\":1,\\\"max\\\":1,\\\"holders\\\":null}") "}",
                    .then = SCRIPT_CLOSE},
            {.text = "HTTP/1.1 404 Not Found\r\nContent-Length: 44\r\n\r\n"
                     "{\"errorCode\":100,\"message\":\"Key not found\"}\n"},
            {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(LOCK_STORE_ETCD_V2, "a/b", replies);
    ck_assert_int_eq(
            lock_call_new(world->lock, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = "m1"},
                    on_done, world, &world->call),
            0);
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    const char *put = NULL;
    while (!put && clock_now_usec(CLOCK_MONOTONIC) < end_usec) {
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
        unsigned n = script_server_n_requests(world->server);
        put = n > 0 ? strstr(script_server_request(world->server, n - 1), "PUT ") : NULL;
    }
    ck_assert_ptr_nonnull(put);
    ck_assert_ptr_nonnull(strstr(put, "PUT /v2/keys/coreos.com/updateengine/rebootlock/groups/"
                                      "a%252Fb/semaphore?prevIndex=14 HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(put, "\r\n\r\nvalue=%7B%22semaphore%22%3A0%2C%22max%22%3A1%2C"
                                      "%22holders%22%3A%5B%22m1%22%5D%7D"));
}
END_TEST

START_TEST(etcd_v3_is_asked_where_v3_is_configured)
{
    ScriptReply replies[] = {{.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(LOCK_STORE_ETCD_V3, "", replies);
    ck_assert_int_eq(lock_call_new(world->lock, &(LockRequest){.kind = LOCK_REQUEST_STATUS},
                             on_done, world, &world->call),
            0);
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    while (script_server_n_requests(world->server) == 0 &&
            clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    ck_assert_ptr_nonnull(strstr(script_server_request(world->server, 0), "POST /v3/kv/"));
    ck_assert_uint_eq(world->n_done, 0);
}
END_TEST

START_TEST(fleet_lock_is_asked)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(LOCK_STORE_FLEET_LOCK, "", replies);
    ck_assert_int_eq(
            lock_call_new(world->lock, &(LockRequest){.kind = LOCK_REQUEST_RELEASE, .id = "m1"},
                    on_done, world, &world->call),
            0);
    run(world);
    ck_assert_int_eq(world->result, LOCK_DONE);
    ck_assert_ptr_nonnull(strstr(script_server_request(world->server, 0),
            "{\"client_params\":{\"id\":\"m1\",\"group\":\"default\"}}"));
}
END_TEST

START_TEST(what_will_not_do_is_refused_before_it_begins)
{
    ScriptReply replies[] = {{.text = NULL}};
    _cleanup_(world_freep) World *world = world_new(LOCK_STORE_FLEET_LOCK, "", replies);
    RebootLock *lock = world->lock;
    ck_assert_int_eq(lock_call_new(lock, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = ""},
                             on_done, world, &world->call),
            -EINVAL);
    ck_assert_int_eq(lock_call_new(lock, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = "a\n"},
                             on_done, world, &world->call),
            -EINVAL);
    ck_assert_int_eq(lock_call_new(lock, &(LockRequest){.kind = LOCK_REQUEST_RELEASE, .id = ""},
                             on_done, world, &world->call),
            -EINVAL);
    ck_assert_int_eq(lock_call_new(lock, &(LockRequest){.kind = LOCK_REQUEST_RELEASE, .id = "\xff"},
                             on_done, world, &world->call),
            -EINVAL);
    ck_assert_int_eq(lock_call_new(lock, &(LockRequest){.kind = LOCK_REQUEST_SET_MAX, .max = -1},
                             on_done, world, &world->call),
            -EINVAL);
    ck_assert_ptr_null(world->call);
}
END_TEST

START_TEST(bad_options_and_files_are_named_at_the_start)
{
    const char *const endpoints[] = {"https://127.0.0.1:1"};
    LockOptions options = {.endpoints = endpoints, .n_endpoints = 1, .group = ".."};
    sd_event *event;
    RebootLock *lock = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(sd_event_new(&event), 0);
    ck_assert_int_eq(reboot_lock_new(event, &options, &lock, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "group"));
    options.group = "";
    options.ca_file = "/nonexistent/ca.pem";
    ck_assert_int_eq(reboot_lock_new(event, &options, &lock, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.line, "/nonexistent/ca.pem"));
    ck_assert_ptr_null(lock);
    options.ca_file = NULL;
    ck_assert_int_eq(reboot_lock_new(event, &options, &lock, &error), 0);
    reboot_lock_free(lock);
    sd_event_unref(event);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("reboot-lock");
    TCase *tcase = unit_case(suite, "reboot-lock");
    tcase_add_test(tcase, etcd_v2_gets_the_request_that_go_locksmith_makes);
    tcase_add_test(tcase, etcd_v3_is_asked_where_v3_is_configured);
    tcase_add_test(tcase, fleet_lock_is_asked);
    tcase_add_test(tcase, what_will_not_do_is_refused_before_it_begins);
    tcase_add_test(tcase, bad_options_and_files_are_named_at_the_start);
    return suite;
}
