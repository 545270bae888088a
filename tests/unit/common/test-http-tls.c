/* SPDX-License-Identifier: Apache-2.0 */

/* The HTTP client against the server of openssl(1), which plays answers from files. */

#include "common/http-client.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/atomic-file.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

extern char **environ;

/* A server in its own process, and one request to it. */
typedef struct {
    char folder[256];
    pid_t pid;
    unsigned port;
    char ca_file[512];
    sd_event *event;
    HttpClient *client;
    HttpRequest *request;
    unsigned n_done;
    HttpResult result;
    HttpHead head;
    char error[512];
} Tls;

static pid_t spawn(const char *folder, const char *const *arguments, int stdout_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int r = posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    ck_assert_int_eq(r, 0);
    return pid;
}

static void make_certificate(const char *folder)
{
    const char *arguments[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
            "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", NULL};
    pid_t pid = spawn(folder, arguments, STDERR_FILENO);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* The file `page` is what the server answers to /page, head and all. */
static void tls_start_with(
        Tls *tls, const char *page, const char *protocol, const char *cipher, const char *more)
{
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    *tls = (Tls){.pid = -1};
    snprintf(tls->folder, sizeof(tls->folder), "%s", unit_temp_dir());
    snprintf(tls->ca_file, sizeof(tls->ca_file), "%s/cert.pem", tls->folder);
    make_certificate(tls->folder);
    _cleanup_close_ int folder = open(tls->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(atomic_file_write(folder, "page", page, strlen(page), 0600), 0);

    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const char *arguments[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-HTTP", "-key",
            "key.pem", "-cert", "cert.pem", "-cipher", cipher, protocol, more, "1", NULL};
    tls->pid = spawn(tls->folder, arguments, ends[1]);
    close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    char line[256];
    while (tls->port == 0 && fgets(line, sizeof(line), output))
        sscanf(line, "ACCEPT 127.0.0.1:%u", &tls->port);
    fclose(output);
    ck_assert_uint_ne(tls->port, 0);
    ck_assert_int_eq(sd_event_new(&tls->event), 0);
    ck_assert_int_eq(http_client_new(tls->event, "test/1", &tls->client), 0);
}

static void tls_start(Tls *tls, const char *page, const char *protocol, const char *cipher)
{
    tls_start_with(tls, page, protocol, cipher, NULL);
}

static void tls_done(Tls *tls)
{
    http_request_free(tls->request);
    http_client_free(tls->client);
    sd_event_unref(tls->event);
    kill(tls->pid, SIGKILL);
    waitpid(tls->pid, NULL, 0);
}

static void on_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)request;
    Tls *tls = userdata;
    tls->n_done++;
    tls->result = result;
    tls->head = *head;
    snprintf(tls->error, sizeof(tls->error), "%s", error);
}

static void tls_fetch_with(Tls *tls, HttpRequestOptions options)
{
    static const HttpHandlers handlers = {.on_done = on_done};
    char url[128];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/page", tls->port);
    options.url = url;
    options.limits.total_timeout_usec = 20 * USEC_PER_SEC;
    ck_assert_int_eq(http_request_new(tls->client, &options, &handlers, tls, &tls->request), 0);
    while (tls->n_done == 0)
        ck_assert_int_ge(sd_event_run(tls->event, 20 * USEC_PER_SEC), 0);
}

static void tls_fetch(Tls *tls, const char *ca_file)
{
    tls_fetch_with(tls, (HttpRequestOptions){.ca_file = ca_file});
}

#define PAGE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

START_TEST(a_trusted_server_is_asked)
{
    _cleanup_(tls_done) Tls tls;
    tls_start(&tls, PAGE, "-tls1_2", "DEFAULT");
    tls_fetch(&tls, tls.ca_file);
    ck_assert_msg(tls.result == HTTP_DONE, "%s", tls.error);
    ck_assert_uint_eq(tls.head.length_bytes, 5);
}
END_TEST

START_TEST(an_unknown_authority_is_refused)
{
    _cleanup_(tls_done) Tls tls;
    tls_start(&tls, PAGE, "-tls1_3", "DEFAULT");
    tls_fetch(&tls, NULL);
    ck_assert_int_eq(tls.result, HTTP_NO_CONNECTION);
    ck_assert_uint_eq(tls.head.status, 0);
    ck_assert_ptr_nonnull(strstr(tls.error, "certificate"));
}
END_TEST

START_TEST(a_missing_authority_file_is_named)
{
    _cleanup_(tls_done) Tls tls;
    tls_start(&tls, PAGE, "-tls1_3", "DEFAULT");
    tls_fetch(&tls, "/nonexistent.pem");
    ck_assert_int_eq(tls.result, HTTP_NO_CONNECTION);
    ck_assert_ptr_nonnull(strstr(tls.error, "/nonexistent.pem"));
}
END_TEST

START_TEST(old_tls_is_refused)
{
    _cleanup_(tls_done) Tls tls;
    tls_start(&tls, PAGE, "-tls1_1", "DEFAULT:@SECLEVEL=0");
    tls_fetch(&tls, tls.ca_file);
    ck_assert_int_eq(tls.result, HTTP_NO_CONNECTION);
}
END_TEST

START_TEST(https_is_never_left_for_http)
{
    _cleanup_(tls_done) Tls tls;
    tls_start(&tls,
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
            "-tls1_3", "DEFAULT");
    tls_fetch(&tls, tls.ca_file);
    ck_assert_int_eq(tls.result, HTTP_BAD_REDIRECT);
    ck_assert_ptr_nonnull(strstr(tls.error, "from https to http"));
    ck_assert_uint_eq(tls.head.status, 302);
}
END_TEST

START_TEST(a_client_certificate_is_shown)
{
    _cleanup_(tls_done) Tls tls;
    tls_start_with(&tls, PAGE, "-tls1_2", "DEFAULT", "-Verify");
    char key_file[512];
    snprintf(key_file, sizeof(key_file), "%s/key.pem", tls.folder);
    tls_fetch_with(
            &tls, (HttpRequestOptions){
                          .ca_file = tls.ca_file, .cert_file = tls.ca_file, .key_file = key_file});
    ck_assert_msg(tls.result == HTTP_DONE, "%s", tls.error);
    ck_assert_uint_eq(http_request_n_sends(tls.request), 1);
}
END_TEST

START_TEST(a_server_that_wants_a_certificate_gets_none)
{
    _cleanup_(tls_done) Tls tls;
    tls_start_with(&tls, PAGE, "-tls1_2", "DEFAULT", "-Verify");
    tls_fetch(&tls, tls.ca_file);
    ck_assert_int_eq(tls.result, HTTP_NO_CONNECTION);
    ck_assert_uint_eq(http_request_n_sends(tls.request), 0);
}
END_TEST

START_TEST(a_missing_certificate_is_named)
{
    _cleanup_(tls_done) Tls tls;
    tls_start(&tls, PAGE, "-tls1_3", "DEFAULT");
    tls_fetch_with(&tls, (HttpRequestOptions){.ca_file = tls.ca_file,
                                 .cert_file = "/nonexistent.pem",
                                 .key_file = "/nonexistent.pem"});
    ck_assert_int_eq(tls.result, HTTP_NO_CONNECTION);
    ck_assert_ptr_nonnull(strstr(tls.error, "/nonexistent.pem"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("http-tls");
    TCase *tcase = unit_case(suite, "http-tls");
    tcase_add_test(tcase, a_trusted_server_is_asked);
    tcase_add_test(tcase, an_unknown_authority_is_refused);
    tcase_add_test(tcase, a_missing_authority_file_is_named);
    tcase_add_test(tcase, old_tls_is_refused);
    tcase_add_test(tcase, https_is_never_left_for_http);
    tcase_add_test(tcase, a_client_certificate_is_shown);
    tcase_add_test(tcase, a_server_that_wants_a_certificate_gets_none);
    tcase_add_test(tcase, a_missing_certificate_is_named);
    return suite;
}
