/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/history.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"

struct History {
    json_t *lines; /* array of objects that the entries' strings are inside of */
    HistoryEntry *entries;
    size_t n_entries;
};

static bool add_fetch(json_t *object, const HistoryEntry *entry)
{
    return json_object_set_new(object, "way", json_string(entry->way)) == 0 &&
           json_object_set_new(object, "bytes_fetched",
                   json_integer((json_int_t)entry->n_fetched_bytes)) == 0 &&
           json_object_set_new(
                   object, "bytes_whole", json_integer((json_int_t)entry->n_whole_bytes)) == 0 &&
           json_object_set_new(object, "requests", json_integer((json_int_t)entry->n_requests)) ==
                   0;
}

static char *entry_to_line(const HistoryEntry *entry)
{
    json_t *object = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "time_usec",
            (json_int_t)entry->time_usec, "what", entry->what, "result", entry->result, "version",
            entry->version, "previous", entry->previous, "slot", entry->slot, "code",
            (json_int_t)entry->code, "text", entry->text);
    if (object && entry->way[0] && !add_fetch(object, entry)) {
        json_decref(object);
        return NULL;
    }
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(object);
    return line;
}

/* Where the part of the text begins that is kept when a line of n_new bytes is added. */
static size_t kept_from(const char *text, size_t n_bytes, size_t n_new)
{
    if (n_bytes + n_new <= HISTORY_MAX_BYTES)
        return 0;
    const char *middle = text + n_bytes / 2;
    const char *end = memchr(middle, '\n', n_bytes - n_bytes / 2);
    return end ? (size_t)(end + 1 - text) : n_bytes;
}

int history_add(int dir_fd, const HistoryEntry *entry)
{
    _cleanup_free_ char *line = entry_to_line(entry);
    if (!line)
        return -ENOMEM;
    _cleanup_free_ char *old = NULL;
    size_t n_old = 0;
    int r = fd_read_file(dir_fd, HISTORY_FILE, 2 * HISTORY_MAX_BYTES, &old, &n_old);
    if (r < 0 && r != -ENOENT && r != -EFBIG)
        return r;
    size_t n_line = strlen(line);
    size_t from = n_old > 0 ? kept_from(old, n_old, n_line + 2) : 0;
    size_t n_kept = n_old - from;
    _cleanup_free_ char *text = malloc(n_kept + n_line + 2);
    if (!text)
        return -ENOMEM;
    size_t n = n_kept;
    if (n_kept > 0)
        memcpy(text, old + from, n_kept);
    if (n > 0 && text[n - 1] != '\n')
        text[n++] = '\n';
    memcpy(text + n, line, n_line);
    n += n_line;
    text[n++] = '\n';
    return atomic_file_write(dir_fd, HISTORY_FILE, text, n, 0644);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static uint64_t count_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static HistoryEntry entry_of(const json_t *object)
{
    json_int_t time = json_integer_value(json_object_get(object, "time_usec"));
    json_int_t code = json_integer_value(json_object_get(object, "code"));
    return (HistoryEntry){
            .time_usec = time > 0 ? (uint64_t)time : 0,
            .what = text_of(object, "what"),
            .result = text_of(object, "result"),
            .version = text_of(object, "version"),
            .previous = text_of(object, "previous"),
            .slot = text_of(object, "slot"),
            .code = code > 0 && code <= UINT32_MAX ? (unsigned)code : 0,
            .way = text_of(object, "way"),
            .n_fetched_bytes = count_of(object, "bytes_fetched"),
            .n_whole_bytes = count_of(object, "bytes_whole"),
            .n_requests = count_of(object, "requests"),
            .text = text_of(object, "text"),
    };
}

/* Takes the lines that are objects into history->lines. */
static int parse_lines(History *history, const char *text, size_t n_bytes)
{
    const char *end = text + n_bytes;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = newline ? (size_t)(newline - text) : (size_t)(end - text);
        json_t *object = n > 0 ? json_loadb(text, n, 0, NULL) : NULL;
        if (json_is_object(object) && json_array_append(history->lines, object) < 0) {
            json_decref(object);
            return -ENOMEM;
        }
        json_decref(object);
        text += n + 1;
    }
    return 0;
}

int history_load(int dir_fd, History **ret_history)
{
    _cleanup_(history_freep) History *history = malloc(sizeof(*history));
    if (!history)
        return -ENOMEM;
    *history = (History){.lines = json_array()};
    if (!history->lines)
        return -ENOMEM;
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    int r = fd_read_file(dir_fd, HISTORY_FILE, 2 * HISTORY_MAX_BYTES, &text, &n_bytes);
    if (r < 0 && r != -ENOENT)
        return r;
    if (n_bytes > 0) {
        r = parse_lines(history, text, n_bytes);
        if (r < 0)
            return r;
    }
    size_t n = json_array_size(history->lines);
    history->entries = calloc(n + 1, sizeof(*history->entries));
    if (!history->entries)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        history->entries[i] = entry_of(json_array_get(history->lines, i));
    history->n_entries = n;
    *ret_history = TAKE_PTR(history);
    return 0;
}

void history_free(History *history)
{
    if (!history)
        return;
    json_decref(history->lines);
    free(history->entries);
    free(history);
}

const HistoryEntry *history_entries(const History *history, size_t *ret_n_entries)
{
    *ret_n_entries = history->n_entries;
    return history->entries;
}
