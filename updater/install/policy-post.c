/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/policy-post.h"

#include <errno.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/error-text.h"
#include "common/http-url.h"

#define N_TRIES 3u
#define RETRY_DELAY_USEC (2 * USEC_PER_SEC)
#define TOTAL_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define ANSWER_MAX_BYTES ((uint64_t)64 * 1024)

struct PolicyPost {
    HttpClient *http;
    const char *url;
    const void *policy;
    size_t n_bytes;
    uint64_t retry_delay_usec;
    PolicyPostDone *on_done;
    void *userdata;
    unsigned n_tries;
    HttpRequest *request;
    sd_event_source *timer; /* off while a request is under way */
};

/* Empty when it was taken. */
static ErrorText judge(
        const PolicyPost *post, HttpResult result, const HttpHead *head, const char *reason)
{
    ErrorText error = {};
    HttpUrlShown url = http_url_show(post->url);
    if (head->status >= 200 && head->status <= 299)
        return error;
    if (head->status > 0)
        error_say(&error, 0, "the PCR policy server %s answered with HTTP status %u", url.text,
                head->status);
    else
        error_say(&error, 0, "the PCR policy server %s did not answer: %s", url.text,
                result == HTTP_DONE ? "no status" : reason);
    return error;
}

static void on_answer(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *reason, void *userdata)
{
    PolicyPost *post = userdata;
    ErrorText error = judge(post, result, head, reason);
    bool may_help = head->status < 400 || head->status >= 500;
    post->request = NULL;
    http_request_free(request);
    if (error.line[0] && may_help && post->n_tries < N_TRIES) {
        uint64_t wait_usec = backoff_usec(post->n_tries, post->retry_delay_usec, UINT64_MAX);
        if (sd_event_source_set_time_relative(post->timer, wait_usec) >= 0 &&
                sd_event_source_set_enabled(post->timer, SD_EVENT_ONESHOT) >= 0)
            return;
    }
    post->on_done(error.line[0] ? error.line : NULL, post->userdata); /* may free the post */
}

static int try_it(PolicyPost *post)
{
    static const HttpHandlers handlers = {.on_done = on_answer};
    const char *const headers[] = {"Content-Type: application/zip", NULL};
    const HttpRequestOptions options = {
            .url = post->url,
            .post_body = post->policy,
            .n_post_body_bytes = post->n_bytes,
            .headers = headers,
            .limits = {.total_timeout_usec = TOTAL_TIMEOUT_USEC,
                    .max_body_bytes = ANSWER_MAX_BYTES},
    };
    post->n_tries++;
    return http_request_new(post->http, &options, &handlers, post, &post->request);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    PolicyPost *post = userdata;
    if (try_it(post) < 0)
        post->on_done("the PCR policy cannot be sent: not enough memory", post->userdata);
    return 0;
}

int policy_post_new(sd_event *event, HttpClient *http, const char *url, const void *policy,
        size_t n_bytes, uint64_t retry_delay_usec, PolicyPostDone *on_done, void *userdata,
        PolicyPost **ret_post)
{
    _cleanup_(policy_post_freep) PolicyPost *post = calloc(1, sizeof(*post));
    if (!post)
        return -ENOMEM;
    post->http = http;
    post->url = url;
    post->policy = policy;
    post->n_bytes = n_bytes;
    post->retry_delay_usec = retry_delay_usec ? retry_delay_usec : RETRY_DELAY_USEC;
    post->on_done = on_done;
    post->userdata = userdata;
    int r = sd_event_add_time_relative(event, &post->timer, CLOCK_MONOTONIC, 0, 1, on_timer, post);
    if (r >= 0)
        r = sd_event_source_set_enabled(post->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = try_it(post);
    if (r < 0)
        return r;
    *ret_post = TAKE_PTR(post);
    return 0;
}

void policy_post_free(PolicyPost *post)
{
    if (!post)
        return;
    http_request_free(post->request);
    sd_event_source_disable_unref(post->timer);
    free(post);
}
