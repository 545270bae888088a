/* SPDX-License-Identifier: Apache-2.0 */

/* The cluster's side of a session: endpoints, credentials, and how one HTTP request to a member is
 * made. How a call goes from member to member is in etcd-call.c. */

#include "locksmith/lock/etcd/etcd-session.h"

#include <string.h>

#include "common/clock.h"
#include "common/base64.h"
#include "locksmith/lock/etcd/etcd-session-private.h"
#include "locksmith/lock/tls-files.h"

#define MAX_BODY_BYTES (16 * 1024 * 1024)
#define MAX_STREAM_BYTES (64 * 1024 * 1024) /* dozens of the largest document, then anew */

/* endpoints */

static int take_endpoints(EtcdSession *session, const LockOptions *options)
{
    for (size_t i = 0; i < options->n_endpoints; i++) {
        const char *text = options->endpoints[i];
        size_t n_chars = strlen(text);
        session->endpoints[i] = strndup(text, n_chars - (text[n_chars - 1] == '/'));
        if (!session->endpoints[i])
            return -ENOMEM;
        session->n_endpoints++;
    }
    return 0;
}

/* credentials */

static int copy_text(const char *text, char **ret_copy)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return -ENOMEM;
    *ret_copy = copy;
    return 0;
}

/* v2 knows Basic alone (RFC 7617), over http as well: as Go locksmith does, where its operator
 * says so. */
static int make_basic(EtcdSession *session)
{
    _cleanup_free_ char *plain = NULL;
    if (asprintf(&plain, "%s:%s", session->user, session->password) < 0) {
        plain = NULL;
        return -ENOMEM;
    }
    size_t n_bytes = strlen(plain);
    static const char scheme[] = "Authorization: Basic ";
    session->authorization = malloc(sizeof(scheme) + 4 * ((n_bytes + 2) / 3));
    if (!session->authorization)
        return -ENOMEM;
    char *end = stpcpy(session->authorization, scheme);
    base64_encode(plain, n_bytes, end);
    explicit_bzero(plain, n_bytes);
    return 0;
}

static int take_credentials(EtcdSession *session, const LockOptions *options)
{
    int r = copy_text(options->ca_file, &session->ca_file);
    if (r >= 0)
        r = copy_text(options->cert_file, &session->cert_file);
    if (r >= 0)
        r = copy_text(options->key_file, &session->key_file);
    if (r >= 0)
        r = copy_text(options->user, &session->user);
    if (r >= 0)
        r = copy_text(options->password, &session->password);
    if (r >= 0 && options->user && options->store == LOCK_STORE_ETCD_V2)
        r = make_basic(session);
    return r;
}

int etcd_session_take_token(EtcdSession *session, const char *token)
{
    char *line = NULL;
    if (token && asprintf(&line, "Authorization: %s", token) < 0)
        return -ENOMEM;
    etcd_session_forget_token(session);
    session->authorization = line;
    session->has_logged_in = true;
    return 0;
}

void etcd_session_forget_token(EtcdSession *session)
{
    if (session->authorization)
        explicit_bzero(session->authorization, strlen(session->authorization));
    free(session->authorization);
    session->authorization = NULL;
    session->has_logged_in = false;
}

bool etcd_session_needs_login(const EtcdSession *session)
{
    return session->kind == LOCK_STORE_ETCD_V3 && session->user && !session->has_logged_in;
}

/* requests */

static int send_request(EtcdSession *session, size_t endpoint, const EtcdRequest *request,
        const HttpLimits *limits, const HttpHandlers *handlers, void *userdata,
        HttpRequest **ret_request)
{
    bool is_v3 = session->kind == LOCK_STORE_ETCD_V3;
    const char *headers[4] = {NULL};
    size_t n_headers = 0;
    if (is_v3)
        headers[n_headers++] = "Grpc-Metadata-hasleader: true"; /* without: silence for 7 s */
    if (request->body)
        headers[n_headers++] = is_v3 ? "Content-Type: application/json"
                                     : "Content-Type: application/x-www-form-urlencoded";
    if (session->authorization)
        headers[n_headers++] = session->authorization;
    _cleanup_free_ char *url = NULL;
    if (asprintf(&url, "%s%s", session->endpoints[endpoint], request->path) < 0) {
        url = NULL;
        return -ENOMEM;
    }
    HttpRequestOptions options = {
            .url = url,
            .method = request->method,
            .post_body = request->body,
            .n_post_body_bytes = request->body ? strlen(request->body) : 0,
            .headers = headers,
            .ca_file = session->ca_file,
            .cert_file = session->cert_file,
            .key_file = session->key_file,
            .limits = *limits,
    };
    options.limits.max_redirects = HTTP_NO_REDIRECTS; /* the login must not travel */
    return http_request_new(session->client, &options, handlers, userdata, ret_request);
}

int etcd_session_ask(EtcdSession *session, size_t endpoint, const EtcdRequest *request,
        const HttpHandlers *handlers, void *userdata, HttpRequest **ret_request)
{
    HttpLimits limits = {
            .connect_timeout_usec = session->times.connect_usec,
            .stall_timeout_usec = 2 * session->times.attempt_usec, /* the total is first */
            .total_timeout_usec = session->times.attempt_usec,
            .max_body_bytes = MAX_BODY_BYTES,
    };
    return send_request(session, endpoint, request, &limits, handlers, userdata, ret_request);
}

int etcd_session_stream(EtcdSession *session, const EtcdRequest *request, uint64_t total_usec,
        const HttpHandlers *handlers, void *userdata, HttpRequest **ret_request)
{
    HttpLimits limits = {
            .connect_timeout_usec = session->times.connect_usec,
            .stall_timeout_usec = 2 * total_usec, /* silence is how it should be */
            .total_timeout_usec = total_usec,
            .max_body_bytes = MAX_STREAM_BYTES,
    };
    return send_request(
            session, session->current, request, &limits, handlers, userdata, ret_request);
}

void etcd_session_rotate(EtcdSession *session)
{
    session->current = (session->current + 1) % session->n_endpoints;
}

sd_event *etcd_session_event(const EtcdSession *session)
{
    return session->event;
}

static EtcdTimes resolve_times(const EtcdTimes *times)
{
    EtcdTimes resolved = times ? *times : (EtcdTimes){0};
    if (resolved.connect_usec == 0)
        resolved.connect_usec = 3 * USEC_PER_SEC;
    if (resolved.attempt_usec == 0)
        resolved.attempt_usec = 10 * USEC_PER_SEC;
    if (resolved.call_usec == 0)
        resolved.call_usec = 25 * USEC_PER_SEC;
    if (resolved.leader_usec == 0)
        resolved.leader_usec = 8 * USEC_PER_SEC;
    return resolved;
}

int etcd_session_new(sd_event *event, HttpClient *client, const LockOptions *options,
        const EtcdTimes *times, EtcdSession **ret_session, ErrorText *error)
{
    int r = lock_options_check(options, error);
    if (r >= 0)
        r = tls_files_check(options, error);
    if (r < 0)
        return r;
    _cleanup_(etcd_session_freep) EtcdSession *session = calloc(1, sizeof(*session));
    if (!session)
        return -ENOMEM;
    session->event = sd_event_ref(event);
    session->client = client;
    session->kind = options->store;
    session->times = resolve_times(times);
    r = take_endpoints(session, options);
    if (r >= 0)
        r = take_credentials(session, options);
    if (r < 0)
        return r;
    *ret_session = TAKE_PTR(session);
    return 0;
}

void etcd_session_free(EtcdSession *session)
{
    if (!session)
        return;
    for (size_t i = 0; i < session->n_endpoints; i++)
        free(session->endpoints[i]);
    etcd_session_forget_token(session);
    free(session->ca_file);
    free(session->cert_file);
    free(session->key_file);
    free(session->user);
    if (session->password)
        explicit_bzero(session->password, strlen(session->password));
    free(session->password);
    sd_event_unref(session->event);
    free(session);
}
