/* SPDX-License-Identifier: Apache-2.0 */

/* Drives one fetch from a test: ranges, "FIRST END" a line, come on standard input, their bytes go
 * to standard output one after the other, and how it went is a JSON object on standard error.
 *
 * usage: fetch-tool [total=BYTES] [failures=N] [retry-usec=N] [stall-usec=N] [rate=BYTES]
 *                   [pause-every=BYTES] URL...
 *
 * After an interruption a range that is begun is wanted again from its start. With pause-every,
 * no more than so many bytes are taken before the fetch is let pause until the loop comes round.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "updater/fetch/fetch.h"

typedef struct {
    sd_event *event;
    sd_event_source *resume;
    Fetch *fetch;
    FetchRange *ranges;
    size_t n_ranges;
    size_t range;  /* the one under way */
    uint8_t *data; /* all that has come */
    size_t n_bytes;
    size_t range_at; /* of the range under way, in data */
    uint64_t pause_every_bytes, n_until_pause_bytes;
    unsigned n_rewinds, n_pauses;
    UpdateError code;
    char error[512];
} Tool;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "fetch-tool: %s\n", what);
    exit(2);
}

static size_t on_data(
        Fetch *fetch, uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)fetch;
    Tool *tool = userdata;
    FetchRange range = tool->ranges[tool->range];
    if (offset_bytes != range.first_bytes + (tool->n_bytes - tool->range_at) ||
            n_bytes > range.end_bytes - offset_bytes)
        die("bytes came that were not next");
    size_t n = n_bytes;
    if (tool->pause_every_bytes) {
        n = (size_t)MIN((uint64_t)n_bytes, tool->n_until_pause_bytes);
        tool->n_until_pause_bytes -= n;
        if (n < n_bytes) {
            tool->n_pauses++;
            sd_event_source_set_enabled(tool->resume, SD_EVENT_ONESHOT);
        }
    }
    memcpy(tool->data + tool->n_bytes, data, n);
    tool->n_bytes += n;
    if (offset_bytes + n == range.end_bytes) {
        tool->range++;
        tool->range_at = tool->n_bytes;
    }
    return n;
}

static int on_resume(sd_event_source *source, void *userdata)
{
    (void)source;
    Tool *tool = userdata;
    tool->n_until_pause_bytes = tool->pause_every_bytes;
    fetch_resume(tool->fetch);
    return 0;
}

static uint64_t on_rewind(Fetch *fetch, uint64_t offset_bytes, void *userdata)
{
    (void)fetch;
    Tool *tool = userdata;
    if (tool->n_bytes == tool->range_at)
        return offset_bytes;
    tool->n_rewinds++;
    tool->n_bytes = tool->range_at;
    return tool->ranges[tool->range].first_bytes;
}

static void on_done(Fetch *fetch, UpdateError code, const char *error, void *userdata)
{
    (void)fetch;
    Tool *tool = userdata;
    tool->code = code;
    snprintf(tool->error, sizeof(tool->error), "%s", error);
    sd_event_exit(tool->event, 0);
}

static const FetchHandlers handlers = {
        .on_data = on_data, .on_rewind = on_rewind, .on_done = on_done};

static void read_ranges(Tool *tool)
{
    uint64_t n_bytes = 0;
    FetchRange range;
    while (scanf("%" SCNu64 " %" SCNu64, &range.first_bytes, &range.end_bytes) == 2) {
        tool->ranges = reallocarray(tool->ranges, tool->n_ranges + 1, sizeof(range));
        if (!tool->ranges)
            die("out of memory");
        tool->ranges[tool->n_ranges++] = range;
        n_bytes += range.end_bytes - range.first_bytes;
    }
    tool->data = malloc(n_bytes + 1);
    if (!tool->data)
        die("out of memory");
}

static bool read_option(const char *argument, const char *name, uint64_t *ret_value)
{
    size_t n = strlen(name);
    if (strncmp(argument, name, n) != 0 || argument[n] != '=')
        return false;
    *ret_value = strtoull(argument + n + 1, NULL, 10);
    return true;
}

static int read_options(int n, char **arguments, FetchOptions *ret_options, Tool *tool)
{
    int i = 1;
    uint64_t failures = 1;
    ret_options->retry_delay_usec = 1000;
    for (; i < n; i++)
        if (!read_option(arguments[i], "total", &ret_options->total_bytes) &&
                !read_option(arguments[i], "failures", &failures) &&
                !read_option(arguments[i], "retry-usec", &ret_options->retry_delay_usec) &&
                !read_option(arguments[i], "stall-usec", &ret_options->stall_timeout_usec) &&
                !read_option(arguments[i], "rate", &ret_options->rate_bytes_per_second) &&
                !read_option(arguments[i], "pause-every", &tool->pause_every_bytes))
            break;
    ret_options->max_failures_per_url = (unsigned)failures;
    ret_options->urls = (const char *const *)arguments + i;
    ret_options->n_urls = (size_t)(n - i);
    tool->n_until_pause_bytes = tool->pause_every_bytes;
    return i < n;
}

static void report(const Tool *tool, uint64_t taken_usec)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    json_t *report = json_pack("{s:i, s:s, s:I, s:I, s:s, s:i, s:i, s:f, s:I}", "code",
            (int)tool->code, "error", tool->error, "bytes", (json_int_t)fetch_n_bytes(tool->fetch),
            "requests", (json_int_t)fetch_n_requests(tool->fetch), "why_single",
            fetch_why_single(tool->fetch), "rewinds", (int)tool->n_rewinds, "pauses",
            (int)tool->n_pauses, "seconds", (double)taken_usec / USEC_PER_SEC, "peak_kib",
            (json_int_t)usage.ru_maxrss);
    json_dumpf(report, stderr, JSON_COMPACT);
    json_decref(report);
}

int main(int argc, char **argv)
{
    Tool tool = {0};
    FetchOptions options = {0};
    HttpClient *http = NULL;
    if (!read_options(argc, argv, &options, &tool))
        die("usage: fetch-tool [OPTION=NUMBER]... URL...");
    read_ranges(&tool);
    if (sd_event_new(&tool.event) < 0 || http_client_new(tool.event, "fetch-tool", &http) < 0 ||
            sd_event_add_defer(tool.event, &tool.resume, on_resume, &tool) < 0 ||
            sd_event_source_set_enabled(tool.resume, SD_EVENT_OFF) < 0 ||
            fetch_new(tool.event, http, &options, &handlers, &tool, &tool.fetch) < 0)
        die("out of memory");
    uint64_t started_usec = clock_now_usec(CLOCK_MONOTONIC);
    if (fetch_start_ranges(tool.fetch, tool.ranges, tool.n_ranges) < 0)
        die("these are no ranges");
    sd_event_loop(tool.event);
    report(&tool, clock_now_usec(CLOCK_MONOTONIC) - started_usec);
    fwrite(tool.data, 1, tool.n_bytes, stdout);

    fetch_free(tool.fetch);
    http_client_free(http);
    sd_event_source_disable_unref(tool.resume);
    sd_event_unref(tool.event);
    free(tool.ranges);
    free(tool.data);
    return fflush(stdout) == 0 && tool.code == UPDATE_OK ? 0 : 1;
}
