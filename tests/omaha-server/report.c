/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "common/fd-io.h"

struct Report {
    int fd; /* -1: lines go nowhere */
};

int report_new(const char *path, Report **ret_report, ErrorText *error)
{
    _cleanup_(report_freep) Report *report = calloc(1, sizeof(*report));
    if (!report)
        return error_say(error, -ENOMEM, "out of memory");
    report->fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (path && report->fd < 0)
        return error_say(error, -errno, "cannot open %s: %s", path, strerror(errno));
    *ret_report = TAKE_PTR(report);
    return 0;
}

void report_free(Report *report)
{
    if (!report)
        return;
    safe_close(report->fd);
    free(report);
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* object is consumed; NULL means that it could not be made. */
static int append(const Report *report, json_t *object)
{
    _cleanup_free_ char *line = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!line)
        return -ENOMEM;
    size_t n = strlen(line);
    line[n] = '\n'; /* in the NUL's place: the length is passed on */
    return fd_write_full(report->fd, line, n + 1);
}

/* The attribute as the number it should be, else as the text it is. */
static json_t *number_or_text(const char *text)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (text[0] == '\0')
        return json_null();
    return *end == '\0' && errno == 0 ? json_integer(number) : json_string(text);
}

static json_t *events_to_json(const ClientRequest *request)
{
    json_t *events = json_array();
    for (size_t i = 0; i < request->n_events; i++) {
        const ClientEvent *event = &request->events[i];
        json_array_append_new(
                events, json_pack("{s:o, s:o, s:o, s:s}", "type", number_or_text(event->type),
                                "result", number_or_text(event->result), "errorcode",
                                number_or_text(event->error_code), "previousversion",
                                event->previous_version));
    }
    return events;
}

int report_client(
        Report *report, const ClientRequest *request, const char *verdict, const char *offered)
{
    if (report->fd < 0)
        return 0;
    return append(report,
            json_pack("{s:s, s:f, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:s,"
                      " s:s?}",
                    "kind", "client", "time", now_seconds(), "app", request->app_id, "version",
                    request->version, "track", request->track, "machineid", request->machine_id,
                    "board", request->board, "installsource", request->install_source, "ping",
                    request->has_ping, "updatecheck", request->has_check, "events",
                    events_to_json(request), "verdict", verdict, "offered", offered));
}

int report_payload(Report *report, const PayloadReport *payload)
{
    if (report->fd < 0)
        return 0;
    json_t *first = payload->is_part ? json_integer((json_int_t)payload->first_byte) : json_null();
    json_t *last = payload->is_part ? json_integer((json_int_t)payload->last_byte) : json_null();
    return append(report,
            json_pack("{s:s, s:f, s:s, s:s, s:s, s:s?, s:o, s:o, s:i, s:I, s:b}", "kind", "payload",
                    "time", now_seconds(), "method", payload->method, "path", payload->path,
                    "version", payload->version, "range", payload->range, "first", first, "last",
                    last, "status", (int)payload->status, "bytes_sent",
                    (json_int_t)payload->n_bytes_sent, "aborted", payload->is_aborted));
}
