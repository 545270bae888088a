/* SPDX-License-Identifier: Apache-2.0 */

/* A request lives through: starting -> running -> finished -> reported. What the caller must not
 * see happen inside its own calls (the start, going on after a pause, on_done) is left to one
 * deferred event source.
 *
 * Redirects are followed here and not by libcurl, so that https is never left for http at any step
 * and credentials stay with their host. HTTP/1.1 only: with HTTP/2 a paused transfer would hold up
 * the others of its connection, or buffer as much as the server likes to send. */

#include "common/http-request.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-options.h"
#include "common/http-result.h"

#define MAX_HEADER_BYTES (64 * 1024)    /* of one answer with its interim ones and trailers */
#define MAX_DROPPED_BYTES (1024 * 1024) /* body of a redirect, which nobody reads */

static void say(HttpRequest *request, HttpResult result, const char *format, ...) _printf_(3, 4);

/* The first thing said counts. */
static void say(HttpRequest *request, HttpResult result, const char *format, ...)
{
    if (request->has_result)
        return;
    char line[sizeof(request->error.line)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    error_say(&request->error, 0, "%s", line);
    request->has_result = true;
    request->result = result;
}

static void finish(HttpRequest *request)
{
    request->phase = HTTP_PHASE_FINISHED;
    sd_event_source_set_enabled(request->stall_timer, SD_EVENT_OFF);
    sd_event_source_set_enabled(request->defer, SD_EVENT_ONESHOT);
}

/* stall timer */

static void stall_timer_wind_up(HttpRequest *request)
{
    request->n_window_bytes = 0;
    sd_event_source_set_time_relative(request->stall_timer, request->limits.stall_timeout_usec);
    sd_event_source_set_enabled(request->stall_timer, SD_EVENT_ONESHOT);
}

static int on_stall_timer(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    HttpRequest *request = userdata;
    double seconds = (double)request->limits.stall_timeout_usec / USEC_PER_SEC;
    double enough_bytes = MAX(1.0, seconds * request->limits.stall_bytes_per_second);
    if ((double)request->n_window_bytes >= enough_bytes) {
        stall_timer_wind_up(request);
        return 0;
    }
    curl_loop_remove(request->loop, &request->transfer);
    http_head_read(request->transfer.easy, &request->head);
    say(request, HTTP_TIMED_OUT, "the server sent fewer than %.0f bytes in %.3g seconds",
            enough_bytes, seconds);
    finish(request);
    return 0;
}

/* what libcurl calls; a count other than the given one ends the transfer */

/* CURLOPT_PREREQFUNCTION: connected, the request is about to be sent. */
static int on_connected(
        void *userdata, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    HttpRequest *request = userdata;
    request->n_sends++;
    if (!request->is_dead)
        stall_timer_wind_up(request);
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *data, size_t unit, size_t n_bytes, void *userdata)
{
    (void)unit; /* always 1 */
    HttpRequest *request = userdata;
    if (n_bytes > 5 && memcmp(data, "HTTP/", 5) == 0)
        request->is_head_whole = false; /* an interim answer came before */
    else if (n_bytes > 0 && (data[0] == '\r' || data[0] == '\n'))
        request->is_head_whole = true;
    request->n_window_bytes += n_bytes;
    request->n_header_bytes += n_bytes;
    if (request->n_header_bytes <= MAX_HEADER_BYTES)
        return n_bytes;
    say(request, HTTP_CUT, "the server's answer has more than %d KiB of headers",
            MAX_HEADER_BYTES / 1024);
    return 0;
}

/* Whether the answer under way is one that follow() is for. */
static bool leads_on(const HttpRequest *request)
{
    return request->limits.max_redirects != HTTP_NO_REDIRECTS &&
           http_head_is_redirect(request->transfer.easy);
}

static bool body_fits(HttpRequest *request, uint64_t n_bytes)
{
    uint64_t max_bytes = request->limits.max_body_bytes;
    if (max_bytes == 0 || n_bytes <= max_bytes)
        return true;
    say(request, HTTP_TOO_LARGE, "the answer is larger than the %" PRIu64 " bytes it may have",
            max_bytes);
    return false;
}

/* The first piece of a body is here. */
static bool give_head(HttpRequest *request)
{
    request->is_head_given = true;
    http_head_read(request->transfer.easy, &request->head);
    if (request->head.has_length && !body_fits(request, request->head.length_bytes))
        return false;
    const HttpHandlers *handlers = request->handlers;
    if (!handlers->on_head ||
            handlers->on_head(request, &request->head, request->userdata) == HTTP_GO_ON)
        return !request->is_dead;
    say(request, HTTP_ABORTED, "given up after the answer's head");
    return false;
}

static size_t give_data(HttpRequest *request, const uint8_t *data, size_t n_bytes)
{
    if (!body_fits(request, request->n_body_bytes + n_bytes))
        return 0;
    HttpFlow flow = request->handlers->on_data
                            ? request->handlers->on_data(request, data, n_bytes, request->userdata)
                            : HTTP_GO_ON;
    if (request->is_dead)
        return 0;
    switch (flow) {
    case HTTP_GO_ON:
        request->n_body_bytes += n_bytes;
        return n_bytes;
    case HTTP_PAUSE:
        request->is_paused = true;
        sd_event_source_set_enabled(request->stall_timer, SD_EVENT_OFF);
        return CURL_WRITEFUNC_PAUSE;
    case HTTP_ABORT:
        break;
    }
    say(request, HTTP_ABORTED, "given up while the answer's body came");
    return 0;
}

static size_t on_body(char *data, size_t unit, size_t n_bytes, void *userdata)
{
    (void)unit; /* always 1 */
    HttpRequest *request = userdata;
    if (n_bytes == 0 || request->is_dead)
        return 0;
    request->n_window_bytes += n_bytes;
    if (leads_on(request)) {
        request->n_dropped_bytes += n_bytes;
        if (request->n_dropped_bytes <= MAX_DROPPED_BYTES)
            return n_bytes;
        say(request, HTTP_BAD_REDIRECT, "the server sends more than %d KiB beside its redirects",
                MAX_DROPPED_BYTES / 1024);
        return 0;
    }
    if (!request->is_head_given && !give_head(request))
        return 0;
    return give_data(request, (const uint8_t *)data, n_bytes);
}

/* running */

static void run(HttpRequest *request)
{
    request->phase = HTTP_PHASE_RUNNING;
    request->n_header_bytes = 0;
    request->is_head_whole = false;
    request->curl_error[0] = '\0';
    if (curl_loop_add(request->loop, &request->transfer) >= 0)
        return;
    say(request, HTTP_NO_MEMORY, "out of memory");
    finish(request);
}

/* Credentials go to the first URL's server alone, and over https alone: another port of its host
 * may be somebody else's. */
static void use_url(HttpRequest *request, const char *text, const HttpUrl *url)
{
    CURL *easy = request->transfer.easy;
    bool is_trusted = url->is_https && http_url_is_same_origin(url, &request->first_url);
    request->is_https = url->is_https;
    if (curl_easy_setopt(easy, CURLOPT_URL, text) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_USERNAME, is_trusted ? request->user : NULL) !=
                    CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_PASSWORD, is_trusted ? request->password : NULL) !=
                    CURLE_OK)
        say(request, HTTP_NO_MEMORY, "out of memory");
}

/* Goes where the answer says. The method stays, except after a 303 (RFC 9110, 15.4). */
static void follow(HttpRequest *request)
{
    CURL *easy = request->transfer.easy;
    const char *borrowed = NULL;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &borrowed);
    _cleanup_free_ char *target = strdup(borrowed ? borrowed : "");
    _cleanup_(http_url_done) HttpUrl url = {.host = NULL};
    http_head_read(easy, &request->head);

    int r = target ? http_url_parse(target, &url) : -ENOMEM;
    if (r == -ENOMEM)
        say(request, HTTP_NO_MEMORY, "out of memory");
    else if (r < 0 || url.has_credentials)
        say(request, HTTP_BAD_REDIRECT,
                "the server redirects to what is no http or https address: "
                "%.200s",
                http_url_show(target).text);
    else if (request->is_https && !url.is_https)
        say(request, HTTP_BAD_REDIRECT, "the server redirects from https to http: %.200s",
                http_url_show(target).text);
    else if (request->n_redirects++ >= request->limits.max_redirects)
        say(request, HTTP_BAD_REDIRECT, "the server redirects more than %u times, last to %.200s",
                request->limits.max_redirects, http_url_show(target).text);
    else
        use_url(request, target, &url);
    if (request->has_result) {
        finish(request);
        return;
    }
    if (request->head.status == 303) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    }
    run(request);
}

static void on_finished(CurlTransfer *transfer, CURLcode code)
{
    HttpRequest *request = (HttpRequest *)transfer;
    if (request->is_dead)
        return;
    if (code == CURLE_OK && leads_on(request)) {
        follow(request);
        return;
    }
    if (!request->is_head_given)
        http_head_read(transfer->easy, &request->head);
    if (code == CURLE_OK && !request->is_head_whole)
        say(request, HTTP_CUT, "the server's answer ends within its headers");
    else if (code == CURLE_OK)
        say(request, HTTP_DONE, "%s", "");
    else
        say(request, http_result_of(code), "%s",
                request->curl_error[0] ? request->curl_error : curl_easy_strerror(code));
    finish(request);
}

static int on_defer(sd_event_source *source, void *userdata)
{
    (void)source;
    HttpRequest *request = userdata;
    switch (request->phase) {
    case HTTP_PHASE_STARTING:
        run(request);
        break;
    case HTTP_PHASE_RUNNING:
        if (request->is_paused) {
            request->is_paused = false;
            stall_timer_wind_up(request);
            curl_loop_unpause(request->loop, &request->transfer);
        }
        break;
    case HTTP_PHASE_FINISHED:
        request->phase = HTTP_PHASE_REPORTED;
        request->handlers->on_done(
                request, request->result, &request->head, request->error.line, request->userdata);
        break;
    case HTTP_PHASE_REPORTED:
        break;
    }
    return 0;
}

unsigned http_request_n_sends(const HttpRequest *request)
{
    return request->n_sends;
}

void http_request_resume(HttpRequest *request)
{
    sd_event_source_set_enabled(request->defer, SD_EVENT_ONESHOT);
}

/* making and releasing */

static int set_callbacks(HttpRequest *request)
{
    CURL *easy = request->transfer.easy;
    CURLcode code = CURLE_OK;
    code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->curl_error);
    code |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    code |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
    code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    return code == CURLE_OK ? 0 : -ENOMEM;
}

static int add_sources(HttpRequest *request, sd_event *event)
{
    int r = sd_event_add_time_relative(
            event, &request->stall_timer, CLOCK_MONOTONIC, 0, 1000, on_stall_timer, request);
    if (r >= 0)
        r = sd_event_source_set_enabled(request->stall_timer, SD_EVENT_OFF);
    if (r >= 0) /* after what has come: a loop that was late itself is no stall of the server's */
        r = sd_event_source_set_priority(request->stall_timer, SD_EVENT_PRIORITY_NORMAL + 1);
    if (r >= 0)
        r = sd_event_add_defer(event, &request->defer, on_defer, request);
    return r;
}

static int copy_text(const char *text, char **ret_copy)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return -ENOMEM;
    *ret_copy = copy;
    return 0;
}

/* A URL that will not do ends the request before it began, but is reported like any other end. */
static int take_first_url(HttpRequest *request, const char *text)
{
    int r = http_url_parse(text, &request->first_url);
    if (r == -ENOMEM)
        return r;
    if (r >= 0) {
        use_url(request, text, &request->first_url);
        return request->has_result ? -ENOMEM : 0;
    }
    say(request, HTTP_BAD_URL, "this is no http:// or https:// address: %.200s",
            http_url_show(text).text);
    finish(request);
    return 0;
}

int http_request_init(HttpRequest *request, sd_event *event, const HttpRequestOptions *options,
        const char *user_agent)
{
    HttpRequestOptions resolved = *options;
    resolved.limits = request->limits = http_limits_resolve(&options->limits);
    request->transfer = (CurlTransfer){.easy = curl_easy_init(), .on_finished = on_finished};
    if (!request->transfer.easy)
        return -ENOMEM;
    int r = http_options_apply(request->transfer.easy, &resolved, user_agent, &request->headers);
    if (r >= 0)
        r = set_callbacks(request);
    if (r >= 0)
        r = copy_text(options->user, &request->user);
    if (r >= 0)
        r = copy_text(options->password, &request->password);
    if (r >= 0)
        r = add_sources(request, event);
    if (r >= 0)
        r = take_first_url(request, options->url);
    return r;
}

void http_request_done(HttpRequest *request)
{
    sd_event_source_disable_unref(request->defer);
    sd_event_source_disable_unref(request->stall_timer);
    if (request->transfer.easy) {
        curl_loop_remove(request->loop, &request->transfer);
        curl_easy_cleanup(request->transfer.easy);
    }
    curl_slist_free_all(request->headers);
    http_url_done(&request->first_url);
    free(request->user);
    free(request->password);
}
