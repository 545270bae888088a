/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/omaha-exchange.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fd-io.h"
#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

#define CORPUS "../../fuzz/corpus/omaha-response"

/* One exchange with one scripted server, and what on_done was told. */
typedef struct {
    sd_event *event;
    HttpClient *client;
    ScriptServer *server;
    ScriptReply replies[2];
    char *text; /* of the reply, where it had to be made */
    OmahaExchange *exchange;
    bool frees_in_done;
    unsigned n_done;
    UpdateError code;
    char error[512];
    unsigned http_status;
    uint64_t retry_after_sec;
    bool has_response;
    OmahaVerdict verdict;
    char version[64];
} World;

static void on_done(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata)
{
    World *world = userdata;
    ck_assert_ptr_eq(exchange, world->exchange);
    ck_assert_int_eq(outcome->code == UPDATE_OK, outcome->error[0] == '\0');
    world->n_done++;
    world->code = outcome->code;
    snprintf(world->error, sizeof(world->error), "%s", outcome->error);
    world->http_status = outcome->http_status;
    world->retry_after_sec = outcome->retry_after_sec;
    world->has_response = outcome->response != NULL;
    if (outcome->response) {
        world->verdict = outcome->response->verdict;
        if (outcome->response->version)
            snprintf(world->version, sizeof(world->version), "%s", outcome->response->version);
    }
    if (world->frees_in_done)
        omaha_exchange_free(TAKE_PTR(world->exchange));
}

static void world_init(World *world, const ScriptReply *replies)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    ck_assert_int_eq(sd_event_new(&world->event), 0);
    ck_assert_int_eq(http_client_new(world->event, "test/1", &world->client), 0);
    world->server = script_server_new(world->event, replies);
}

static void world_done(World *world)
{
    omaha_exchange_free(world->exchange);
    http_client_free(world->client);
    script_server_free(world->server);
    sd_event_unref(world->event);
    free(world->text);
}

static void post(World *world, const char *url, bool wants_response)
{
    ck_assert_int_eq(omaha_exchange_new(world->client, url, "<request/>", "a", wants_response,
                             on_done, world, &world->exchange),
            0);
    ck_assert_uint_eq(world->n_done, 0);
    for (int i = 0; i < 10000 && world->n_done == 0; i++)
        ck_assert_int_ge(sd_event_run(world->event, 10 * USEC_PER_SEC), 0);
    ck_assert_uint_eq(world->n_done, 1);
}

/* Answers with text (n_bytes, or up to its NUL), then does `then`. */
static void exchange_with(
        World *world, const char *text, size_t n_bytes, ScriptThen then, bool wants_response)
{
    world->replies[0] = (ScriptReply){.text = text, .n_bytes = n_bytes, .then = then};
    world_init(world, world->replies);
    post(world, script_server_url(world->server, "/v1/update/"), wants_response);
    ck_assert_uint_eq(script_server_n_requests(world->server), 1);
}

static void exchange_with_file(World *world, const char *name)
{
    char below[256];
    snprintf(below, sizeof(below), CORPUS "/%s", name);
    _cleanup_free_ char *body = NULL;
    size_t n_body_bytes;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, unit_data_path(below), 65536, &body, &n_body_bytes), 0);
    int n_head_bytes = asprintf(&world->text,
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n",
            n_body_bytes);
    ck_assert_int_gt(n_head_bytes, 0);
    world->text = realloc(world->text, (size_t)n_head_bytes + n_body_bytes);
    memcpy(world->text + n_head_bytes, body, n_body_bytes);
    exchange_with(world, world->text, (size_t)n_head_bytes + n_body_bytes, SCRIPT_KEEP, true);
}

START_TEST(an_offer_is_read)
{
    _cleanup_(world_done) World world = {0};
    exchange_with_file(&world, "recorded-nebraska-update");
    ck_assert_int_eq(world.code, UPDATE_OK);
    ck_assert_uint_eq(world.http_status, 200);
    ck_assert(world.has_response);
    ck_assert_int_eq(world.verdict, OMAHA_UPDATE);
    ck_assert_str_eq(world.version, "2.0.0");
    const char *request = script_server_request(world.server, 0);
    ck_assert_ptr_eq(strstr(request, "POST /v1/update/ HTTP/1.1\r\n"), request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: text/xml\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\n\r\n<request/>"));
}
END_TEST

START_TEST(a_refusal_is_no_error)
{
    _cleanup_(world_done) World none = {0};
    exchange_with_file(&none, "recorded-nebraska-noupdate");
    ck_assert_int_eq(none.code, UPDATE_OK);
    ck_assert_int_eq(none.verdict, OMAHA_NO_UPDATE);
    _cleanup_(world_done) World limited = {0};
    exchange_with_file(&limited, "recorded-nebraska-rate-limit");
    ck_assert_int_eq(limited.code, UPDATE_OK);
    ck_assert_int_eq(limited.verdict, OMAHA_NOT_NOW);
}
END_TEST

/* Whole answers, head and all, as servers have sent them. */
static const struct {
    const char *name;
    UpdateError code;
    OmahaVerdict verdict;
    bool is_report; /* of events: nothing is asked for */
    ScriptThen then;
} recorded[] = {
        {"nebraska-update", UPDATE_OK, OMAHA_UPDATE, false, SCRIPT_KEEP},
        {"nebraska-noupdate", UPDATE_OK, OMAHA_NO_UPDATE, false, SCRIPT_KEEP},
        {"nebraska-updates-disabled", UPDATE_OK, OMAHA_NOT_NOW, false, SCRIPT_KEEP},
        {"nebraska-rate-limit", UPDATE_OK, OMAHA_NOT_NOW, false, SCRIPT_KEEP},
        {"nebraska-unknown-app", UPDATE_OK, OMAHA_NOT_NOW, false, SCRIPT_KEEP},
        {"nebraska-event", UPDATE_OK, OMAHA_UPDATE, true, SCRIPT_KEEP},
        {"chromiumos-update", UPDATE_OK, OMAHA_UPDATE, false, SCRIPT_CLOSE},
        {"go-omaha-bad-xml", UPDATE_ERROR_HTTP_BASE + 400, OMAHA_UPDATE, false, SCRIPT_KEEP},
};

START_TEST(what_servers_have_sent_is_understood)
{
    char below[64];
    snprintf(below, sizeof(below), "recorded/%s.response.txt", recorded[_i].name);
    _cleanup_(world_done) World world = {0};
    size_t n_bytes;
    ck_assert_int_eq(
            fd_read_file(AT_FDCWD, unit_data_path(below), 65536, &world.text, &n_bytes), 0);
    exchange_with(&world, world.text, n_bytes, recorded[_i].then, !recorded[_i].is_report);
    ck_assert_msg(world.code == recorded[_i].code, "%d: %s", (int)world.code, world.error);
    bool has_response = recorded[_i].code == UPDATE_OK && !recorded[_i].is_report;
    ck_assert_int_eq(world.has_response, has_response);
    if (has_response)
        ck_assert_int_eq(world.verdict, recorded[_i].verdict);
}
END_TEST

START_TEST(bad_answers_have_their_codes)
{
    static const struct {
        const char *name;
        UpdateError code;
    } cases[] = {
            {"empty-nothing", UPDATE_ERROR_EMPTY_RESPONSE},
            {"xml-truncated", UPDATE_ERROR_XML},
            {"entity-billion-laughs", UPDATE_ERROR_ENTITY},
            {"response-no-manifest", UPDATE_ERROR_RESPONSE},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_(world_done) World world = {0};
        exchange_with_file(&world, cases[i].name);
        ck_assert_int_eq(world.code, cases[i].code);
        ck_assert_uint_eq(world.http_status, 200);
        ck_assert(!world.has_response);
    }
}
END_TEST

START_TEST(of_an_event_only_the_status_counts)
{
    static const char *const texts[] = {
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
            "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n...",
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        _cleanup_(world_done) World world = {0};
        exchange_with(&world, texts[i], 0, SCRIPT_CLOSE, false);
        ck_assert_msg(world.code == UPDATE_OK, "case %zu: %s", i, world.error);
        ck_assert(!world.has_response);
    }
    _cleanup_(world_done) World world = {0};
    exchange_with(&world, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 0, SCRIPT_KEEP, false);
    ck_assert_int_eq(world.code, 2500);
}
END_TEST

START_TEST(a_status_is_an_error_of_its_own)
{
    static const struct {
        const char *text;
        int code;
        uint64_t retry_after_sec;
    } cases[] = {
            {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
             "Content-Length: 18\r\n\r\nBad Omaha Request\n",
                    2400, 0},
            {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 2404, 0},
            {"HTTP/1.1 429 Slow\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n", 2429, 7200},
            {"HTTP/1.1 503 No\r\nRetry-After: 60\r\nContent-Length: 9\r\n\r\n<!DOCTYPE", 2503, 60},
            {"HTTP/1.1 500 No\r\nContent-Length: 104857600\r\n\r\nlong", 2500, 0},
            {"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n", 2304, 0},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_(world_done) World world = {0};
        exchange_with(&world, cases[i].text, 0, SCRIPT_CLOSE, true);
        ck_assert_msg(
                (int)world.code == cases[i].code, "case %zu: %d %s", i, world.code, world.error);
        ck_assert_uint_eq(world.http_status, (unsigned)cases[i].code - 2000);
        ck_assert_uint_eq(world.retry_after_sec, cases[i].retry_after_sec);
        ck_assert(!world.has_response);
    }
}
END_TEST

#define ANSWER "<response><app status='error-x'/></response>"

/* An answer of n_bytes without a declared length, after which the server would go on for ever. */
static void exchange_with_length(World *world, size_t n_bytes, ScriptThen then)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n" ANSWER;
    size_t n_text_bytes = strlen("HTTP/1.1 200 OK\r\n\r\n") + n_bytes;
    world->text = malloc(n_text_bytes);
    memset(world->text, ' ', n_text_bytes);
    memcpy(world->text, head, strlen(head));
    exchange_with(world, world->text, n_text_bytes, then, true);
}

START_TEST(an_answer_is_bounded)
{
    _cleanup_(world_done) World fits = {0};
    exchange_with_length(&fits, OMAHA_RESPONSE_MAX_BYTES, SCRIPT_CLOSE);
    ck_assert_msg(fits.code == UPDATE_OK, "%s", fits.error);
    ck_assert_int_eq(fits.verdict, OMAHA_NOT_NOW);
    _cleanup_(world_done) World too_long = {0};
    exchange_with_length(&too_long, OMAHA_RESPONSE_MAX_BYTES + 1, SCRIPT_HANG);
    ck_assert_int_eq(too_long.code, UPDATE_ERROR_RESPONSE);
    ck_assert_ptr_nonnull(strstr(too_long.error, "1048576"));
    _cleanup_(world_done) World far_too_long = {0};
    exchange_with_length(&far_too_long, 100 << 20, SCRIPT_HANG);
    ck_assert_int_eq(far_too_long.code, UPDATE_ERROR_RESPONSE);
    _cleanup_(world_done) World says_so = {0};
    exchange_with(&says_so, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n" ANSWER, 0,
            SCRIPT_HANG, true);
    ck_assert_int_eq(says_so.code, UPDATE_ERROR_RESPONSE);
}
END_TEST

START_TEST(no_answer_is_an_error)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
            {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" ANSWER, "did not answer"},
            {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
                    "redirects"},
            {"hello\r\n\r\n", "did not answer"},
            {"HTTP/1.1 200 O", "did not answer"},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_(world_done) World world = {0};
        exchange_with(&world, cases[i].text, 0, SCRIPT_CLOSE, true);
        ck_assert_msg(world.code == UPDATE_ERROR_OMAHA_REQUEST, "case %zu: %d %s", i, world.code,
                world.error);
        ck_assert_msg(strstr(world.error, cases[i].says) != NULL, "%s", world.error);
    }
}
END_TEST

START_TEST(redirects_in_a_circle_end)
{
#define CIRCLE                                                                    \
    {                                                                             \
        .text = "HTTP/1.1 307 Again\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n" \
    }
    static const ScriptReply replies[] = {CIRCLE, CIRCLE, CIRCLE, CIRCLE, CIRCLE, CIRCLE, CIRCLE,
            CIRCLE, CIRCLE, CIRCLE, CIRCLE, CIRCLE, CIRCLE, {.text = NULL}};
    _cleanup_(world_done) World world = {0};
    world_init(&world, replies);
    post(&world, script_server_url(world.server, "/a"), true);
    ck_assert_int_eq(world.code, UPDATE_ERROR_OMAHA_REQUEST);
    ck_assert_uint_le(script_server_n_requests(world.server), 11);
}
END_TEST

START_TEST(nobody_there_is_an_error)
{
    static const ScriptReply nothing[] = {{.text = NULL}};
    _cleanup_(world_done) World world = {0};
    world_init(&world, nothing);
    char url[128];
    snprintf(url, sizeof(url), "%s", script_server_url(world.server, "/"));
    script_server_free(TAKE_PTR(world.server));
    post(&world, url, true);
    ck_assert_int_eq(world.code, UPDATE_ERROR_OMAHA_REQUEST);
    ck_assert_uint_eq(world.http_status, 0);
}
END_TEST

START_TEST(a_url_that_is_none_is_an_error)
{
    static const ScriptReply nothing[] = {{.text = NULL}};
    static const char *const urls[] = {"", "disabled", "file:///etc/passwd", "ftp://h/", "http://"};
    for (size_t i = 0; i < ELEMENTS(urls); i++) {
        _cleanup_(world_done) World world = {0};
        world_init(&world, nothing);
        post(&world, urls[i], true);
        ck_assert_int_eq(world.code, UPDATE_ERROR_OMAHA_REQUEST);
        ck_assert_ptr_nonnull(strstr(world.error, "SERVER"));
    }
}
END_TEST

START_TEST(it_may_be_freed_in_on_done)
{
    static const ScriptReply replies[] = {
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}, {.text = NULL}};
    _cleanup_(world_done) World world = {.frees_in_done = true};
    world_init(&world, replies);
    post(&world, script_server_url(world.server, "/"), true);
    ck_assert_int_eq(world.code, UPDATE_ERROR_XML);
    ck_assert_ptr_null(world.exchange);
}
END_TEST

START_TEST(to_free_is_to_cancel)
{
    static const ScriptReply nothing[] = {{.text = NULL}};
    _cleanup_(world_done) World world = {0};
    world_init(&world, nothing);
    ck_assert_int_eq(omaha_exchange_new(world.client, script_server_url(world.server, "/"),
                             "<request/>", "a", true, on_done, &world, &world.exchange),
            0);
    for (int i = 0; i < 10000 && script_server_n_requests(world.server) == 0; i++)
        ck_assert_int_ge(sd_event_run(world.event, 10 * USEC_PER_SEC), 0);
    ck_assert_uint_eq(script_server_n_requests(world.server), 1);
    omaha_exchange_free(TAKE_PTR(world.exchange));
    while (sd_event_run(world.event, 0) > 0)
        ;
    ck_assert_uint_eq(world.n_done, 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("omaha-exchange");
    TCase *tcase = unit_case(suite, "omaha-exchange");
    tcase_add_test(tcase, an_offer_is_read);
    tcase_add_test(tcase, a_refusal_is_no_error);
    tcase_add_loop_test(tcase, what_servers_have_sent_is_understood, 0, ELEMENTS(recorded));
    tcase_add_test(tcase, bad_answers_have_their_codes);
    tcase_add_test(tcase, of_an_event_only_the_status_counts);
    tcase_add_test(tcase, a_status_is_an_error_of_its_own);
    tcase_add_test(tcase, an_answer_is_bounded);
    tcase_add_test(tcase, no_answer_is_an_error);
    tcase_add_test(tcase, redirects_in_a_circle_end);
    tcase_add_test(tcase, nobody_there_is_an_error);
    tcase_add_test(tcase, a_url_that_is_none_is_an_error);
    tcase_add_test(tcase, it_may_be_freed_in_on_done);
    tcase_add_test(tcase, to_free_is_to_cancel);
    return suite;
}
