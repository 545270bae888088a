/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/lab-server.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/omaha-server/client-request.h"
#include "tests/omaha-server/exchange.h"

#define CONNECTIONS_MAX 256
#define IDLE_TIMEOUT_SEC 300
#define DISCARDED_MAX_BYTES ((size_t)16 << 20) /* of a body that is too large already */

struct LabServer {
    Lab lab;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result route(Exchange *exchange)
{
    if (strcmp(exchange->path, "/v1/update/") == 0 || strcmp(exchange->path, "/v1/update") == 0)
        return update_endpoint(exchange);
    return payload_endpoint(exchange);
}

/* The announced length alone may be too much: then nothing of it is waited for. */
static bool announces_too_much(struct MHD_Connection *connection)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return text && strtoull(text, NULL, 10) > CLIENT_REQUEST_MAX_BYTES;
}

static enum MHD_Result begin(const Lab *lab, struct MHD_Connection *connection, const char *url,
        const char *method, void **ret_exchange)
{
    Exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return MHD_NO;
    exchange->lab = lab;
    exchange->connection = connection;
    snprintf(exchange->method, sizeof(exchange->method), "%s", method);
    snprintf(exchange->path, sizeof(exchange->path), "%s", url);
    *ret_exchange = exchange;
    if (!announces_too_much(connection))
        return MHD_YES;
    exchange->is_body_too_large = true;
    return exchange_answer_text(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Request too large.\n");
}

static enum MHD_Result take_body(Exchange *exchange, const char *data, size_t n_bytes)
{
    size_t n_all = exchange->n_body_bytes + n_bytes;
    if (n_all > CLIENT_REQUEST_MAX_BYTES) {
        exchange->is_body_too_large = true;
        exchange->n_body_bytes = n_all;
        return n_all > DISCARDED_MAX_BYTES ? MHD_NO : MHD_YES;
    }
    char *body = realloc(exchange->body, n_all + 1);
    if (!body)
        return MHD_NO;
    memcpy(body + exchange->n_body_bytes, data, n_bytes);
    body[n_all] = '\0';
    exchange->body = body;
    exchange->n_body_bytes = n_all;
    return MHD_YES;
}

/* Called for the head, for each piece of the body, and when that is whole. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection,
        const char *url, const char *method, const char *version, const char *upload_data,
        size_t *n_upload_bytes, void **exchange)
{
    const LabServer *server = userdata;
    (void)version;
    if (!*exchange)
        return begin(&server->lab, connection, url, method, exchange);
    if (*n_upload_bytes > 0) {
        size_t n_bytes = *n_upload_bytes;
        *n_upload_bytes = 0;
        return take_body(*exchange, upload_data, n_bytes);
    }
    return route(*exchange);
}

/* One line, in which whatever the client sent is printable ASCII. */
static void log_exchange(const Exchange *exchange, bool is_aborted)
{
    ErrorText line = {};
    char sent[64] = "";
    if (exchange->is_payload)
        snprintf(sent, sizeof(sent), ", %llu bytes sent",
                (unsigned long long)exchange->payload.n_bytes_sent);
    bool has_note = exchange->note.line[0] != '\0' || exchange->range_text[0] != '\0';
    error_say(&line, 0, "%s %.200s %u%s%s%s%s%s", exchange->method, exchange->path,
            exchange->status, has_note ? " " : "", exchange->range_text, exchange->note.line, sent,
            is_aborted ? ", aborted" : "");
    for (char *c = line.line; *c; c++)
        if ((unsigned char)*c > 0x7e)
            *c = '?';
    fprintf(stderr, "omaha-server: %s\n", line.line);
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **exchange_pointer,
        enum MHD_RequestTerminationCode how)
{
    Exchange *exchange = *exchange_pointer;
    (void)userdata;
    (void)connection;
    if (!exchange)
        return;
    bool is_aborted = how != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    log_exchange(exchange, is_aborted);
    if (exchange->is_payload) {
        exchange->payload.status = exchange->status;
        exchange->payload.is_aborted = is_aborted;
        int r = report_payload(exchange->lab->options.report, &exchange->payload);
        if (r < 0)
            fprintf(stderr, "omaha-server: cannot write the report: %s\n", strerror(-r));
    }
    free(exchange->body);
    free(exchange);
    *exchange_pointer = NULL;
}

/* Takes ADDRESS:PORT apart at its last colon; *ret_host is new. */
static int split_address(const char *text, char **ret_host, const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t n_digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (n_digits == 0 || n_digits > 5 || colon[1 + n_digits] != '\0' || colon == text ||
            strtoul(colon + 1, NULL, 10) > UINT16_MAX)
        return -EINVAL;
    bool has_brackets = text[0] == '[' && colon[-1] == ']';
    char *host = has_brackets ? strndup(text + 1, (size_t)(colon - text) - 2)
                              : strndup(text, (size_t)(colon - text));
    if (!host)
        return -ENOMEM;
    *ret_host = host;
    *ret_port = colon + 1;
    return 0;
}

static int open_socket(const struct addrinfo *address)
{
    _cleanup_close_ int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* Returns the listening socket. */
static int listen_at(const char *listen_address, ErrorText *error)
{
    _cleanup_free_ char *host = NULL;
    const char *port;
    int r = split_address(listen_address, &host, &port);
    if (r < 0)
        return error_say(error, r,
                "cannot listen at '%.100s': say ADDRESS:PORT, such as"
                " 127.0.0.1:8080",
                listen_address);
    struct addrinfo *address;
    const struct addrinfo hints = {
            .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, port, &hints, &address) != 0)
        return error_say(
                error, -EINVAL, "'%.100s' is no address and port in numbers", listen_address);
    int fd = open_socket(address);
    freeaddrinfo(address);
    return fd < 0 ? error_say(error, fd, "cannot listen at %s: %s", listen_address, strerror(-fd))
                  : fd;
}

static int name_socket(int fd, char *ret_address, size_t n_bytes)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof(address);
    char host[64], port[8];
    if (getsockname(fd, (struct sockaddr *)&address, &n) < 0)
        return -errno;
    if (getnameinfo((struct sockaddr *)&address, n, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -EINVAL;
    bool is_ipv6 = address.ss_family == AF_INET6;
    snprintf(ret_address, n_bytes, is_ipv6 ? "[%s]:%s" : "%s:%s", host, port);
    return 0;
}

int lab_server_new(const LabOptions *options, const char *listen_address, LabServer **ret_server,
        ErrorText *error)
{
    _cleanup_(lab_server_freep) LabServer *server = calloc(1, sizeof(*server));
    if (!server)
        return error_say(error, -ENOMEM, "out of memory");
    server->lab = (Lab){.options = *options, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    if (server->lab.stop_fd < 0)
        return error_say(error, -errno, "cannot make an eventfd: %s", strerror(errno));
    _cleanup_close_ int fd = listen_at(listen_address, error);
    if (fd < 0)
        return fd;
    int r = name_socket(fd, server->lab.address, sizeof(server->lab.address));
    if (r < 0)
        return error_say(error, r, "cannot name the socket: %s", strerror(-r));
    server->daemon =
            MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                                     MHD_USE_POLL | MHD_USE_ERROR_LOG,
                    0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_CONNECTION_LIMIT,
                    (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                    (unsigned)IDLE_TIMEOUT_SEC, MHD_OPTION_END);
    if (!server->daemon)
        return error_say(error, -EIO, "cannot start the HTTP server");
    TAKE_FD(fd); /* the daemon's now */
    *ret_server = TAKE_PTR(server);
    return 0;
}

const char *lab_server_address(const LabServer *server)
{
    return server->lab.address;
}

void lab_server_free(LabServer *server)
{
    if (!server)
        return;
    if (server->daemon) {
        eventfd_write(server->lab.stop_fd, 1); /* wakes those that stall on purpose */
        MHD_stop_daemon(server->daemon);
    }
    safe_close(server->lab.stop_fd);
    free(server);
}
