/* SPDX-License-Identifier: Apache-2.0 */

/* What services with state need of the HTTP client: other methods, no redirects, answers that go
 * on for ever, and to know whether a request may have reached its server. */

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-client.h"
#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

typedef struct {
    sd_event *event;
    HttpClient *client;
    ScriptServer *server;
    HttpRequest *request;
    unsigned n_pieces;
    unsigned n_done;
    char body[256];
    HttpResult result;
    HttpHead head;
} World;

static void world_init(World *world, const ScriptReply *replies)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    *world = (World){0};
    ck_assert_int_eq(sd_event_new(&world->event), 0);
    ck_assert_int_eq(http_client_new(world->event, "test/1", &world->client), 0);
    world->server = script_server_new(world->event, replies);
}

static void world_done(World *world)
{
    http_request_free(world->request);
    http_client_free(world->client);
    script_server_free(world->server);
    sd_event_unref(world->event);
}

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    World *world = userdata;
    world->n_pieces++;
    size_t n_before = strlen(world->body);
    ck_assert_uint_lt(n_before + n_bytes, sizeof(world->body));
    memcpy(world->body + n_before, data, n_bytes);
    return HTTP_GO_ON;
}

static void on_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)request;
    (void)error;
    World *world = userdata;
    world->n_done++;
    world->result = result;
    world->head = *head;
}

static void run_until(World *world, const unsigned *condition)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    while (*condition == 0 && clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    ck_assert_uint_ne(*condition, 0);
}

static void start(World *world, HttpRequestOptions options)
{
    static const HttpHandlers handlers = {.on_data = on_data, .on_done = on_done};
    options.url = script_server_url(world->server, "/");
    options.limits.total_timeout_usec = 20 * USEC_PER_SEC;
    http_request_free(world->request);
    world->n_done = 0;
    world->body[0] = '\0';
    ck_assert_int_eq(
            http_request_new(world->client, &options, &handlers, world, &world->request), 0);
    ck_assert_uint_eq(http_request_n_sends(world->request), 0);
}

static void fetch(World *world, HttpRequestOptions options)
{
    start(world, options);
    run_until(world, &world->n_done);
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define PUT                                                             \
    {                                                                   \
        .method = "PUT", .post_body = "value=1", .n_post_body_bytes = 7 \
    }

START_TEST(a_method_can_be_chosen)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    fetch(&world, (HttpRequestOptions)PUT);
    ck_assert_int_eq(world.result, HTTP_DONE);
    fetch(&world, (HttpRequestOptions){.method = "DELETE"});
    ck_assert_int_eq(world.result, HTTP_DONE);
    ck_assert_str_eq(world.body, "hello");
    const char *put = script_server_request(world.server, 0);
    ck_assert_ptr_eq(strstr(put, "PUT / HTTP/1.1\r\n"), put);
    ck_assert_ptr_nonnull(strstr(put, "\r\nContent-Length: 7\r\n"));
    ck_assert_ptr_nonnull(strstr(put, "\r\n\r\nvalue=1"));
    const char *delete = script_server_request(world.server, 1);
    ck_assert_ptr_eq(strstr(delete, "DELETE / HTTP/1.1\r\n"), delete);
}
END_TEST

START_TEST(a_method_outlives_a_redirect_but_no_303)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 307 At\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"},
            {.text = "HTTP/1.1 303 There\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    fetch(&world, (HttpRequestOptions)PUT);
    ck_assert_int_eq(world.result, HTTP_DONE);
    const char *second = script_server_request(world.server, 1);
    ck_assert_ptr_eq(strstr(second, "PUT /a HTTP/1.1\r\n"), second);
    const char *third = script_server_request(world.server, 2);
    ck_assert_ptr_eq(strstr(third, "GET /b HTTP/1.1\r\n"), third);
    ck_assert_uint_eq(http_request_n_sends(world.request), 3);
}
END_TEST

START_TEST(redirects_can_be_left_alone)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 307 There\r\nLocation: /a\r\nContent-Length: 4\r\n\r\ngone"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    const char *headers[] = {"Authorization: secret", NULL};
    fetch(&world,
            (HttpRequestOptions){.limits.max_redirects = HTTP_NO_REDIRECTS, .headers = headers});
    ck_assert_int_eq(world.result, HTTP_DONE);
    ck_assert_uint_eq(world.head.status, 307);
    ck_assert_str_eq(world.body, "gone");
    ck_assert_uint_eq(script_server_n_requests(world.server), 1);
}
END_TEST

/* libcurl sends a request again, POST or not, when a kept connection dies before the answer: a
 * write may then have been done twice. */
START_TEST(a_request_that_was_sent_again_says_so)
{
    ScriptReply replies[] = {
            {.text = OK_HELLO}, {.text = "", .then = SCRIPT_CLOSE}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    fetch(&world, (HttpRequestOptions)PUT);
    ck_assert_uint_eq(http_request_n_sends(world.request), 1);
    fetch(&world, (HttpRequestOptions)PUT);
    ck_assert_int_eq(world.result, HTTP_DONE);
    ck_assert_uint_eq(script_server_n_requests(world.server), 3);
    ck_assert_uint_eq(http_request_n_sends(world.request), 2);
}
END_TEST

START_TEST(a_request_that_nobody_took_was_not_sent)
{
    ScriptReply replies[] = {{NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    static const HttpHandlers handlers = {.on_done = on_done};
    HttpRequestOptions options = PUT;
    options.url = "http://127.0.0.1:1/";
    ck_assert_int_eq(
            http_request_new(world.client, &options, &handlers, &world, &world.request), 0);
    run_until(&world, &world.n_done);
    ck_assert_int_eq(world.result, HTTP_NO_CONNECTION);
    ck_assert_uint_eq(http_request_n_sends(world.request), 0);
}
END_TEST

/* etcd's watch: pieces are given as they come, however long the rest takes. */
START_TEST(an_endless_answer_is_given_as_it_comes)
{
    ScriptReply replies[] = {{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "6\r\nfirst\n\r\n",
                                     .then = SCRIPT_HANG},
            {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    start(&world, (HttpRequestOptions)PUT);
    run_until(&world, &world.n_pieces);
    ck_assert_str_eq(world.body, "first\n");
    ck_assert_uint_eq(world.n_done, 0);
}
END_TEST

/* etcd 3.4's errors: chunked, with a trailer, on a connection that is kept. */
START_TEST(trailers_are_passed_over)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                     "Trailer: Grpc-Trailer-Content-Type\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "5\r\nerror\r\n0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, replies);
    fetch(&world, (HttpRequestOptions)PUT);
    ck_assert_uint_eq(world.head.status, 503);
    ck_assert_str_eq(world.head.content_type, "application/json");
    ck_assert_str_eq(world.body, "error");
    fetch(&world, (HttpRequestOptions)PUT);
    ck_assert_str_eq(world.body, "hello");
    ck_assert_uint_eq(script_server_n_connections(world.server), 1);
}
END_TEST

START_TEST(this_host_is_asked_without_a_proxy)
{
    static const char *const others[] = {NULL, "", "example.org", "*"};
    for (size_t i = 0; i < ELEMENTS(others); i++) {
        ScriptReply replies[] = {{.text = OK_HELLO}, {NULL}};
        _cleanup_(world_done) World world;
        world_init(&world, replies);
        setenv("http_proxy", "http://127.0.0.2:1", 1);
        if (others[i])
            setenv("no_proxy", others[i], 1);
        fetch(&world, (HttpRequestOptions){.method = NULL});
        ck_assert_int_eq(world.result, HTTP_DONE);
        unsetenv("no_proxy");
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("http-writes");
    TCase *tcase = unit_case(suite, "http-writes");
    tcase_add_test(tcase, a_method_can_be_chosen);
    tcase_add_test(tcase, a_method_outlives_a_redirect_but_no_303);
    tcase_add_test(tcase, redirects_can_be_left_alone);
    tcase_add_test(tcase, a_request_that_was_sent_again_says_so);
    tcase_add_test(tcase, a_request_that_nobody_took_was_not_sent);
    tcase_add_test(tcase, an_endless_answer_is_given_as_it_comes);
    tcase_add_test(tcase, trailers_are_passed_over);
    tcase_add_test(tcase, this_host_is_asked_without_a_proxy);
    return suite;
}
