/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An etcd cluster as one thing to ask: several endpoints, who we are, and which member answered
 * last. Either API. Nothing blocks.
 *
 * A call goes from endpoint to endpoint, beginning with the last good one, until one member gives
 * an answer that settles it. No failure of one member is the call's: refused, unknown name, TLS,
 * silence, a cut, 5xx, no leader and nonsense alike lead on to the next one, with one exception: a
 * write that a member may have got and did not answer clearly ends with STORE_UNKNOWN. It is never
 * sent to a second member: the first may still carry it out, and its author can read how things
 * are. (Repeating it would do no harm either, for at most one of the tries can find the revision
 * that it compares with; but its second answer, "conflict", would then be a lie.) */

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/http-client.h"
#include "locksmith/lock/etcd/etcd-verdict.h"
#include "locksmith/lock/lock-options.h"
#include "locksmith/lock/lock-store.h"

typedef struct EtcdSession EtcdSession;
typedef struct EtcdCall EtcdCall;

/* How long what may take. 0 takes the default that is named. */
typedef struct {
    uint64_t connect_usec; /* 3 s */
    uint64_t attempt_usec; /* 10 s at one endpoint: etcd itself gives up after 7 s */
    uint64_t call_usec;    /* 25 s for all endpoints together */
    uint64_t leader_usec;  /* 8 s during which members without a leader are asked again */
} EtcdTimes;

/* client is borrowed for the session's life, options and times (NULL: the defaults) for the call;
 * options->store tells the API. Certificate files are read and checked.
 * Errors: -EINVAL with `error` (lock_options_check, tls_files_check), errno of a file with
 * `error`, -ENOMEM. */
int etcd_session_new(sd_event *event, HttpClient *client, const LockOptions *options,
        const EtcdTimes *times, EtcdSession **ret_session, ErrorText *error);
void etcd_session_free(EtcdSession *session); /* after all its calls */
DEFINE_CLEANUP(EtcdSession *, etcd_session_free);

typedef struct {
    const char *method;  /* NULL: POST with a body, GET without */
    const char *path;    /* with its query */
    const char *body;    /* NULL: none */
    bool is_write;       /* if so, it may be sent to one member alone */
    uint64_t limit_usec; /* in place of EtcdTimes.call_usec; 0: that */
} EtcdRequest;

typedef struct {
    /* Judges a member's answer, and keeps what it wants of it. May be called several times. */
    EtcdVerdict (*judge)(
            unsigned status, const char *body, size_t n_bytes, void *userdata, ErrorText *error);
    /* Exactly once, never from inside _new, last; freeing the call allowed inside. STORE_DONE: the
     * answer last judged is the one; it is never STORE_CONFLICT. n_sends: how often it may have
     * been sent, for the HTTP client repeats a request whose kept connection died. */
    void (*on_done)(EtcdCall *call, StoreResult result, unsigned n_sends, const char *error,
            void *userdata);
} EtcdHandlers;

/* request is copied, handlers borrowed for the call's life. Errors: -ENOMEM, errno of sd-event. */
int etcd_call_new(EtcdSession *session, const EtcdRequest *request, const EtcdHandlers *handlers,
        void *userdata, EtcdCall **ret_call);
void etcd_call_free(EtcdCall *call); /* cancels */
DEFINE_CLEANUP(EtcdCall *, etcd_call_free);

/* For a long answer: one HTTP request to the member that answered the last call, with what makes it
 * known to that. Ends after total_usec. Errors: as http_request_new. */
int etcd_session_stream(EtcdSession *session, const EtcdRequest *request, uint64_t total_usec,
        const HttpHandlers *handlers, void *userdata, HttpRequest **ret_request);

/* The next call is to begin with another member than the last one did. */
void etcd_session_rotate(EtcdSession *session);

/* The loop of the session; borrowed. */
sd_event *etcd_session_event(const EtcdSession *session);
