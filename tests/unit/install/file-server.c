/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/install/file-server.h"

#include <arpa/inet.h>
#include <check.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/cleanup.h"

typedef struct Peer Peer;

struct FileServerLoop {
    sd_event *event;
    sd_event_source *source;
    int fd;
    char url[64];
    Peer *peers;
};

/* One connection and the answer under way. */
struct Peer {
    FileServer *server;
    int fd;
    sd_event_source *source;
    sd_event_source *drip_timer; /* until the next byte may go */
    char request[8192];
    size_t n_request_bytes;
    char head[1024];
    size_t n_head_bytes; /* of head, left to send */
    size_t head_at;
    const uint8_t *body;
    size_t n_body_bytes; /* left to send */
    bool ends_then;
    Peer *next;
};

static void peer_free(Peer *peer)
{
    Peer **link = &peer->server->loop->peers;
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    sd_event_source_disable_unref(peer->source);
    sd_event_source_disable_unref(peer->drip_timer);
    close(peer->fd);
    free(peer);
}

static void copy_header(const char *request, const char *name, char *ret_value, size_t n_room)
{
    ret_value[0] = '\0';
    const char *at = strcasestr(request, name);
    if (at)
        snprintf(ret_value, n_room, "%.*s", (int)strcspn(at + strlen(name), "\r\n"),
                at + strlen(name));
}

static void answer(Peer *peer)
{
    FileServer *server = peer->server;
    server->n_requests++;
    char range[64];
    copy_header(peer->request, "\r\nRange: bytes=", range, sizeof(range));
    copy_header(peer->request, "\r\nIf-Range: ", server->if_range, sizeof(server->if_range));
    uint64_t first = 0, last = server->n_bytes - 1;
    bool has_range = sscanf(range, "%" SCNu64 "-%" SCNu64, &first, &last) >= 1;
    server->first_byte = first;
    last = MIN(last, server->n_bytes - 1);
    bool is_other_file = server->if_range[0] && !server->ignores_if_range &&
                         (!server->etag || strcmp(server->if_range, server->etag) != 0);
    if (server->has_no_ranges || is_other_file) {
        has_range = false;
        first = 0;
        last = server->n_bytes - 1;
    }
    unsigned status = server->status             ? server->status
                      : !has_range               ? 200
                      : first >= server->n_bytes ? 416
                                                 : 206;
    peer->body = server->data + first;
    peer->n_body_bytes = status < 300 ? (size_t)(last - first + 1) : 0;
    uint64_t length = peer->n_body_bytes + (status == 200 ? server->n_extra_bytes : 0);
    char *at = peer->head;
    at += sprintf(at, "HTTP/1.1 %u Word\r\n", status);
    if (!server->has_no_length)
        at += sprintf(at, "Content-Length: %" PRIu64 "\r\n", length);
    else
        at += sprintf(at, "Connection: close\r\n");
    if (server->etag)
        at += sprintf(at, "ETag: %s\r\n", server->etag);
    if (status == 206)
        at += sprintf(at, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                first + server->range_shift, last + server->range_shift,
                server->n_bytes + server->n_extra_bytes);
    at += sprintf(at, "\r\n");
    peer->head_at = 0;
    peer->n_head_bytes = (size_t)(at - peer->head);
    peer->ends_then = server->has_no_length || server->n_extra_bytes > 0;
    if (server->n_cut_bytes && server->n_cuts && peer->n_body_bytes > server->n_cut_bytes) {
        server->n_cuts--;
        peer->n_body_bytes = server->n_cut_bytes;
        peer->ends_then = true;
    }
}

static bool receive(Peer *peer)
{
    ssize_t n = recv(peer->fd, peer->request + peer->n_request_bytes,
            sizeof(peer->request) - 1 - peer->n_request_bytes, MSG_DONTWAIT);
    if (n < 0)
        return true;
    if (n == 0)
        return false;
    peer->n_request_bytes += (size_t)n;
    peer->request[peer->n_request_bytes] = '\0';
    if (!strstr(peer->request, "\r\n\r\n"))
        return true;
    peer->n_request_bytes = 0;
    answer(peer);
    return true;
}

static int on_drip(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)now_usec;
    Peer *peer = userdata;
    peer->drip_timer = sd_event_source_disable_unref(source);
    sd_event_source_set_io_events(peer->source, EPOLLIN | EPOLLOUT);
    return 0;
}

static void wait_for_drip(Peer *peer)
{
    ck_assert_int_eq(sd_event_add_time_relative(peer->server->loop->event, &peer->drip_timer,
                             CLOCK_MONOTONIC, peer->server->drip_usec, 1, on_drip, peer),
            0);
}

/* false: the connection ended. */
static bool send_some(Peer *peer)
{
    const uint8_t *data = peer->n_head_bytes ? (uint8_t *)peer->head + peer->head_at : peer->body;
    size_t n_most = peer->server->drip_usec ? 1 : 65536;
    size_t n_bytes = peer->n_head_bytes ? peer->n_head_bytes : MIN(peer->n_body_bytes, n_most);
    ssize_t n = send(peer->fd, data, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN;
    if (peer->n_head_bytes) {
        peer->head_at += (size_t)n;
        peer->n_head_bytes -= (size_t)n;
    } else {
        peer->body += n;
        peer->n_body_bytes -= (size_t)n;
        peer->server->n_sent_bytes += (uint64_t)n;
        if (peer->server->drip_usec)
            wait_for_drip(peer);
    }
    return true;
}

static bool is_sending(const Peer *peer)
{
    return !peer->drip_timer && (peer->n_head_bytes > 0 || peer->n_body_bytes > 0);
}

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)fd;
    Peer *peer = userdata;
    bool is_alive = true;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        is_alive = receive(peer);
    if (is_alive && is_sending(peer)) {
        is_alive = send_some(peer);
        if (is_alive && !is_sending(peer) && peer->ends_then)
            is_alive = false;
    }
    if (!is_alive) {
        peer_free(peer);
        return 0;
    }
    sd_event_source_set_io_events(source, is_sending(peer) ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return 0;
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)events;
    FileServer *server = userdata;
    Peer *peer = calloc(1, sizeof(*peer));
    ck_assert_ptr_nonnull(peer);
    peer->server = server;
    peer->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(peer->fd, 0);
    peer->next = server->loop->peers;
    server->loop->peers = peer;
    ck_assert_int_eq(
            sd_event_add_io(server->loop->event, &peer->source, peer->fd, EPOLLIN, on_peer, peer),
            0);
    return 0;
}

void file_server_start(FileServer *server, sd_event *event)
{
    FileServerLoop *loop = calloc(1, sizeof(*loop));
    ck_assert_ptr_nonnull(loop);
    server->loop = loop;
    loop->event = sd_event_ref(event);
    loop->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    ck_assert_int_eq(bind(loop->fd, (struct sockaddr *)&address, n), 0);
    ck_assert_int_eq(listen(loop->fd, 8), 0);
    ck_assert_int_eq(getsockname(loop->fd, (struct sockaddr *)&address, &n), 0);
    snprintf(loop->url, sizeof(loop->url), "http://127.0.0.1:%u/payload",
            (unsigned)ntohs(address.sin_port));
    ck_assert_int_eq(
            sd_event_add_io(event, &loop->source, loop->fd, EPOLLIN, on_listen, server), 0);
}

void file_server_stop(FileServer *server)
{
    FileServerLoop *loop = server->loop;
    while (loop->peers)
        peer_free(loop->peers);
    sd_event_source_disable_unref(loop->source);
    close(loop->fd);
    sd_event_unref(loop->event);
    free(loop);
    server->loop = NULL;
}

const char *file_server_url(const FileServer *server)
{
    return server->loop->url;
}
