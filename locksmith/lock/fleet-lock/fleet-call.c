/* SPDX-License-Identifier: Apache-2.0 */

/* Both requests are idempotent, so whatever is not clear is asked again until it is, or the
 * deadline is over:
 *
 *   asking -> ended
 *    ^    |  the answer was lost, or the server failed with it
 *    waiting
 */

#include "locksmith/lock/fleet-lock/fleet-call.h"

#include <jansson.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/http-url.h"
#include "locksmith/lock/fleet-lock/fleet-answer.h"

#define MAX_CONFLICTS 10
#define CONFLICT_USEC (100 * 1000)
#define AGAIN_BASE_USEC (200 * 1000)
#define AGAIN_MAX_USEC (8 * USEC_PER_SEC)
#define CONNECT_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define DEFAULT_GROUP "default"

typedef enum { FLEET_ASKING, FLEET_WAITING, FLEET_ENDED } FleetState;

typedef struct {
    LockCall base; /* first */
    FleetLock *lock;
    LockRequestKind kind;
    char *url;
    char *body;
    LockDone on_done;
    void *userdata;

    FleetState state;
    HttpRequest *request;
    sd_event_source *deadline;
    sd_event_source *wait;
    unsigned n_conflicts;
    unsigned n_unclear;
    bool may_be_done; /* an earlier request, or this one */
    bool is_head_here;
    char *answer;
    size_t n_answer_bytes;
    ErrorText error;
} FleetCall;

/* ending */

static void set_state(FleetCall *call, FleetState state)
{
    call->state = state;
    if (state != FLEET_WAITING)
        sd_event_source_set_enabled(call->wait, SD_EVENT_OFF);
    if (state == FLEET_ENDED)
        sd_event_source_set_enabled(call->deadline, SD_EVENT_OFF);
}

static void end(FleetCall *call, LockResult result)
{
    set_state(call, FLEET_ENDED);
    LockAnswer answer = {
            .result = result,
            .error = result == LOCK_DONE ? "" : call->error.line,
            .warning = "",
    };
    call->on_done(&call->base, &answer, call->userdata); /* may free the call */
}

/* call->error says why. */
static void fail(FleetCall *call, LockResult result)
{
    if (!call->may_be_done) {
        end(call, result);
        return;
    }
    ErrorText reason = call->error;
    error_say(&call->error, 0, "whether the FleetLock server has done it is not known: %.400s",
            reason.line);
    end(call, LOCK_UNKNOWN);
}

static bool was_sent(const FleetCall *call)
{
    return call->request && http_request_n_sends(call->request) > 0;
}

static int on_deadline(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    FleetCall *call = userdata;
    if (call->state == FLEET_ASKING && was_sent(call))
        call->may_be_done = true;
    http_request_free(TAKE_PTR(call->request));
    if (call->error.line[0] == '\0')
        error_say(&call->error, 0, "the FleetLock server %.200s did not answer in time",
                http_url_show(call->url).text);
    fail(call, LOCK_UNREACHABLE);
    return 0;
}

/* asking */

static int ask(FleetCall *call);

static void ask_later(FleetCall *call, uint64_t wait_usec)
{
    uint64_t random = call->lock->world.random_number();
    set_state(call, FLEET_WAITING);
    http_request_free(TAKE_PTR(call->request));
    int r = sd_event_source_set_time_relative(
            call->wait, backoff_jitter_usec(wait_usec, wait_usec / 2, random));
    if (r >= 0)
        r = sd_event_source_set_enabled(call->wait, SD_EVENT_ONESHOT);
    if (r < 0)
        fail(call, LOCK_UNREACHABLE);
}

static int on_wait(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    FleetCall *call = userdata;
    if (!call->url) {
        error_say(&call->error, 0,
                "FleetLock has no such request: its server alone knows groups, max and holders");
        end(call, LOCK_NOT_OFFERED);
        return 0;
    }
    int r = ask(call);
    if (r < 0) {
        error_say(&call->error, 0, "cannot ask the FleetLock server: %s", strerror(-r));
        fail(call, LOCK_UNREACHABLE);
    }
    return 0;
}

static void act(FleetCall *call, FleetVerdict verdict)
{
    switch (verdict) {
    case FLEET_DONE:
        end(call, LOCK_DONE);
        return;
    case FLEET_FULL:
        end(call, LOCK_FULL);
        return;
    case FLEET_REFUSED:
        fail(call, LOCK_REFUSED);
        return;
    case FLEET_CONFLICT:
        if (++call->n_conflicts <= MAX_CONFLICTS)
            ask_later(call, CONFLICT_USEC);
        else
            fail(call, LOCK_UNREACHABLE);
        return;
    case FLEET_NOT_NOW:
        if (!call->may_be_done) {
            end(call, LOCK_UNREACHABLE);
            return;
        }
        break;
    case FLEET_UNCLEAR:
        call->may_be_done = true;
        break;
    }
    ask_later(call, backoff_usec(++call->n_unclear, AGAIN_BASE_USEC, AGAIN_MAX_USEC));
}

static FleetVerdict judge(FleetCall *call, HttpResult result, unsigned status, const char *reason)
{
    bool has_answer = result == HTTP_DONE || result == HTTP_TOO_LARGE || call->is_head_here;
    if (has_answer)
        return fleet_answer_judge(status, call->kind == LOCK_REQUEST_ACQUIRE, call->answer,
                call->n_answer_bytes, &call->error);
    error_say(&call->error, 0, "the FleetLock server %.200s does not answer: %.200s",
            http_url_show(call->url).text, reason);
    return was_sent(call) ? FLEET_UNCLEAR : FLEET_NOT_NOW;
}

static HttpFlow on_head(HttpRequest *request, const HttpHead *head, void *userdata)
{
    (void)request;
    (void)head;
    FleetCall *call = userdata;
    call->is_head_here = true;
    return HTTP_GO_ON;
}

/* What is more than an answer ever has is dropped; the status says the most. */
static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    FleetCall *call = userdata;
    size_t n_taken = MIN(n_bytes, FLEET_ANSWER_MAX_BYTES - call->n_answer_bytes);
    memcpy(call->answer + call->n_answer_bytes, data, n_taken);
    call->n_answer_bytes += n_taken;
    return HTTP_GO_ON;
}

static void on_request_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)request;
    FleetCall *call = userdata;
    act(call, judge(call, result, head->status, error));
}

static int ask(FleetCall *call)
{
    static const HttpHandlers handlers = {
            .on_head = on_head, .on_data = on_data, .on_done = on_request_done};
    static const char *const headers[] = {
            "fleet-lock-protocol: true", "Content-Type: application/json", NULL};
    const LockOptions *options = call->lock->options;
    uint64_t deadline_usec = call->lock->world.deadline_usec;
    HttpRequestOptions request = {
            .url = call->url,
            .post_body = call->body,
            .n_post_body_bytes = strlen(call->body),
            .headers = headers,
            .user = options->user,
            .password = options->password,
            .ca_file = options->ca_file,
            .cert_file = options->cert_file,
            .key_file = options->key_file,
            .limits = {.connect_timeout_usec = CONNECT_TIMEOUT_USEC,
                    .stall_timeout_usec = deadline_usec,
                    .total_timeout_usec = deadline_usec,
                    .max_body_bytes = 64 * FLEET_ANSWER_MAX_BYTES,
                    .max_redirects = HTTP_NO_REDIRECTS},
    };
    set_state(call, FLEET_ASKING);
    call->is_head_here = false;
    call->n_answer_bytes = 0;
    return http_request_new(call->lock->client, &request, &handlers, call, &call->request);
}

/* calls */

static void call_free(LockCall *base)
{
    FleetCall *call = (FleetCall *)base;
    http_request_free(call->request);
    sd_event_source_disable_unref(call->deadline);
    sd_event_source_disable_unref(call->wait);
    free(call->answer);
    free(call->url);
    free(call->body);
    free(call);
}

static void call_freep(FleetCall **call)
{
    if (*call)
        call_free(&(*call)->base);
}

static int make_body(FleetCall *call, const char *id)
{
    const char *group = call->lock->options->group;
    _cleanup_(json_decrefp) json_t *json = json_pack("{s:{s:s, s:s}}", "client_params", "id", id,
            "group", group[0] != '\0' ? group : DEFAULT_GROUP);
    call->body = json ? json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    call->answer = malloc(FLEET_ANSWER_MAX_BYTES);
    return call->body && call->answer ? 0 : -ENOMEM;
}

static int make_url(FleetCall *call, const char *request)
{
    if (asprintf(&call->url, "%s/v1/%s", call->lock->base, request) >= 0)
        return 0;
    call->url = NULL;
    return -ENOMEM;
}

static int prepare(FleetCall *call, const LockRequest *request)
{
    const char *name = request->kind == LOCK_REQUEST_ACQUIRE   ? "pre-reboot"
                       : request->kind == LOCK_REQUEST_RELEASE ? "steady-state"
                                                               : NULL;
    const LockWorld *world = &call->lock->world;
    int r = name ? make_url(call, name) : 0;
    if (r >= 0 && name)
        r = make_body(call, request->id);
    if (r >= 0)
        r = sd_event_add_time_relative(world->event, &call->deadline, CLOCK_MONOTONIC,
                world->deadline_usec, 10 * 1000, on_deadline, call);
    if (r >= 0) /* comes at once for what is not offered */
        r = sd_event_add_time_relative(
                world->event, &call->wait, CLOCK_MONOTONIC, 0, 1000, on_wait, call);
    call->state = FLEET_WAITING;
    return r >= 0 && name ? ask(call) : r;
}

int fleet_call_new(FleetLock *lock, const LockRequest *request, LockDone on_done, void *userdata,
        LockCall **ret_call)
{
    _cleanup_(call_freep) FleetCall *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (FleetCall){
            .base = {.free = call_free},
            .lock = lock,
            .kind = request->kind,
            .on_done = on_done,
            .userdata = userdata,
    };
    int r = prepare(call, request);
    if (r < 0)
        return r;
    *ret_call = &TAKE_PTR(call)->base;
    return 0;
}
