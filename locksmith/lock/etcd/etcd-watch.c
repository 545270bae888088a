/* SPDX-License-Identifier: Apache-2.0 */

/* A watch goes round: looking -> waiting -> paused -> looking. The pause is short after news and
 * after the planned end of a wait, and grows with each failure, so that no answer whatever makes
 * it a busy loop. A member that fails a wait is not asked next. */

#include "locksmith/lock/etcd/etcd-watch.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/random.h"
#include "locksmith/lock/etcd/line-splitter.h"

#define WAIT_USEC (10 * USEC_PER_MINUTE) /* then the connection is made anew: it may be dead */
#define WAIT_SPREAD_USEC USEC_PER_MINUTE
#define STEADY_USEC (30 * USEC_PER_SEC) /* a wait that lasted so long was no failure of now */
#define SHORT_PAUSE_USEC (USEC_PER_SEC / 4)
#define FIRST_PAUSE_USEC USEC_PER_SEC
#define LAST_PAUSE_USEC USEC_PER_MINUTE
#define REPORT_USEC USEC_PER_SEC /* between two calls of on_change */
#define MAX_LINE_BYTES (8 * 1024 * 1024)

typedef enum { WATCH_LOOKING, WATCH_WAITING, WATCH_PAUSED } WatchState;

typedef struct {
    StoreWatch watch; /* first */
    EtcdSession *session;
    const EtcdWatchOps *ops;
    const char *key;
    void (*on_change)(void *userdata);
    void *userdata;
    WatchState state;
    EtcdCall *look;
    HttpRequest *wait;
    LineSplitter lines;
    sd_event_source *pause;
    sd_event_source *report;
    uint64_t seen;       /* the revision that was reported last, or known at the start */
    uint64_t looked;     /* what the look said */
    uint64_t next;       /* where the wait begins, ... */
    uint64_t first_next; /* ... at the earliest: what was before is forgotten there */
    uint64_t wait_start_usec;
    bool has_news;
    bool is_outdated;
    unsigned n_failures; /* in a row */
    uint64_t reported_usec;
} EtcdWatch;

static void look(EtcdWatch *watch);

/* pausing */

static void pause_watch(EtcdWatch *watch)
{
    uint64_t wait_usec = watch->n_failures == 0 ? SHORT_PAUSE_USEC
                                                : backoff_usec(watch->n_failures, FIRST_PAUSE_USEC,
                                                          LAST_PAUSE_USEC);
    watch->state = WATCH_PAUSED;
    sd_event_source_set_time_relative(
            watch->pause, backoff_jitter_usec(wait_usec, wait_usec / 2, random_uint64()));
    sd_event_source_set_enabled(watch->pause, SD_EVENT_ONESHOT);
}

static int on_pause(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    look(userdata);
    return 0;
}

static void fail(EtcdWatch *watch)
{
    watch->n_failures++;
    pause_watch(watch);
}

/* reporting */

static int on_report(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec; /* when it was to be */
    EtcdWatch *watch = userdata;
    watch->reported_usec = clock_now_usec(CLOCK_MONOTONIC);
    watch->on_change(watch->userdata);
    return 0;
}

static void take_revision(EtcdWatch *watch, uint64_t revision)
{
    if (revision == watch->seen)
        return;
    watch->seen = revision;
    sd_event_source_set_time(
            watch->report, watch->reported_usec ? watch->reported_usec + REPORT_USEC : 0);
    sd_event_source_set_enabled(watch->report, SD_EVENT_ONESHOT);
}

/* waiting */

static bool on_line(const char *line, size_t n_bytes, void *userdata)
{
    EtcdWatch *watch = userdata;
    ErrorText error;
    uint64_t revision;
    switch (watch->ops->read_news(line, n_bytes, &revision, &error)) {
    case ETCD_NEWS_NONE:
        return true;
    case ETCD_NEWS_CHANGED:
        watch->has_news = true;
        take_revision(watch, revision);
        return true;
    case ETCD_NEWS_OUTDATED:
        watch->is_outdated = true;
        watch->first_next = revision + 1;
        return false;
    case ETCD_NEWS_ENDED:
        return false;
    }
    return false;
}

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    EtcdWatch *watch = userdata;
    int r = line_splitter_add(&watch->lines, data, n_bytes, MAX_LINE_BYTES, on_line, watch);
    return r == 0 ? HTTP_GO_ON : HTTP_ABORT;
}

static void on_wait_done(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)request;
    (void)head;
    (void)error;
    EtcdWatch *watch = userdata;
    uint64_t lasted_usec = clock_now_usec(CLOCK_MONOTONIC) - watch->wait_start_usec;
    line_splitter_finish(&watch->lines, on_line, watch);
    http_request_free(TAKE_PTR(watch->wait));

    bool is_planned = watch->is_outdated || (result == HTTP_DONE && watch->has_news) ||
                      (result == HTTP_TIMED_OUT && lasted_usec >= WAIT_USEC / 2);
    if (!is_planned)
        etcd_session_rotate(watch->session);
    if (is_planned && lasted_usec >= FIRST_PAUSE_USEC)
        watch->n_failures = 0;
    else if (lasted_usec >= STEADY_USEC)
        watch->n_failures = 1;
    else
        watch->n_failures++;
    pause_watch(watch);
}

static void wait_for_news(EtcdWatch *watch)
{
    static const HttpHandlers handlers = {.on_data = on_data, .on_done = on_wait_done};
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *body = NULL;
    uint64_t random = random_uint64();
    watch->state = WATCH_WAITING;
    watch->wait_start_usec = clock_now_usec(CLOCK_MONOTONIC);
    watch->has_news = false;
    watch->is_outdated = false;
    watch->lines.n_bytes = 0;
    int r = watch->ops->make_wait(watch->key, watch->next, &path, &body);
    if (r >= 0)
        r = etcd_session_stream(watch->session, &(EtcdRequest){.path = path, .body = body},
                backoff_jitter_usec(WAIT_USEC, WAIT_SPREAD_USEC, random), &handlers, watch,
                &watch->wait);
    if (r < 0)
        fail(watch);
}

/* looking */

static EtcdVerdict judge_look(
        unsigned status, const char *body, size_t n_bytes, void *userdata, ErrorText *error)
{
    EtcdWatch *watch = userdata;
    return watch->ops->read_look(status, body, n_bytes, &watch->looked, &watch->next, error);
}

static void on_look_done(
        EtcdCall *call, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)call;
    (void)n_sends;
    (void)error;
    EtcdWatch *watch = userdata;
    etcd_call_free(TAKE_PTR(watch->look));
    if (result != STORE_DONE) {
        fail(watch);
        return;
    }
    take_revision(watch, watch->looked);
    watch->next = MAX(watch->next, watch->first_next);
    watch->first_next = 0; /* of one wait: who said so may have lied */
    wait_for_news(watch);
}

static int start_look(EtcdWatch *watch)
{
    static const EtcdHandlers handlers = {.judge = judge_look, .on_done = on_look_done};
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *body = NULL;
    watch->state = WATCH_LOOKING;
    int r = watch->ops->make_look(watch->key, &path, &body);
    if (r < 0)
        return r;
    return etcd_call_new(watch->session, &(EtcdRequest){.path = path, .body = body}, &handlers,
            watch, &watch->look);
}

static void look(EtcdWatch *watch)
{
    if (start_look(watch) < 0)
        fail(watch);
}

/* making and releasing */

static void etcd_watch_free(StoreWatch *store_watch)
{
    EtcdWatch *watch = (EtcdWatch *)store_watch;
    etcd_call_free(watch->look);
    http_request_free(watch->wait);
    line_splitter_done(&watch->lines);
    sd_event_source_disable_unref(watch->pause);
    sd_event_source_disable_unref(watch->report);
    free(watch);
}

static int add_timer(
        EtcdWatch *watch, sd_event_time_handler_t handler, sd_event_source **ret_source)
{
    int r = sd_event_add_time(etcd_session_event(watch->session), ret_source, CLOCK_MONOTONIC, 0,
            1000, handler, watch);
    return r < 0 ? r : sd_event_source_set_enabled(*ret_source, SD_EVENT_OFF);
}

int etcd_watch_new(EtcdSession *session, const EtcdWatchOps *ops, const char *key,
        uint64_t revision, void (*on_change)(void *userdata), void *userdata,
        StoreWatch **ret_watch)
{
    EtcdWatch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    _cleanup_(store_watch_freep) StoreWatch *guard = &watch->watch;
    watch->watch.free = etcd_watch_free;
    watch->session = session;
    watch->ops = ops;
    watch->key = key;
    watch->seen = revision;
    watch->on_change = on_change;
    watch->userdata = userdata;
    int r = add_timer(watch, on_pause, &watch->pause);
    if (r >= 0)
        r = add_timer(watch, on_report, &watch->report);
    if (r >= 0)
        r = start_look(watch);
    if (r < 0)
        return r;
    *ret_watch = TAKE_PTR(guard);
    return 0;
}
