/* SPDX-License-Identifier: Apache-2.0 */

/* libcurl says which sockets it waits for (on_socket) and when it wants to be woken (on_timer);
 * sd-event tells it what happened (act). Finished transfers are collected after each such call,
 * outside of libcurl's callbacks, where its handles may be changed again.
 * libcurl-multi(3), curl_multi_socket_action(3). */

#include "common/curl-loop.h"

#include <errno.h>
#include <sys/epoll.h>

#define MAX_IDLE_CONNECTIONS 8L

struct CurlLoop {
    sd_event *event;
    CURLM *multi;
    sd_event_source *timer;
    bool is_inside;
};

static void collect(CurlLoop *loop)
{
    int n_left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(loop->multi, &n_left))) {
        CURLcode code = message->data.result;
        CurlTransfer *transfer;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        curl_multi_remove_handle(loop->multi, transfer->easy);
        transfer->on_finished(transfer, code);
    }
}

static void act(CurlLoop *loop, curl_socket_t fd, int what)
{
    int n_running;
    loop->is_inside = true;
    curl_multi_socket_action(loop->multi, fd, what, &n_running);
    loop->is_inside = false;
    collect(loop);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    int what = 0;
    if (events & (EPOLLIN | EPOLLHUP))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    act(userdata, fd, what);
    return 0;
}

static int on_time(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    act(userdata, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int on_timer(CURLM *multi, long timeout_msec, void *userdata)
{
    (void)multi;
    CurlLoop *loop = userdata;
    if (timeout_msec < 0)
        return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    int r = sd_event_source_set_time_relative(loop->timer, (uint64_t)timeout_msec * 1000);
    if (r >= 0)
        r = sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT);
    return r < 0 ? -1 : 0;
}

static int watch(CurlLoop *loop, curl_socket_t fd, uint32_t events, sd_event_source *source)
{
    if (!source) {
        int r = sd_event_add_io(loop->event, &source, fd, events, on_io, loop);
        if (r < 0)
            return r;
        curl_multi_assign(loop->multi, fd, source);
    }
    int r = sd_event_source_set_io_events(source, events);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* CURLMOPT_SOCKETFUNCTION; socket_data is the event source that was assigned to the socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
    (void)easy;
    CurlLoop *loop = userdata;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(socket_data);
        curl_multi_assign(loop->multi, fd, NULL);
        return 0;
    }
    uint32_t events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= EPOLLOUT;
    return watch(loop, fd, events, socket_data) < 0 ? -1 : 0;
}

int curl_loop_new(sd_event *event, CurlLoop **ret_loop)
{
    _cleanup_(curl_loop_freep) CurlLoop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return -ENOMEM;
    loop->event = sd_event_ref(event);
    int r = sd_event_add_time_relative(event, &loop->timer, CLOCK_MONOTONIC, 0, 1, on_time, loop);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
    if (r < 0)
        return r;
    loop->multi = curl_multi_init();
    if (!loop->multi)
        return -ENOMEM;
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS);
    *ret_loop = TAKE_PTR(loop);
    return 0;
}

void curl_loop_free(CurlLoop *loop)
{
    if (!loop)
        return;
    curl_multi_cleanup(loop->multi);
    sd_event_source_disable_unref(loop->timer);
    sd_event_unref(loop->event);
    free(loop);
}

bool curl_loop_is_inside(const CurlLoop *loop)
{
    return loop->is_inside;
}

int curl_loop_add(CurlLoop *loop, CurlTransfer *transfer)
{
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    return curl_multi_add_handle(loop->multi, transfer->easy) == CURLM_OK ? 0 : -ENOMEM;
}

void curl_loop_remove(CurlLoop *loop, CurlTransfer *transfer)
{
    curl_multi_remove_handle(loop->multi, transfer->easy);
}

void curl_loop_unpause(CurlLoop *loop, CurlTransfer *transfer)
{
    loop->is_inside = true;
    CURLcode code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    loop->is_inside = false;
    if (code != CURLE_OK) {
        curl_multi_remove_handle(loop->multi, transfer->easy);
        transfer->on_finished(transfer, code);
        return;
    }
    act(loop, CURL_SOCKET_TIMEOUT, 0);
}
