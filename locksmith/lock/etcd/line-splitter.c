/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/line-splitter.h"

#include <string.h>

#include "common/cleanup.h"

static int keep(LineSplitter *splitter, const char *data, size_t n_bytes, size_t max_bytes)
{
    if (n_bytes > max_bytes - MIN(splitter->n_bytes, max_bytes))
        return -EFBIG;
    size_t n_wanted = splitter->n_bytes + n_bytes;
    if (n_wanted > splitter->n_room_bytes) {
        size_t n_room = MAX(n_wanted, 2 * splitter->n_room_bytes);
        char *text = realloc(splitter->text, n_room);
        if (!text)
            return -ENOMEM;
        splitter->text = text;
        splitter->n_room_bytes = n_room;
    }
    if (n_bytes > 0)
        memcpy(splitter->text + splitter->n_bytes, data, n_bytes);
    splitter->n_bytes = n_wanted;
    return 0;
}

int line_splitter_add(LineSplitter *splitter, const void *data, size_t n_bytes, size_t max_bytes,
        bool (*on_line)(const char *line, size_t n_bytes, void *userdata), void *userdata)
{
    const char *rest = data;
    while (n_bytes > 0) {
        const char *end = memchr(rest, '\n', n_bytes);
        size_t n = end ? (size_t)(end - rest) : n_bytes;
        int r = keep(splitter, rest, n, max_bytes);
        if (r >= 0 && end)
            r = line_splitter_finish(splitter, on_line, userdata);
        if (r != 0)
            return r;
        rest += n + (end != NULL);
        n_bytes -= n + (end != NULL);
    }
    return 0;
}

int line_splitter_finish(LineSplitter *splitter,
        bool (*on_line)(const char *line, size_t n_bytes, void *userdata), void *userdata)
{
    size_t n_bytes = splitter->n_bytes;
    splitter->n_bytes = 0;
    if (n_bytes == 0)
        return 0;
    return on_line(splitter->text, n_bytes, userdata) ? 0 : 1;
}

void line_splitter_done(LineSplitter *splitter)
{
    free(splitter->text);
    *splitter = (LineSplitter){.text = NULL};
}
