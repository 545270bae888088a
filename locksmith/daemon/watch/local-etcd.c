/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/watch/local-etcd.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/http-client.h"
#include "common/http-url.h"

/* First a bare connection, whose errno is clear, and which costs a host without etcd no HTTP; then
 * GET /version, which every etcd since 2.0 answers without authentication. */

#define CONNECT_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define ANSWER_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define MAX_ANSWER_BYTES 4096

struct LocalEtcd {
    sd_event *event;
    char *url; /* with /version */
    char where[128];
    void (*on_done)(LocalEtcd *etcd, LocalEtcdResult result, const char *text, void *userdata);
    void *userdata;
    int fd;
    sd_event_source *connection;
    sd_event_source *timer;
    HttpClient *client;
    HttpRequest *request;
    char answer[MAX_ANSWER_BYTES];
    size_t n_answer_bytes;
};

_printf_(3, 4) static void finish(LocalEtcd *etcd, LocalEtcdResult result, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    etcd->connection = sd_event_source_disable_unref(etcd->connection);
    etcd->timer = sd_event_source_disable_unref(etcd->timer);
    etcd->on_done(etcd, result, text, etcd->userdata);
}

static bool is_etcd(const LocalEtcd *etcd)
{
    json_t *root = json_loadb(etcd->answer, etcd->n_answer_bytes, 0, NULL);
    bool is_it = json_is_string(json_object_get(root, "etcdserver"));
    json_decref(root);
    return is_it;
}

static HttpFlow on_data(HttpRequest *request, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)request;
    LocalEtcd *etcd = userdata;
    if (n_bytes > sizeof(etcd->answer) - etcd->n_answer_bytes)
        return HTTP_ABORT;
    memcpy(etcd->answer + etcd->n_answer_bytes, data, n_bytes);
    etcd->n_answer_bytes += n_bytes;
    return HTTP_GO_ON;
}

static void on_answer(HttpRequest *request, HttpResult result, const HttpHead *head,
        const char *error, void *userdata)
{
    (void)request;
    LocalEtcd *etcd = userdata;
    if (result == HTTP_DONE && head->status == 200 && is_etcd(etcd))
        finish(etcd, LOCAL_ETCD_ANSWERS, "an etcd answers at %s", etcd->where);
    else if (result == HTTP_DONE || result == HTTP_ABORTED)
        finish(etcd, LOCAL_ETCD_UNCLEAR,
                "what listens at %s does not answer as etcd does; set LOCKSMITHD_ENDPOINT to the "
                "cluster, or REBOOT_STRATEGY=reboot",
                etcd->where);
    else
        finish(etcd, LOCAL_ETCD_UNCLEAR,
                "no clear answer at %s (%s); set LOCKSMITHD_ENDPOINT to the cluster, or "
                "REBOOT_STRATEGY=reboot",
                etcd->where, error);
}

static void ask(LocalEtcd *etcd)
{
    static const HttpHandlers handlers = {.on_data = on_data, .on_done = on_answer};
    HttpRequestOptions options = {
            .url = etcd->url,
            .limits = {.total_timeout_usec = ANSWER_TIMEOUT_USEC,
                    .max_body_bytes = MAX_ANSWER_BYTES,
                    .max_redirects = HTTP_NO_REDIRECTS},
    };
    int r = http_client_new(etcd->event, "locksmith/" FLIPSIDE_VERSION, &etcd->client);
    if (r >= 0)
        r = http_request_new(etcd->client, &options, &handlers, etcd, &etcd->request);
    if (r < 0)
        finish(etcd, LOCAL_ETCD_UNCLEAR, "cannot ask %s: %s", etcd->where, strerror(-r));
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)events;
    LocalEtcd *etcd = userdata;
    int connect_errno = 0;
    socklen_t n_bytes = sizeof(connect_errno);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &connect_errno, &n_bytes) < 0)
        connect_errno = errno;
    etcd->connection = sd_event_source_disable_unref(etcd->connection);
    etcd->timer = sd_event_source_disable_unref(etcd->timer);
    etcd->fd = safe_close(etcd->fd);
    if (connect_errno == 0)
        ask(etcd);
    else if (connect_errno == ECONNREFUSED)
        finish(etcd, LOCAL_ETCD_REFUSED, "nobody listens at %s", etcd->where);
    else
        finish(etcd, LOCAL_ETCD_UNCLEAR, "cannot reach %s: %s", etcd->where,
                strerror(connect_errno));
    return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    LocalEtcd *etcd = userdata;
    finish(etcd, LOCAL_ETCD_UNCLEAR, "%s takes no connection", etcd->where);
    return 0;
}

/* Refused at once or later, the socket tells through the loop. */
static int begin(LocalEtcd *etcd, const HttpUrl *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)url->port)};
    if (url->is_https || inet_pton(AF_INET, url->host, &address.sin_addr) != 1)
        return -EINVAL;
    etcd->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (etcd->fd < 0)
        return -errno;
    int r = connect(etcd->fd, (struct sockaddr *)&address, sizeof(address));
    if (r < 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
        return -errno;
    r = sd_event_add_io(etcd->event, &etcd->connection, etcd->fd, EPOLLOUT, on_connected, etcd);
    if (r >= 0)
        r = sd_event_add_time_relative(etcd->event, &etcd->timer, CLOCK_BOOTTIME,
                CONNECT_TIMEOUT_USEC, 0, on_timeout, etcd);
    return r;
}

int local_etcd_new(sd_event *event, const char *url,
        void (*on_done)(LocalEtcd *etcd, LocalEtcdResult result, const char *text, void *userdata),
        void *userdata, LocalEtcd **ret_etcd)
{
    _cleanup_(local_etcd_freep) LocalEtcd *etcd = calloc(1, sizeof(*etcd));
    if (!etcd)
        return -ENOMEM;
    *etcd = (LocalEtcd){
            .event = sd_event_ref(event), .on_done = on_done, .userdata = userdata, .fd = -1};
    _cleanup_(http_url_done) HttpUrl parsed = {};
    int r = http_url_parse(url, &parsed);
    if (r < 0)
        return r;
    if (asprintf(&etcd->url, "http://%s:%u/version", parsed.host, parsed.port) < 0)
        return -ENOMEM;
    snprintf(etcd->where, sizeof(etcd->where), "%s:%u", parsed.host, parsed.port);
    r = begin(etcd, &parsed);
    if (r < 0)
        return r;
    *ret_etcd = TAKE_PTR(etcd);
    return 0;
}

void local_etcd_free(LocalEtcd *etcd)
{
    if (!etcd)
        return;
    http_request_free(etcd->request);
    http_client_free(etcd->client);
    sd_event_source_disable_unref(etcd->connection);
    sd_event_source_disable_unref(etcd->timer);
    safe_close(etcd->fd);
    sd_event_unref(etcd->event);
    free(etcd->url);
    free(etcd);
}
