/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/watch/local-etcd.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/script-server.h"
#include "tests/unit/unit.h"

typedef struct {
    int n_done;
    LocalEtcdResult result;
    char text[512];
} Outcome;

static void on_done(LocalEtcd *etcd, LocalEtcdResult result, const char *text, void *userdata)
{
    Outcome *outcome = userdata;
    outcome->n_done++;
    outcome->result = result;
    snprintf(outcome->text, sizeof(outcome->text), "%s", text);
    local_etcd_free(etcd); /* allowed */
}

static Outcome ask(sd_event *event, const char *url)
{
    Outcome outcome = {};
    LocalEtcd *etcd;
    ck_assert_int_eq(local_etcd_new(event, url, on_done, &outcome, &etcd), 0);
    ck_assert_int_eq(outcome.n_done, 0);
    while (outcome.n_done == 0)
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
    ck_assert_int_eq(outcome.n_done, 1);
    ck_assert_ptr_nonnull(strstr(outcome.text, "127.0.0.1:"));
    return outcome;
}

static const struct {
    const char *what;
    const char *reply;
    LocalEtcdResult result;
} answers[] = {
        {"etcd 3.4",
                "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n"
                "{\"etcdserver\":\"3.4.23\",\"etcdcluster\":\"3.4.0\"}",
                LOCAL_ETCD_ANSWERS},
        {"another server", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", LOCAL_ETCD_UNCLEAR},
        {"no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", LOCAL_ETCD_UNCLEAR},
        {"no text", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"etcdserver\":1}",
                LOCAL_ETCD_UNCLEAR},
        {"not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", LOCAL_ETCD_UNCLEAR},
        {"a redirect",
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                LOCAL_ETCD_UNCLEAR},
        {"TLS alone",
                "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS "
                "server.\n",
                LOCAL_ETCD_UNCLEAR},
        {"no HTTP", "220 mail.example ESMTP\r\n", LOCAL_ETCD_UNCLEAR},
        {"cut", "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n{\"etcdserver\":",
                LOCAL_ETCD_UNCLEAR},
        {"too long", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{", LOCAL_ETCD_UNCLEAR},
};

START_TEST(test_answers)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    ck_assert_int_ge(sd_event_new(&event), 0);
    /* The bare connection comes first and asks nothing. */
    ScriptReply replies[] = {{.text = answers[_i].reply, .then = SCRIPT_CLOSE}, {}};
    _cleanup_(script_server_freep) ScriptServer *server = script_server_new(event, replies);
    Outcome outcome = ask(event, script_server_url(server, ""));
    ck_assert_msg(outcome.result == answers[_i].result, "%s: %s", answers[_i].what, outcome.text);
    if (script_server_n_requests(server) > 0)
        ck_assert_ptr_nonnull(strstr(script_server_request(server, 0), "GET /version "));
}
END_TEST

START_TEST(test_nobody_listens)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    ck_assert_int_ge(sd_event_new(&event), 0);
    /* A port that is bound refuses, and nobody else can take it. */
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n_bytes = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, n_bytes), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n_bytes), 0);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    ck_assert_int_eq(ask(event, url).result, LOCAL_ETCD_REFUSED);
}
END_TEST

START_TEST(test_addresses_that_are_none)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    ck_assert_int_ge(sd_event_new(&event), 0);
    static const char *const urls[] = {
            "https://127.0.0.1:2379", "http://localhost:2379", "http://[::1]:2379", "etcd", ""};
    for (size_t i = 0; i < ELEMENTS(urls); i++) {
        LocalEtcd *etcd = NULL;
        ck_assert_int_eq(local_etcd_new(event, urls[i], on_done, NULL, &etcd), -EINVAL);
    }
}
END_TEST

START_TEST(test_freed_on_the_way)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    ck_assert_int_ge(sd_event_new(&event), 0);
    ScriptReply replies[] = {{}};
    _cleanup_(script_server_freep) ScriptServer *server = script_server_new(event, replies);
    Outcome outcome = {};
    LocalEtcd *etcd;
    ck_assert_int_eq(
            local_etcd_new(event, script_server_url(server, ""), on_done, &outcome, &etcd), 0);
    while (script_server_n_requests(server) == 0)
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
    local_etcd_free(etcd);
    ck_assert_int_eq(outcome.n_done, 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("local-etcd");
    TCase *etcd = unit_case(suite, "etcd");
    tcase_add_loop_test(etcd, test_answers, 0, ELEMENTS(answers));
    tcase_add_test(etcd, test_nobody_listens);
    tcase_add_test(etcd, test_addresses_that_are_none);
    tcase_add_test(etcd, test_freed_on_the_way);
    return suite;
}
