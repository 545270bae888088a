/* SPDX-License-Identifier: Apache-2.0 */

/* Who owns what: the client owns the loop of transfers and its connections, a request its easy
 * handle and event sources. libcurl does not let a handle go while one of its callbacks runs, so a
 * request that is freed inside on_head or on_data is only marked there, and buried later. */

#include "common/http-client.h"

#include <string.h>

#include "common/curl-loop.h"
#include "common/http-request.h"

struct HttpClient {
    sd_event *event;
    CurlLoop *loop;
    char *user_agent;
    HttpRequest *dead; /* freed inside a callback, waiting for `bury` */
    sd_event_source *bury;
};

static void destroy(HttpRequest *request)
{
    http_request_done(request);
    free(request);
}

void http_request_free(HttpRequest *request)
{
    if (!request)
        return;
    HttpClient *client = request->client;
    if (!curl_loop_is_inside(client->loop)) {
        destroy(request);
        return;
    }
    request->is_dead = true;
    sd_event_source_set_enabled(request->defer, SD_EVENT_OFF);
    sd_event_source_set_enabled(request->stall_timer, SD_EVENT_OFF);
    request->next_dead = client->dead;
    client->dead = request;
    sd_event_source_set_enabled(client->bury, SD_EVENT_ONESHOT);
}

int http_request_new(HttpClient *client, const HttpRequestOptions *options,
        const HttpHandlers *handlers, void *userdata, HttpRequest **ret_request)
{
    _cleanup_(http_request_freep) HttpRequest *request = calloc(1, sizeof(*request));
    if (!request)
        return -ENOMEM;
    request->client = client;
    request->loop = client->loop;
    request->handlers = handlers;
    request->userdata = userdata;
    int r = http_request_init(request, client->event, options, client->user_agent);
    if (r < 0)
        return r;
    *ret_request = TAKE_PTR(request);
    return 0;
}

static void bury_dead(HttpClient *client)
{
    while (client->dead) {
        HttpRequest *request = client->dead;
        client->dead = request->next_dead;
        destroy(request);
    }
}

static int on_bury(sd_event_source *source, void *userdata)
{
    (void)source;
    bury_dead(userdata);
    return 0;
}

int http_client_new(sd_event *event, const char *user_agent, HttpClient **ret_client)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -ENOMEM;
    _cleanup_(http_client_freep) HttpClient *client = calloc(1, sizeof(*client));
    if (!client) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    client->event = sd_event_ref(event);
    client->user_agent = strdup(user_agent);
    if (!client->user_agent)
        return -ENOMEM;
    int r = sd_event_add_defer(event, &client->bury, on_bury, client);
    if (r >= 0)
        r = sd_event_source_set_enabled(client->bury, SD_EVENT_OFF);
    if (r >= 0)
        r = curl_loop_new(event, &client->loop);
    if (r < 0)
        return r;
    *ret_client = TAKE_PTR(client);
    return 0;
}

void http_client_free(HttpClient *client)
{
    if (!client)
        return;
    bury_dead(client);
    curl_loop_free(client->loop);
    sd_event_source_disable_unref(client->bury);
    sd_event_unref(client->event);
    free(client->user_agent);
    free(client);
    curl_global_cleanup();
}
