/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

#define MSEC UINT64_C(1000)
#define MAX_BODY_BYTES (1024 * 1024)

/* One loop, one client, one scripted server, and what the handlers saw of up to two requests. */
typedef struct Fetch Fetch;
typedef struct {
    sd_event *event;
    HttpClient *client;
    ScriptServer *server;
} World;

struct Fetch {
    World *world;
    HttpRequest *request;
    unsigned n_heads;
    unsigned n_pieces;
    unsigned n_done;
    unsigned pause_at_piece; /* 0: never */
    bool is_paused;
    bool aborts_at_head;
    bool aborts_at_data;
    bool frees_in_done;
    Fetch *frees_at_data;
    HttpResult result;
    HttpHead first_head;
    HttpHead head;
    char error[512];
    char *body;
    size_t n_body_bytes;
};

static World *world_new(const ScriptReply *replies)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    World *world = calloc(1, sizeof(*world));
    ck_assert_int_eq(sd_event_new(&world->event), 0);
    ck_assert_int_eq(http_client_new(world->event, "test/1", &world->client), 0);
    static const ScriptReply nothing[] = {{.text = NULL}};
    world->server = script_server_new(world->event, replies ? replies : nothing);
    return world;
}

static void world_free(World *world)
{
    http_client_free(world->client);
    script_server_free(world->server);
    sd_event_unref(world->event);
    free(world);
}
DEFINE_CLEANUP(World *, world_free);

static void fetch_done(Fetch *fetch)
{
    http_request_free(fetch->request);
    free(fetch->body);
}

static HttpFlow on_head(HttpRequest *request, const HttpHead *head, void *userdata)
{
    (void)request;
    Fetch *fetch = userdata;
    ck_assert_uint_eq(fetch->n_pieces, 0);
    fetch->n_heads++;
    fetch->first_head = *head;
    return fetch->aborts_at_head ? HTTP_ABORT : HTTP_GO_ON;
}

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    Fetch *fetch = userdata;
    ck_assert_uint_eq(fetch->n_heads, 1);
    ck_assert(!fetch->is_paused);
    fetch->n_pieces++;
    if (fetch->n_pieces == fetch->pause_at_piece) {
        fetch->is_paused = true;
        return HTTP_PAUSE;
    }
    if (fetch->frees_at_data) {
        Fetch *other = fetch->frees_at_data;
        http_request_free(TAKE_PTR(other->request));
        if (other == fetch)
            return HTTP_GO_ON;
    }
    if (fetch->aborts_at_data)
        return HTTP_ABORT;
    if (!fetch->body)
        fetch->body = calloc(1, MAX_BODY_BYTES + 1);
    ck_assert_uint_le(fetch->n_body_bytes + n_bytes, MAX_BODY_BYTES);
    memcpy(fetch->body + fetch->n_body_bytes, data, n_bytes);
    fetch->n_body_bytes += n_bytes;
    return HTTP_GO_ON;
}

static void on_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    Fetch *fetch = userdata;
    ck_assert_ptr_eq(request, fetch->request);
    fetch->n_done++;
    fetch->result = result;
    fetch->head = *head;
    snprintf(fetch->error, sizeof(fetch->error), "%s", error);
    ck_assert((result == HTTP_DONE) == (error[0] == '\0'));
    if (fetch->frees_in_done)
        http_request_free(TAKE_PTR(fetch->request));
}

static const HttpHandlers handlers = {.on_head = on_head, .on_data = on_data, .on_done = on_done};

static void fetch_start(Fetch *fetch, World *world, const HttpRequestOptions *options)
{
    fetch->world = world;
    HttpRequestOptions bounded = *options;
    if (bounded.limits.total_timeout_usec == 0)
        bounded.limits.total_timeout_usec = 20 * USEC_PER_SEC;
    ck_assert_int_eq(
            http_request_new(world->client, &bounded, &handlers, fetch, &fetch->request), 0);
    ck_assert_uint_eq(fetch->n_done, 0);
}

/* Runs the loop until *condition, at most 20 s. */
static void run_until(World *world, const unsigned *condition)
{
    uint64_t now_usec;
    sd_event_now(world->event, CLOCK_MONOTONIC, &now_usec);
    uint64_t end_usec = now_usec + 20 * USEC_PER_SEC;
    while (*condition == 0 && now_usec < end_usec) {
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
        sd_event_now(world->event, CLOCK_MONOTONIC, &now_usec);
    }
    ck_assert_uint_ne(*condition, 0);
}

static void fetch_run(Fetch *fetch, World *world, const HttpRequestOptions *options)
{
    fetch_start(fetch, world, options);
    run_until(world, &fetch->n_done);
}

static void fetch_path(Fetch *fetch, World *world, const char *path)
{
    fetch_run(fetch, world, &(HttpRequestOptions){.url = script_server_url(world->server, path)});
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

START_TEST(a_body_comes_whole)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"v1\"\r\nContent-Type: text/xml\r\n"
                     "\r\nhello"},
            {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/a?b=c");
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert_uint_eq(fetch.n_heads, 1);
    ck_assert_uint_eq(fetch.head.status, 200);
    ck_assert(fetch.first_head.has_length && fetch.first_head.length_bytes == 5);
    ck_assert(!fetch.head.has_range);
    ck_assert_str_eq(fetch.head.etag, "\"v1\"");
    ck_assert_str_eq(fetch.head.content_type, "text/xml");
    ck_assert_uint_eq(fetch.head.retry_after_sec, 0);
    ck_assert_str_eq(fetch.body, "hello");
    const char *request = script_server_request(world->server, 0);
    ck_assert_ptr_eq(strstr(request, "GET /a?b=c HTTP/1.1\r\n"), request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nUser-Agent: test/1\r\n"));
    ck_assert_ptr_null(strcasestr(request, "Accept-Encoding"));
    ck_assert_ptr_null(strcasestr(request, "Range"));
    ck_assert_ptr_null(strcasestr(request, "Cookie"));
}
END_TEST

START_TEST(connections_are_kept_and_posts_carry_their_body)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch first = {0};
    fetch_path(&first, world, "/");
    _cleanup_(fetch_done) Fetch second = {0};
    const char *headers[] = {"Content-Type: text/xml", NULL};
    fetch_run(&second, world,
            &(HttpRequestOptions){.url = script_server_url(world->server, "/p"),
                    .post_body = "<request/>",
                    .n_post_body_bytes = 10,
                    .headers = headers});
    ck_assert_int_eq(second.result, HTTP_DONE);
    ck_assert_uint_eq(script_server_n_connections(world->server), 1);
    const char *request = script_server_request(world->server, 1);
    ck_assert_ptr_eq(strstr(request, "POST /p HTTP/1.1\r\n"), request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: text/xml\r\n"));
    ck_assert_ptr_null(strcasestr(request, "Expect"));
    ck_assert_ptr_nonnull(strstr(request, "\r\n\r\n<request/>"));
}
END_TEST

START_TEST(a_kept_connection_that_died_is_replaced)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", .then = SCRIPT_CLOSE},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch first = {0};
    fetch_path(&first, world, "/");
    _cleanup_(fetch_done) Fetch second = {0};
    fetch_path(&second, world, "/");
    ck_assert_int_eq(second.result, HTTP_DONE);
    ck_assert_uint_eq(script_server_n_connections(world->server), 2);
}
END_TEST

START_TEST(a_range_is_asked_for_and_reported)
{
    ScriptReply replies[] = {{.text = "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n"
                                      "Content-Range: bytes 2-4/10\r\n\r\ncde"},
            {.text = OK_HELLO},
            {.text = "HTTP/1.1 416 No\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n"},
            {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    HttpRequestOptions options = {.url = script_server_url(world->server, "/"),
            .has_range = true,
            .range_first = 2,
            .range_last = 4,
            .if_range = "\"v1\""};
    _cleanup_(fetch_done) Fetch part = {0};
    fetch_run(&part, world, &options);
    ck_assert_uint_eq(part.head.status, 206);
    ck_assert(part.first_head.has_range);
    ck_assert_uint_eq(part.first_head.range_first, 2);
    ck_assert_uint_eq(part.first_head.range_last, 4);
    ck_assert_uint_eq(part.first_head.range_total, 10);
    const char *request = script_server_request(world->server, 0);
    ck_assert_ptr_nonnull(strstr(request, "\r\nRange: bytes=2-4\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nIf-Range: \"v1\"\r\n"));

    _cleanup_(fetch_done) Fetch whole = {0};
    options.range_last = UINT64_MAX;
    options.if_range = NULL;
    fetch_run(&whole, world, &options);
    ck_assert_int_eq(whole.result, HTTP_DONE);
    ck_assert_uint_eq(whole.head.status, 200);
    ck_assert(!whole.head.has_range);
    ck_assert_ptr_nonnull(
            strstr(script_server_request(world->server, 1), "\r\nRange: bytes=2-\r\n"));

    _cleanup_(fetch_done) Fetch beyond = {0};
    fetch_run(&beyond, world, &options);
    ck_assert_int_eq(beyond.result, HTTP_DONE);
    ck_assert_uint_eq(beyond.head.status, 416);
    ck_assert(!beyond.head.has_range);
    ck_assert_uint_eq(beyond.n_heads, 0);
}
END_TEST

START_TEST(a_redirect_is_followed)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nmove"},
            {.text = "HTTP/1.1 308 X\r\nLocation: c\r\nContent-Length: 0\r\n\r\n"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world,
            &(HttpRequestOptions){.url = script_server_url(world->server, "/a"),
                    .post_body = "x",
                    .n_post_body_bytes = 1});
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert_uint_eq(fetch.n_heads, 1);
    ck_assert_str_eq(fetch.body, "hello");
    const char *request = script_server_request(world->server, 2);
    ck_assert_ptr_eq(strstr(request, "POST /c HTTP/1.1\r\n"), request);
    ck_assert_uint_eq(script_server_n_connections(world->server), 1);
}
END_TEST

START_TEST(a_303_turns_a_post_into_a_get)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 303 See\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world,
            &(HttpRequestOptions){.url = script_server_url(world->server, "/a"),
                    .post_body = "x",
                    .n_post_body_bytes = 1});
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    const char *request = script_server_request(world->server, 1);
    ck_assert_ptr_eq(strstr(request, "GET /b HTTP/1.1\r\n"), request);
}
END_TEST

START_TEST(a_circle_of_redirects_ends)
{
    ScriptReply hop = {.text = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"};
    ScriptReply replies[] = {hop, hop, hop, hop, hop, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world,
            &(HttpRequestOptions){
                    .url = script_server_url(world->server, "/"), .limits.max_redirects = 3});
    ck_assert_int_eq(fetch.result, HTTP_BAD_REDIRECT);
    ck_assert_uint_eq(script_server_n_requests(world->server), 4);
    ck_assert_uint_eq(fetch.head.status, 302);
    ck_assert_uint_eq(fetch.n_heads, 0);
}
END_TEST

static const char *const bad_redirects[] = {
        "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://u:p@127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://\x01/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: gopher:\r\nContent-Length: 3\r\n\r\nabc",
};

START_TEST(a_redirect_elsewhere_is_refused)
{
    ScriptReply replies[] = {{.text = bad_redirects[_i]}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_msg(fetch.result == HTTP_BAD_REDIRECT, "%d %s", fetch.result, fetch.error);
    ck_assert_uint_eq(script_server_n_requests(world->server), 1);
    ck_assert_uint_eq(fetch.n_pieces, 0);
}
END_TEST

START_TEST(a_redirect_without_a_place_is_an_answer)
{
    ScriptReply replies[] = {{.text = "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nno"}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert_uint_eq(fetch.head.status, 302);
    ck_assert_str_eq(fetch.body, "no");
}
END_TEST

/* Where a server may stop: before, inside and after its head. */
static const char *const stalls[] = {
        "HTTP/1.",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
        "HTTP/1.1 302 OK\r\nLocation: /\r\nContent-Length: 5\r\n\r\nhe",
};

START_TEST(a_stall_ends_the_transfer)
{
    ScriptReply replies[] = {{stalls[_i], 0, SCRIPT_HANG}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world,
            &(HttpRequestOptions){.url = script_server_url(world->server, "/"),
                    .limits.stall_timeout_usec = 30 * MSEC,
                    .limits.stall_bytes_per_second = 1});
    ck_assert_int_eq(fetch.result, HTTP_TIMED_OUT);
    ck_assert_ptr_nonnull(strstr(fetch.error, "0.03 seconds"));
    ck_assert_uint_eq(fetch.head.status != 0, _i > 0);
}
END_TEST

START_TEST(the_total_time_is_bounded)
{
    ScriptReply replies[] = {{stalls[3], 0, SCRIPT_HANG}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world,
            &(HttpRequestOptions){.url = script_server_url(world->server, "/"),
                    .limits.total_timeout_usec = 150 * MSEC});
    ck_assert_int_eq(fetch.result, HTTP_TIMED_OUT);
    ck_assert_uint_eq(fetch.head.status, 200);
    ck_assert_uint_eq(fetch.n_body_bytes, 2);
}
END_TEST

static const char *const cut_replies[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello",
        "garbage that is no HTTP\r\n\r\n",
        "HTTP/7.3 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "SSH-2.0-OpenSSH_9.2\r\n",
};

START_TEST(a_cut_answer_is_no_answer)
{
    ScriptReply replies[] = {{cut_replies[_i], 0, SCRIPT_CLOSE}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_msg(fetch.result == HTTP_CUT, "%d %s", fetch.result, fetch.error);
}
END_TEST

START_TEST(an_impossible_length_is_none)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
                    .then = SCRIPT_CLOSE},
            {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert(!fetch.head.has_length);
    ck_assert_str_eq(fetch.body, "hello");
}
END_TEST

START_TEST(a_chunked_answer_has_no_length)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nETag: \"trailer\"\r\n\r\n"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert(!fetch.first_head.has_length);
    ck_assert_str_eq(fetch.head.etag, "");
    ck_assert_str_eq(fetch.body, "hello");
}
END_TEST

START_TEST(a_body_is_bounded_whatever_its_length_says)
{
    ScriptReply replies[] = {{.text = OK_HELLO},
            {.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
            {.text = "HTTP/1.1 200 OK\r\n\r\nhello", .then = SCRIPT_CLOSE}, {.text = OK_HELLO},
            {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    HttpRequestOptions options = {
            .url = script_server_url(world->server, "/"), .limits.max_body_bytes = 4};
    for (int i = 0; i < 3; i++) {
        _cleanup_(fetch_done) Fetch fetch = {0};
        fetch_run(&fetch, world, &options);
        ck_assert_int_eq(fetch.result, HTTP_TOO_LARGE);
        ck_assert_uint_eq(fetch.n_body_bytes, 0);
        ck_assert_uint_eq(fetch.n_heads, i == 0 ? 0 : 1);
    }
    _cleanup_(fetch_done) Fetch fits = {0};
    options.limits.max_body_bytes = 5;
    fetch_run(&fits, world, &options);
    ck_assert_int_eq(fits.result, HTTP_DONE);
}
END_TEST

/* An answer of n_bytes of body in one reply; *ret_text is new. */
static ScriptReply large_reply(size_t n_bytes, char **ret_text)
{
    char *text = malloc(n_bytes + 128);
    int n_head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        text[(size_t)n_head + i] = (char)('a' + i % 23);
    *ret_text = text;
    return (ScriptReply){.text = text, .n_bytes = (size_t)n_head + n_bytes};
}

START_TEST(a_pause_holds_the_body_and_is_no_stall)
{
    enum { N_BYTES = 400000 };
    _cleanup_free_ char *text = NULL;
    ScriptReply replies[] = {large_reply(N_BYTES, &text), {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {.pause_at_piece = 2};
    HttpRequestOptions options = {.url = script_server_url(world->server, "/"),
            .limits.stall_timeout_usec = 20 * MSEC,
            .limits.stall_bytes_per_second = 1};
    fetch_start(&fetch, world, &options);
    while (!fetch.is_paused)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    size_t n_bytes_at_pause = fetch.n_body_bytes;

    /* Another transfer that stalls after the pause began shows that the time has passed. */
    for (int i = 0; i < 2; i++) {
        _cleanup_(fetch_done) Fetch clock = {0};
        _cleanup_(script_server_freep) ScriptServer *mute =
                script_server_new(world->event, (ScriptReply[]){{NULL}});
        options.url = script_server_url(mute, "/");
        fetch_run(&clock, world, &options);
        ck_assert_int_eq(clock.result, HTTP_TIMED_OUT);
    }
    ck_assert_uint_eq(fetch.n_done, 0);
    ck_assert_uint_eq(fetch.n_body_bytes, n_bytes_at_pause);

    for (unsigned piece = fetch.n_pieces + 2; fetch.n_done == 0; piece += 3) {
        fetch.is_paused = false;
        fetch.pause_at_piece = piece;
        http_request_resume(fetch.request);
        ck_assert_uint_lt(fetch.n_pieces, piece);
        while (!fetch.is_paused && fetch.n_done == 0)
            ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    }
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert_uint_eq(fetch.n_body_bytes, N_BYTES);
    ck_assert_mem_eq(fetch.body, text + (replies[0].n_bytes - N_BYTES), N_BYTES);
    http_request_resume(fetch.request); /* too late, harmless */
    sd_event_run(world->event, 0);
    ck_assert_uint_eq(fetch.n_done, 1);
}
END_TEST

START_TEST(a_stall_after_a_pause_is_seen)
{
    ScriptReply replies[] = {{stalls[3], 0, SCRIPT_HANG}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {.pause_at_piece = 1};
    fetch_start(&fetch, world,
            &(HttpRequestOptions){.url = script_server_url(world->server, "/"),
                    .limits.stall_timeout_usec = 20 * MSEC,
                    .limits.stall_bytes_per_second = 1});
    while (!fetch.is_paused)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    fetch.is_paused = false;
    http_request_resume(fetch.request);
    run_until(world, &fetch.n_done);
    ck_assert_int_eq(fetch.result, HTTP_TIMED_OUT);
    ck_assert_uint_eq(fetch.n_body_bytes, 2);
}
END_TEST

START_TEST(handlers_can_give_up)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch at_head = {.aborts_at_head = true};
    fetch_path(&at_head, world, "/");
    ck_assert_int_eq(at_head.result, HTTP_ABORTED);
    ck_assert_uint_eq(at_head.n_pieces, 0);
    _cleanup_(fetch_done) Fetch at_data = {.aborts_at_data = true};
    fetch_path(&at_data, world, "/");
    ck_assert_int_eq(at_data.result, HTTP_ABORTED);
    ck_assert_uint_eq(at_data.head.status, 200);

    /* Also when the piece comes again after a pause, out of libcurl's own buffer. */
    _cleanup_(fetch_done) Fetch later = {.pause_at_piece = 1, .aborts_at_data = true};
    fetch_start(&later, world, &(HttpRequestOptions){.url = script_server_url(world->server, "/")});
    while (!later.is_paused)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    later.is_paused = false;
    http_request_resume(later.request);
    run_until(world, &later.n_done);
    ck_assert_int_eq(later.result, HTTP_ABORTED);
}
END_TEST

START_TEST(a_request_may_be_freed_in_on_done)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {.frees_in_done = true};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert_ptr_null(fetch.request);
    ck_assert_uint_eq(fetch.n_done, 1);
}
END_TEST

START_TEST(a_request_may_be_freed_in_on_data)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    HttpRequestOptions options = {.url = script_server_url(world->server, "/")};
    _cleanup_(fetch_done) Fetch own = {0};
    own.frees_at_data = &own;
    fetch_start(&own, world, &options);
    run_until(world, &own.n_pieces);

    _cleanup_(fetch_done) Fetch other = {0};
    _cleanup_(fetch_done) Fetch killer = {.frees_at_data = &other};
    fetch_start(&killer, world, &options);
    _cleanup_(script_server_freep) ScriptServer *mute =
            script_server_new(world->event, (ScriptReply[]){{NULL}});
    options.url = script_server_url(mute, "/");
    fetch_start(&other, world, &options);
    run_until(world, &killer.n_done);
    ck_assert_int_eq(killer.result, HTTP_DONE);
    ck_assert_uint_eq(own.n_done + other.n_done, 0);
}
END_TEST

START_TEST(a_request_freed_at_any_step_is_silent)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {.text = OK_HELLO},
            {.text = OK_HELLO}, {.text = OK_HELLO}, {.text = OK_HELLO}, {.text = OK_HELLO},
            {.text = OK_HELLO}, {NULL}};
    for (int n_steps = 0; n_steps < 8; n_steps++) {
        _cleanup_(world_freep) World *world = world_new(replies);
        _cleanup_(fetch_done) Fetch fetch = {0};
        fetch_start(
                &fetch, world, &(HttpRequestOptions){.url = script_server_url(world->server, "/")});
        for (int i = 0; i < n_steps && fetch.n_done == 0; i++)
            ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
        http_request_free(TAKE_PTR(fetch.request));
        unsigned n_done = fetch.n_done;
        for (int i = 0; i < 8; i++)
            sd_event_run(world->event, 0);
        ck_assert_uint_eq(fetch.n_done, n_done);
    }
}
END_TEST

START_TEST(nobody_there_is_no_connection)
{
    _cleanup_(world_freep) World *world = world_new(NULL);
    _cleanup_(fetch_done) Fetch fetch = {0};
    char url[128];
    snprintf(url, sizeof(url), "%s", script_server_url(world->server, "/"));
    script_server_free(TAKE_PTR(world->server));
    fetch_run(&fetch, world, &(HttpRequestOptions){.url = url});
    ck_assert_int_eq(fetch.result, HTTP_NO_CONNECTION);
    ck_assert_uint_eq(fetch.head.status, 0);
    ck_assert_uint_eq(fetch.n_heads, 0);
}
END_TEST

START_TEST(plain_http_where_tls_should_be_is_no_connection)
{
    ScriptReply replies[] = {{.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    char url[128];
    snprintf(url, sizeof(url), "https%s", script_server_url(world->server, "/") + 4);
    /* The script server waits for a request that never comes: only the connect time ends it. */
    fetch_run(&fetch, world,
            &(HttpRequestOptions){.url = url, .limits.connect_timeout_usec = 30 * MSEC});
    ck_assert_int_eq(fetch.result, HTTP_TIMED_OUT);
}
END_TEST

static const char *const bad_urls[] = {"", "nonsense", "file:///etc/passwd", "ftp://a/b", "http://",
        "http:///x", "http:/x", "http://a b/", "http://a/\n", "http://[::1", "https://host:99999/",
        "//host/", "http://a\x7f/"};

START_TEST(a_bad_url_is_reported_like_any_end)
{
    _cleanup_(world_freep) World *world = world_new(NULL);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world, &(HttpRequestOptions){.url = bad_urls[_i]});
    ck_assert_int_eq(fetch.result, HTTP_BAD_URL);
    ck_assert_uint_eq(fetch.n_done, 1);
}
END_TEST

START_TEST(a_bad_header_is_refused_at_once)
{
    _cleanup_(world_freep) World *world = world_new(NULL);
    HttpRequest *request = NULL;
    const char *headers[] = {"X: a\r\nY: b", NULL};
    HttpRequestOptions options = {.url = "http://127.0.0.1/", .headers = headers};
    ck_assert_int_eq(http_request_new(world->client, &options, &handlers, NULL, &request), -EINVAL);
    options = (HttpRequestOptions){
            .url = "http://127.0.0.1/", .has_range = true, .if_range = "a\r\nX: y"};
    ck_assert_int_eq(http_request_new(world->client, &options, &handlers, NULL, &request), -EINVAL);
    ck_assert_ptr_null(request);
}
END_TEST

START_TEST(an_error_status_is_an_answer)
{
    ScriptReply replies[] = {{.text = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"},
            {.text = "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"},
            {.text = "HTTP/1.1 503 Busy\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n"},
            {.text = "HTTP/1.1 503 Busy\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n"},
            {.text = "HTTP/1.1 204 None\r\n\r\n"}, {NULL}};
    static const struct {
        unsigned status;
        unsigned retry_after_sec;
    } expected[] = {{404, 0}, {503, 120}, {503, 24 * 60 * 60}, {503, 0}, {204, 0}};
    _cleanup_(world_freep) World *world = world_new(replies);
    for (size_t i = 0; i < ELEMENTS(expected); i++) {
        _cleanup_(fetch_done) Fetch fetch = {0};
        fetch_path(&fetch, world, "/");
        ck_assert_int_eq(fetch.result, HTTP_DONE);
        ck_assert_uint_eq(fetch.head.status, expected[i].status);
        ck_assert_uint_eq(fetch.head.retry_after_sec, expected[i].retry_after_sec);
        ck_assert_uint_eq(fetch.n_heads, i == 0);
    }
}
END_TEST

START_TEST(headers_are_bounded)
{
    _cleanup_free_ char *text = calloc(1, 200000);
    strcpy(text, "HTTP/1.1 200 OK\r\n");
    size_t n = strlen(text);
    while (n < 70000)
        n += (size_t)sprintf(text + n, "X-%zu: y\r\n", n);
    ScriptReply many[] = {{text, 0, SCRIPT_HANG}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(many);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_CUT);
    ck_assert_ptr_nonnull(strstr(fetch.error, "64 KiB"));

    /* One endless line, and interim answers without end. */
    memset(text + 30, 'y', 150000);
    memcpy(text, "HTTP/1.1 200 OK\r\nX:             ", 30);
    text[150000] = '\0';
    _cleanup_(world_freep) World *second = world_new(many);
    _cleanup_(fetch_done) Fetch line = {0};
    fetch_path(&line, second, "/");
    ck_assert_int_ne(line.result, HTTP_DONE);

    for (n = 0; n < 70000;)
        n += (size_t)sprintf(text + n, "HTTP/1.1 100 Continue\r\n\r\n");
    _cleanup_(world_freep) World *third = world_new(many);
    _cleanup_(fetch_done) Fetch interim = {0};
    fetch_path(&interim, third, "/");
    ck_assert_int_eq(interim.result, HTTP_CUT);
}
END_TEST

START_TEST(hostile_fields_count_as_absent)
{
    char text[1024];
    char long_value[400];
    memset(long_value, 'e', sizeof(long_value) - 1);
    long_value[sizeof(long_value) - 1] = '\0';
    snprintf(text, sizeof(text),
            "HTTP/1.1 206 OK\r\nETag: \"%s\"\r\nContent-Type: a\x01"
            "b\r\n"
            "Content-Range: bytes 5-1/99\r\nContent-Length: 0\r\n\r\n",
            long_value);
    ScriptReply replies[] = {{.text = text}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_DONE);
    ck_assert_str_eq(fetch.head.etag, "");
    ck_assert_str_eq(fetch.head.content_type, "");
    ck_assert(!fetch.head.has_range);
}
END_TEST

START_TEST(credentials_are_not_told_over_http)
{
    ScriptReply replies[] = {
            {.text = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"},
            {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world,
            &(HttpRequestOptions){
                    .url = script_server_url(world->server, "/"), .user = "u", .password = "p"});
    ck_assert_uint_eq(fetch.head.status, 401);
    ck_assert_uint_eq(script_server_n_requests(world->server), 1);
    ck_assert_ptr_null(strcasestr(script_server_request(world->server, 0), "Authorization"));
}
END_TEST

START_TEST(credentials_stay_with_their_host)
{
    char elsewhere[256];
    ScriptReply replies[] = {{.text = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
                                      "Content-Length: 0\r\n\r\n"},
            {.text = elsewhere}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    char url[128];
    const char *plain = script_server_url(world->server, "/");
    snprintf(url, sizeof(url), "http://u:p@%s", plain + strlen("http://"));
    snprintf(elsewhere, sizeof(elsewhere),
            "HTTP/1.1 302 Found\r\nLocation: http://localhost%s\r\nContent-Length: 0\r\n\r\n",
            strrchr(plain, ':'));
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_run(&fetch, world, &(HttpRequestOptions){.url = url});
    ck_assert_msg(fetch.result == HTTP_DONE, "%s", fetch.error);
    ck_assert_ptr_null(strcasestr(script_server_request(world->server, 0), "Authorization"));
    ck_assert_ptr_nonnull(strcasestr(script_server_request(world->server, 1), "Authorization"));
    ck_assert_ptr_null(strcasestr(script_server_request(world->server, 2), "Authorization"));
}
END_TEST

START_TEST(a_redirects_own_body_is_bounded)
{
    _cleanup_free_ char *text = NULL;
    ScriptReply replies[] = {large_reply(2 << 20, &text), {NULL}};
    static const char head[] = "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n";
    memcpy(text, head, sizeof(head) - 1);
    _cleanup_(world_freep) World *world = world_new(replies);
    _cleanup_(fetch_done) Fetch fetch = {0};
    fetch_path(&fetch, world, "/");
    ck_assert_int_eq(fetch.result, HTTP_BAD_REDIRECT);
    ck_assert_ptr_nonnull(strstr(fetch.error, "1024 KiB"));
}
END_TEST

START_TEST(several_at_once)
{
    enum { N = 6 };
    ScriptReply replies[] = {{.text = OK_HELLO}, {.text = OK_HELLO}, {.text = OK_HELLO},
            {.text = OK_HELLO}, {.text = OK_HELLO}, {.text = OK_HELLO}, {NULL}};
    _cleanup_(world_freep) World *world = world_new(replies);
    Fetch fetches[N] = {0};
    HttpRequestOptions options = {.url = script_server_url(world->server, "/")};
    for (int i = 0; i < N; i++)
        fetch_start(&fetches[i], world, &options);
    for (int i = 0; i < N; i++) {
        run_until(world, &fetches[i].n_done);
        ck_assert_int_eq(fetches[i].result, HTTP_DONE);
        ck_assert_str_eq(fetches[i].body, "hello");
        fetch_done(&fetches[i]);
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("http-client");
    TCase *tcase = unit_case(suite, "http-client");
    tcase_add_test(tcase, a_body_comes_whole);
    tcase_add_test(tcase, connections_are_kept_and_posts_carry_their_body);
    tcase_add_test(tcase, a_kept_connection_that_died_is_replaced);
    tcase_add_test(tcase, a_range_is_asked_for_and_reported);
    tcase_add_test(tcase, a_redirect_is_followed);
    tcase_add_test(tcase, a_303_turns_a_post_into_a_get);
    tcase_add_test(tcase, a_circle_of_redirects_ends);
    tcase_add_loop_test(tcase, a_redirect_elsewhere_is_refused, 0, ELEMENTS(bad_redirects));
    tcase_add_test(tcase, a_redirect_without_a_place_is_an_answer);
    tcase_add_loop_test(tcase, a_stall_ends_the_transfer, 0, ELEMENTS(stalls));
    tcase_add_test(tcase, the_total_time_is_bounded);
    tcase_add_loop_test(tcase, a_cut_answer_is_no_answer, 0, ELEMENTS(cut_replies));
    tcase_add_test(tcase, an_impossible_length_is_none);
    tcase_add_test(tcase, a_chunked_answer_has_no_length);
    tcase_add_test(tcase, a_body_is_bounded_whatever_its_length_says);
    tcase_add_test(tcase, a_pause_holds_the_body_and_is_no_stall);
    tcase_add_test(tcase, a_stall_after_a_pause_is_seen);
    tcase_add_test(tcase, handlers_can_give_up);
    tcase_add_test(tcase, a_request_may_be_freed_in_on_done);
    tcase_add_test(tcase, a_request_may_be_freed_in_on_data);
    tcase_add_test(tcase, a_request_freed_at_any_step_is_silent);
    tcase_add_test(tcase, nobody_there_is_no_connection);
    tcase_add_test(tcase, plain_http_where_tls_should_be_is_no_connection);
    tcase_add_loop_test(tcase, a_bad_url_is_reported_like_any_end, 0, ELEMENTS(bad_urls));
    tcase_add_test(tcase, a_bad_header_is_refused_at_once);
    tcase_add_test(tcase, an_error_status_is_an_answer);
    tcase_add_test(tcase, headers_are_bounded);
    tcase_add_test(tcase, hostile_fields_count_as_absent);
    tcase_add_test(tcase, credentials_are_not_told_over_http);
    tcase_add_test(tcase, credentials_stay_with_their_host);
    tcase_add_test(tcase, a_redirects_own_body_is_bounded);
    tcase_add_test(tcase, several_at_once);
    return suite;
}
