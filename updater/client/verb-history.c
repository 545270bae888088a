/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/byte-count.h"
#include "common/clock.h"
#include "common/printable.h"
#include "updater/engine/history.h"

/* history: a table, or JSON lines, of what the engine has written down. Needs no daemon. */

static void print_cell(const char *text, int width)
{
    char cell[600];
    printable_copy(cell, sizeof(cell), text[0] ? text : "-");
    printf("%-*s ", width, cell);
}

static void print_row(const HistoryEntry *entry)
{
    char when[32] = "-";
    time_t sec = (time_t)(entry->time_usec / USEC_PER_SEC);
    struct tm parts;
    if (localtime_r(&sec, &parts))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &parts);
    print_cell(when, 19);
    print_cell(entry->what, 8);
    print_cell(entry->result, 9);
    print_cell(entry->version, 14);
    print_cell(entry->previous, 14);
    print_cell(entry->slot, 8);
    char text[600];
    printable_copy(text, sizeof(text), entry->text);
    if (entry->code != 0)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " (error %u)", entry->code);
    if (!entry->way[0])
        printf("%s\n", text[0] ? text : "-");
    else
        printf("%s%sfetched %s of %s (%s)\n", text, text[0] ? "; " : "",
                byte_count_text(entry->n_fetched_bytes).text,
                byte_count_text(entry->n_whole_bytes).text, entry->way);
}

static void print_json(const HistoryEntry *entry)
{
    json_t *line = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I}",
            "time_usec", (json_int_t)entry->time_usec, "what", entry->what, "result", entry->result,
            "version", entry->version, "previous", entry->previous, "slot", entry->slot, "code",
            (json_int_t)entry->code, "text", entry->text, "way", entry->way, "bytes_fetched",
            (json_int_t)entry->n_fetched_bytes, "bytes_whole", (json_int_t)entry->n_whole_bytes,
            "requests", (json_int_t)entry->n_requests);
    if (line)
        json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(line);
}

int verb_history(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    const ClientOptions *options = context;
    ErrorText error = {};
    _cleanup_close_ int state_fd = client_open_state(options, &error);
    if (state_fd == -ENOENT) {
        if (!options->is_json)
            printf("nothing has happened yet\n");
        return CLIENT_DONE;
    }
    _cleanup_(history_freep) History *history = NULL;
    int r = state_fd < 0 ? state_fd : history_load(state_fd, &history);
    if (r < 0) {
        if (error.line[0] == '\0')
            error_say(&error, r, "cannot read the history: %s", strerror(-r));
        return client_complain(r == -EACCES ? CLIENT_REFUSED : CLIENT_FAILED, &error);
    }
    size_t n_entries;
    const HistoryEntry *entries = history_entries(history, &n_entries);
    if (!options->is_json)
        printf("%-19s %-8s %-9s %-14s %-14s %-8s %s\n", "WHEN", "WHAT", "RESULT", "VERSION",
                "RUNNING", "SLOT", "REMARK");
    for (size_t i = 0; i < n_entries; i++) {
        if (options->is_json)
            print_json(&entries[i]);
        else
            print_row(&entries[i]);
    }
    return CLIENT_DONE;
}
