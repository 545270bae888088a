/* SPDX-License-Identifier: Apache-2.0 */

/* A call lives through: (logging in -> asking) at one endpoint after the other -> resting, while
 * members are there but have no leader, and round again -> ended. */

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/http-url.h"
#include "common/random.h"
#include "locksmith/lock/etcd/etcd-session-private.h"
#include "locksmith/lock/etcd/etcd-v3-answer.h"
#include "locksmith/lock/etcd/etcd-v3-request.h"

#define REST_USEC (USEC_PER_SEC / 2)

typedef enum { CALL_LOGGING_IN, CALL_ASKING, CALL_RESTING, CALL_ENDED } CallState;

/* Of several failures, the one that tells most is reported. */
typedef enum { RANK_NONE, RANK_NO_ANSWER, RANK_ANSWER, RANK_SETTINGS, RANK_DECISION } ErrorRank;

struct EtcdCall {
    EtcdSession *session;
    const EtcdHandlers *handlers;
    void *userdata;
    CallState state;
    char *method;
    char *path;
    char *body;
    bool is_write;
    size_t endpoint;       /* where it is */
    size_t n_tried;        /* endpoints of this round */
    bool has_renewed;      /* logged in at this endpoint, and asked again */
    bool is_someone_there; /* in this round a member answered that may do better soon */
    bool is_all_off;       /* in this round nobody failed otherwise than by its settings */
    uint64_t leader_end_usec;
    HttpRequest *http;
    unsigned n_sends;
    char *answer;
    size_t n_answer_bytes;
    size_t n_room_bytes;
    sd_event_source *deadline;
    sd_event_source *rest;
    ErrorRank rank;
    size_t bad_endpoint;
    ErrorText error; /* what is wrong at bad_endpoint */
};

static void finish(EtcdCall *call, StoreResult result)
{
    const EtcdSession *session = call->session;
    ErrorText error = {0};
    call->state = CALL_ENDED;
    http_request_free(TAKE_PTR(call->http));
    sd_event_source_set_enabled(call->deadline, SD_EVENT_OFF);
    sd_event_source_set_enabled(call->rest, SD_EVENT_OFF);
    if (result != STORE_DONE) {
        const char *reason = call->rank == RANK_NONE ? "no answer in time" : call->error.line;
        HttpUrlShown url = http_url_show(session->endpoints[call->bad_endpoint]);
        if (result == STORE_UNREACHABLE && session->n_endpoints > 1)
            error_say(&error, 0, "none of the %zu etcd endpoints will do now; %.100s: %s",
                    session->n_endpoints, url.text, reason);
        else
            error_say(&error, 0, "etcd at %.100s: %s%s", url.text, reason,
                    result == STORE_UNKNOWN ? " (whether it was written is not known)" : "");
    }
    call->handlers->on_done(call, result, call->n_sends, error.line, call->userdata);
}

static void remember(EtcdCall *call, ErrorRank rank, const char *reason)
{
    if (rank < call->rank)
        return;
    call->rank = rank;
    call->bad_endpoint = call->endpoint;
    error_say(&call->error, 0, "%s", reason);
}

/* one attempt */

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    EtcdCall *call = userdata;
    size_t n_wanted = call->n_answer_bytes + n_bytes;
    if (n_wanted > call->n_room_bytes) {
        size_t n_room = MAX(n_wanted, 2 * call->n_room_bytes);
        char *answer = realloc(call->answer, n_room);
        if (!answer)
            return HTTP_ABORT;
        call->answer = answer;
        call->n_room_bytes = n_room;
    }
    memcpy(call->answer + call->n_answer_bytes, data, n_bytes);
    call->n_answer_bytes = n_wanted;
    return HTTP_GO_ON;
}

static void on_http_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata);

static int attempt(EtcdCall *call)
{
    static const HttpHandlers handlers = {.on_data = on_data, .on_done = on_http_done};
    EtcdSession *session = call->session;
    _cleanup_free_ char *login = NULL;
    EtcdRequest request = {.method = call->method, .path = call->path, .body = call->body};
    call->state = CALL_ASKING;
    call->n_answer_bytes = 0;
    call->n_sends = 0;
    if (etcd_session_needs_login(session)) {
        call->state = CALL_LOGGING_IN;
        int r = etcd_v3_format_login(session->user, session->password, &login);
        if (r < 0)
            return r;
        request = (EtcdRequest){.path = ETCD_V3_LOGIN, .body = login};
    }
    int r = etcd_session_ask(session, call->endpoint, &request, &handlers, call, &call->http);
    if (login)
        explicit_bzero(login, strlen(login));
    return r;
}

static void attempt_or_finish(EtcdCall *call)
{
    if (attempt(call) >= 0)
        return;
    remember(call, RANK_SETTINGS, "out of memory");
    finish(call, STORE_UNREACHABLE);
}

/* from endpoint to endpoint */

static void begin_round(EtcdCall *call)
{
    call->endpoint = call->session->current;
    call->n_tried = 0;
    call->is_someone_there = false;
    call->is_all_off = true;
    call->has_renewed = false;
}

static void end_round(EtcdCall *call)
{
    if (!call->is_someone_there || clock_now_usec(CLOCK_MONOTONIC) >= call->leader_end_usec) {
        finish(call, call->is_all_off ? STORE_REFUSED : STORE_UNREACHABLE);
        return;
    }
    call->state = CALL_RESTING;
    sd_event_source_set_time_relative(
            call->rest, backoff_jitter_usec(REST_USEC, REST_USEC / 2, random_uint64()));
    sd_event_source_set_enabled(call->rest, SD_EVENT_ONESHOT);
}

static int on_rest(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    EtcdCall *call = userdata;
    begin_round(call);
    attempt_or_finish(call);
    return 0;
}

static void go_on(EtcdCall *call)
{
    EtcdSession *session = call->session;
    if (session->current == call->endpoint)
        etcd_session_rotate(session);
    call->endpoint = (call->endpoint + 1) % session->n_endpoints;
    call->has_renewed = false;
    if (++call->n_tried < session->n_endpoints)
        attempt_or_finish(call);
    else
        end_round(call);
}

/* After a verdict that is not the end at this endpoint's first asking. */
static void log_in_again(EtcdCall *call)
{
    if (call->session->user && !call->has_renewed) {
        call->has_renewed = true;
        etcd_session_forget_token(call->session);
        attempt_or_finish(call);
        return;
    }
    go_on(call);
}

static void act(EtcdCall *call, EtcdVerdict verdict)
{
    EtcdSession *session = call->session;
    call->is_all_off &= verdict == ETCD_OFF || verdict == ETCD_LOGIN;
    switch (verdict) {
    case ETCD_DONE:
        session->current = call->endpoint;
        finish(call, STORE_DONE);
        break;
    case ETCD_LOGIN:
        log_in_again(call);
        break;
    case ETCD_ELSEWHERE:
    case ETCD_OFF:
        go_on(call);
        break;
    case ETCD_REFUSED:
        finish(call, STORE_REFUSED);
        break;
    case ETCD_UNCLEAR:
        if (!call->is_write || call->state != CALL_ASKING) {
            go_on(call);
            break;
        }
        if (session->current == call->endpoint)
            etcd_session_rotate(session);
        finish(call, STORE_UNKNOWN);
        break;
    }
}

/* The request itself was answered. */
static EtcdVerdict judge(EtcdCall *call, unsigned status, ErrorText *error)
{
    const char *answer = call->answer ? call->answer : "";
    EtcdVerdict verdict =
            call->handlers->judge(status, answer, call->n_answer_bytes, call->userdata, error);
    call->is_someone_there |= verdict == ETCD_ELSEWHERE;
    return verdict;
}

/* ETCD_DONE: the request itself can be sent now. */
static EtcdVerdict judge_login(EtcdCall *call, unsigned status, ErrorText *error)
{
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer login = {0};
    const char *answer = call->answer ? call->answer : "";
    EtcdVerdict verdict = etcd_v3_read_login(status, answer, call->n_answer_bytes, &login, error);
    call->is_someone_there |= verdict == ETCD_ELSEWHERE;
    if (verdict == ETCD_LOGIN) /* asks for a login to log in */
        return ETCD_OFF;
    if (verdict == ETCD_DONE && etcd_session_take_token(call->session, login.token) < 0) {
        error_say(error, 0, "out of memory");
        return ETCD_UNCLEAR;
    }
    return verdict;
}

static ErrorRank rank_of(const EtcdCall *call, EtcdVerdict verdict, bool is_answered)
{
    bool is_unknown = verdict == ETCD_UNCLEAR && call->is_write && call->state == CALL_ASKING;
    if (verdict == ETCD_REFUSED || is_unknown)
        return RANK_DECISION;
    if (verdict == ETCD_OFF || verdict == ETCD_LOGIN)
        return RANK_SETTINGS;
    return is_answered ? RANK_ANSWER : RANK_NO_ANSWER;
}

static void on_http_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    EtcdCall *call = userdata;
    ErrorText reason = {0};
    bool is_login = call->state == CALL_LOGGING_IN;
    EtcdVerdict verdict = ETCD_UNCLEAR;
    call->n_sends = http_request_n_sends(request);
    if (result != HTTP_DONE) {
        verdict = call->n_sends > 0 ? ETCD_UNCLEAR : ETCD_ELSEWHERE;
        error_say(&reason, 0, "%s", error);
    } else if (is_login) {
        verdict = judge_login(call, head->status, &reason);
    } else {
        verdict = judge(call, head->status, &reason);
    }
    http_request_free(TAKE_PTR(call->http)); /* head and error go with it */
    /* "Nothing was written" is said of the last sending alone. */
    if (call->is_write && call->n_sends > 1 && verdict != ETCD_DONE)
        verdict = ETCD_UNCLEAR;
    if (verdict != ETCD_DONE)
        remember(call, rank_of(call, verdict, result == HTTP_DONE), reason.line);
    if (is_login && verdict == ETCD_DONE)
        attempt_or_finish(call);
    else
        act(call, verdict);
}

static int on_deadline(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    EtcdCall *call = userdata;
    bool may_be_written = call->is_write && call->state == CALL_ASKING && call->http &&
                          http_request_n_sends(call->http) > 0;
    if (may_be_written)
        remember(call, RANK_DECISION, "no answer in time");
    if (call->session->current == call->endpoint)
        etcd_session_rotate(call->session);
    finish(call, may_be_written ? STORE_UNKNOWN : STORE_UNREACHABLE);
    return 0;
}

/* making and releasing */

static int add_timers(EtcdCall *call, uint64_t limit_usec)
{
    sd_event *event = call->session->event;
    int r = sd_event_add_time_relative(
            event, &call->deadline, CLOCK_MONOTONIC, limit_usec, 1000, on_deadline, call);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &call->rest, CLOCK_MONOTONIC, 0, 1000, on_rest, call);
    if (r >= 0)
        r = sd_event_source_set_enabled(call->rest, SD_EVENT_OFF);
    return r;
}

int etcd_call_new(EtcdSession *session, const EtcdRequest *request, const EtcdHandlers *handlers,
        void *userdata, EtcdCall **ret_call)
{
    _cleanup_(etcd_call_freep) EtcdCall *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    call->session = session;
    call->handlers = handlers;
    call->userdata = userdata;
    call->is_write = request->is_write;
    call->leader_end_usec = clock_now_usec(CLOCK_MONOTONIC) + session->times.leader_usec;
    call->method = request->method ? strdup(request->method) : NULL;
    call->path = strdup(request->path);
    call->body = request->body ? strdup(request->body) : NULL;
    if ((request->method && !call->method) || !call->path || (request->body && !call->body))
        return -ENOMEM;
    uint64_t limit_usec = request->limit_usec ? request->limit_usec : session->times.call_usec;
    int r = add_timers(call, limit_usec);
    if (r < 0)
        return r;
    begin_round(call);
    call->bad_endpoint = call->endpoint;
    r = attempt(call);
    if (r < 0)
        return r;
    *ret_call = TAKE_PTR(call);
    return 0;
}

void etcd_call_free(EtcdCall *call)
{
    if (!call)
        return;
    http_request_free(call->http);
    sd_event_source_disable_unref(call->deadline);
    sd_event_source_disable_unref(call->rest);
    free(call->method);
    free(call->path);
    free(call->body);
    free(call->answer);
    free(call);
}
