/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/script-server.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define MAX_REQUESTS 32
#define MAX_REQUEST_BYTES (64 * 1024)

typedef struct Connection Connection;

struct ScriptServer {
    sd_event *event;
    int fd;
    sd_event_source *source;
    unsigned port;
    const ScriptReply *replies;
    char *requests[MAX_REQUESTS];
    unsigned n_requests;
    unsigned n_connections;
    Connection *connections;
};

struct Connection {
    ScriptServer *server;
    int fd;
    sd_event_source *source;
    char *input; /* what came of the request under way */
    size_t n_input_bytes;
    const char *output; /* what is left of the reply under way */
    size_t n_output_bytes;
    ScriptThen then;
    Connection *next;
};

static void connection_free(Connection *connection)
{
    Connection **link = &connection->server->connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    sd_event_source_disable_unref(connection->source);
    close(connection->fd);
    free(connection->input);
    free(connection);
}

/* The size of the request at the beginning of the input, 0 while it is not whole. */
static size_t whole_request_bytes(const Connection *connection)
{
    const char *end = strstr(connection->input, "\r\n\r\n");
    if (!end)
        return 0;
    size_t n_bytes = (size_t)(end + 4 - connection->input);
    const char *length = strcasestr(connection->input, "\r\nContent-Length:");
    if (length && length < end)
        n_bytes += strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    return n_bytes <= connection->n_input_bytes ? n_bytes : 0;
}

static void take_request(Connection *connection, size_t n_bytes)
{
    ScriptServer *server = connection->server;
    ck_assert_uint_lt(server->n_requests, MAX_REQUESTS);
    server->requests[server->n_requests] = strndup(connection->input, n_bytes);
    connection->n_input_bytes -= n_bytes;
    memmove(connection->input, connection->input + n_bytes, connection->n_input_bytes + 1);

    const ScriptReply *reply = server->replies;
    for (unsigned i = 0; reply->text && i < server->n_requests; i++)
        reply++;
    server->n_requests++;
    connection->then = reply->text ? reply->then : SCRIPT_HANG;
    connection->output = reply->text ? reply->text : "";
    connection->n_output_bytes = reply->n_bytes ? reply->n_bytes : strlen(connection->output);
}

/* false: the connection is gone. */
static bool receive(Connection *connection)
{
    char data[16384];
    ssize_t n = recv(connection->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0) {
        connection_free(connection);
        return false;
    }
    ck_assert_uint_le(connection->n_input_bytes + (size_t)n, MAX_REQUEST_BYTES);
    memcpy(connection->input + connection->n_input_bytes, data, (size_t)n);
    connection->n_input_bytes += (size_t)n;
    connection->input[connection->n_input_bytes] = '\0';
    return true;
}

static bool send_some(Connection *connection)
{
    ssize_t n = send(connection->fd, connection->output, connection->n_output_bytes,
            MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        connection_free(connection);
        return false;
    }
    if (n > 0) {
        connection->output += n;
        connection->n_output_bytes -= (size_t)n;
    }
    return true;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)fd;
    Connection *connection = userdata;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(connection))
        return 0;
    bool is_idle = connection->n_output_bytes == 0 && connection->then == SCRIPT_KEEP;
    size_t n_bytes = is_idle ? whole_request_bytes(connection) : 0;
    if (n_bytes > 0)
        take_request(connection, n_bytes);
    if (connection->n_output_bytes > 0 && !send_some(connection))
        return 0;
    if (connection->n_output_bytes == 0 && connection->then == SCRIPT_CLOSE) {
        connection_free(connection);
        return 0;
    }
    sd_event_source_set_io_events(
            source, connection->n_output_bytes > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return 0;
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)events;
    ScriptServer *server = userdata;
    Connection *connection = calloc(1, sizeof(*connection));
    connection->server = server;
    connection->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(connection->fd, 0);
    connection->input = calloc(1, MAX_REQUEST_BYTES + 1);
    connection->next = server->connections;
    server->connections = connection;
    server->n_connections++;
    ck_assert_int_ge(sd_event_add_io(server->event, &connection->source, connection->fd, EPOLLIN,
                             on_connection, connection),
            0);
    return 0;
}

ScriptServer *script_server_new(sd_event *event, const ScriptReply *replies)
{
    ScriptServer *server = calloc(1, sizeof(*server));
    server->event = sd_event_ref(event);
    server->replies = replies;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n_bytes = sizeof(address);
    ck_assert_int_eq(bind(server->fd, (struct sockaddr *)&address, n_bytes), 0);
    ck_assert_int_eq(listen(server->fd, 16), 0);
    ck_assert_int_eq(getsockname(server->fd, (struct sockaddr *)&address, &n_bytes), 0);
    server->port = ntohs(address.sin_port);
    ck_assert_int_ge(
            sd_event_add_io(event, &server->source, server->fd, EPOLLIN, on_listen, server), 0);
    return server;
}

void script_server_free(ScriptServer *server)
{
    if (!server)
        return;
    while (server->connections)
        connection_free(server->connections);
    sd_event_source_disable_unref(server->source);
    close(server->fd);
    for (unsigned i = 0; i < server->n_requests; i++)
        free(server->requests[i]);
    sd_event_unref(server->event);
    free(server);
}

const char *script_server_url(const ScriptServer *server, const char *path)
{
    static char url[1024];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server->port, path);
    return url;
}

unsigned script_server_n_connections(const ScriptServer *server)
{
    return server->n_connections;
}

unsigned script_server_n_requests(const ScriptServer *server)
{
    return server->n_requests;
}

const char *script_server_request(const ScriptServer *server, unsigned n)
{
    ck_assert_uint_lt(n, server->n_requests);
    return server->requests[n];
}
