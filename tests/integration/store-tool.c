/* SPDX-License-Identifier: Apache-2.0 */

/* Drives one etcd store from a test: reads a request per line of standard input, a JSON object, and
 * writes an answer per line.
 *
 * usage: store-tool v3|v2 ENDPOINT,... [group=|ca=|cert=|key=|user=|password=]...
 *
 *   {"do":"read"}                        {"do":"list"}
 *   {"do":"swap","revision":0,"document":"...","put":"ID","facts":"...","drop":"ID"}
 *   {"do":"watch","revision":5}          starts one, in place of the one before
 *   {"do":"await","seconds":5}           runs it until it calls, or so long
 */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/lock/etcd/etcd-store.h"

typedef struct {
    sd_event *event;
    HttpClient *client;
    LockStore *store;
    StoreWatch *watch;
    StoreCall *call;
    bool is_done;
    unsigned n_changes;
    json_t *answer;
} Tool;

static const char *const results[] = {"done", "conflict", "unknown", "unreachable", "refused"};

static json_t *content_json(const StoreContent *content)
{
    json_t *facts = json_object();
    for (size_t i = 0; i < content->n_facts; i++)
        json_object_set_new(facts, content->facts[i].id,
                json_stringn_nocheck(content->facts[i].text, content->facts[i].n_bytes));
    return json_pack("{s:b, s:s%, s:I, s:o}", "exists", content->exists, "document",
            content->document, content->n_bytes, "revision", (json_int_t)content->revision, "facts",
            facts);
}

static void end(Tool *tool, StoreCall *call, json_t *answer)
{
    store_call_free(call);
    tool->call = NULL;
    tool->answer = answer;
    tool->is_done = true;
}

static void on_done(StoreCall *call, const StoreAnswer *answer, void *userdata)
{
    end(userdata, call,
            json_pack("{s:s, s:s, s:o?}", "result", results[answer->result], "error", answer->error,
                    "content", answer->content ? content_json(answer->content) : NULL));
}

static void on_listed(StoreCall *call, const StoreAnswer *answer, const char *const *names,
        size_t n_names, void *userdata)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n_names; i++)
        json_array_append_new(list, json_string(names[i]));
    end(userdata, call,
            json_pack("{s:s, s:s, s:o}", "result", results[answer->result], "error", answer->error,
                    "names", list));
}

static void on_change(void *userdata)
{
    Tool *tool = userdata;
    tool->n_changes++;
}

static int start_swap(Tool *tool, const json_t *request)
{
    const char *document = json_string_value(json_object_get(request, "document"));
    StoreSwap swap = {
            .revision = (uint64_t)json_integer_value(json_object_get(request, "revision")),
            .document = document,
            .n_bytes = strlen(document),
            .put_facts_of = json_string_value(json_object_get(request, "put")),
            .facts = json_string_value(json_object_get(request, "facts")),
            .drop_facts_of = json_string_value(json_object_get(request, "drop")),
    };
    return lock_store_swap(tool->store, &swap, on_done, tool, &tool->call);
}

static int start_watch(Tool *tool, const json_t *request)
{
    store_watch_free(tool->watch);
    tool->watch = NULL;
    tool->n_changes = 0;
    int r = lock_store_watch(tool->store,
            (uint64_t)json_integer_value(json_object_get(request, "revision")), on_change, tool,
            &tool->watch);
    tool->answer = json_pack("{s:b}", "watching", r >= 0);
    tool->is_done = true;
    return r;
}

/* Runs the loop until a call is done, or, without one, until the watch calls or the time is up. */
static void run(Tool *tool, double seconds)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + (uint64_t)(seconds * USEC_PER_SEC);
    while (!tool->is_done) {
        uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);
        bool is_over = !tool->call && (tool->n_changes > 0 || now_usec >= end_usec);
        if (is_over) {
            tool->answer = json_pack("{s:I}", "changes", (json_int_t)tool->n_changes);
            tool->n_changes = 0;
            return;
        }
        if (sd_event_run(tool->event, tool->call ? UINT64_MAX : end_usec - now_usec) < 0)
            exit(EXIT_FAILURE);
    }
}

static int start(Tool *tool, const json_t *request)
{
    const char *what = json_string_value(json_object_get(request, "do"));
    if (!what)
        return -EINVAL;
    if (strcmp(what, "read") == 0)
        return lock_store_read(tool->store, on_done, tool, &tool->call);
    if (strcmp(what, "list") == 0)
        return lock_store_list(tool->store, on_listed, tool, &tool->call);
    if (strcmp(what, "swap") == 0)
        return start_swap(tool, request);
    if (strcmp(what, "watch") == 0)
        return start_watch(tool, request);
    return strcmp(what, "await") == 0 ? 0 : -EINVAL;
}

static void serve(Tool *tool)
{
    char *line = NULL;
    size_t n_room = 0;
    while (getline(&line, &n_room, stdin) > 0) {
        json_t *request = json_loads(line, 0, NULL);
        tool->is_done = false;
        tool->answer = NULL;
        int r = start(tool, request);
        if (r >= 0)
            run(tool, json_number_value(json_object_get(request, "seconds")));
        json_decref(request);
        char *text = tool->answer ? json_dumps(tool->answer, JSON_COMPACT) : NULL;
        puts(text ? text : "{}");
        fflush(stdout);
        free(text);
        json_decref(tool->answer);
    }
    free(line);
}

static const char *option(char **arguments, const char *name)
{
    size_t n_chars = strlen(name);
    for (; *arguments; arguments++)
        if (strncmp(*arguments, name, n_chars) == 0)
            return *arguments + n_chars;
    return NULL;
}

static int make_store(Tool *tool, char **arguments)
{
    const char *endpoints[LOCK_MAX_ENDPOINTS];
    size_t n_endpoints = 0;
    for (char *rest = arguments[2], *one; n_endpoints < ELEMENTS(endpoints);) {
        one = strsep(&rest, ",");
        if (!one)
            break;
        endpoints[n_endpoints++] = one;
    }
    const char *group = option(arguments, "group=");
    bool is_v3 = strcmp(arguments[1], "v3") == 0;
    ErrorText error = {0};
    LockOptions options = {
            .store = is_v3 ? LOCK_STORE_ETCD_V3 : LOCK_STORE_ETCD_V2,
            .endpoints = endpoints,
            .n_endpoints = n_endpoints,
            .group = group ? group : "",
            .ca_file = option(arguments, "ca="),
            .cert_file = option(arguments, "cert="),
            .key_file = option(arguments, "key="),
            .user = option(arguments, "user="),
            .password = option(arguments, "password="),
    };
    int r = (is_v3 ? etcd_v3_store_new : etcd_v2_store_new)(
            tool->event, tool->client, &options, &tool->store, &error);
    if (r < 0)
        fprintf(stderr, "%s\n", error.line);
    return r;
}

int main(int argc, char **argv)
{
    Tool tool = {0};
    if (argc < 3 || sd_event_new(&tool.event) < 0 ||
            http_client_new(tool.event, "store-tool/1", &tool.client) < 0 ||
            make_store(&tool, argv) < 0)
        return EXIT_FAILURE;
    serve(&tool);
    store_watch_free(tool.watch);
    lock_store_free(tool.store);
    http_client_free(tool.client);
    sd_event_unref(tool.event);
    return EXIT_SUCCESS;
}
