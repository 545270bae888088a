/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lines out of a stream that is cut anywhere. Pure. */

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *text; /* the line under way; inside */
    size_t n_bytes;
    size_t n_room_bytes;
} LineSplitter; /* starts as zeros */

/* Calls on_line for each line that data ends, without its newline, borrowed for the call; empty
 * ones are left out. Stops when it returns false. What follows the last newline is kept.
 * Returns 1 when on_line stopped it, 0 otherwise.
 * Errors: -EFBIG when a line would be longer than max_bytes, -ENOMEM. */
int line_splitter_add(LineSplitter *splitter, const void *data, size_t n_bytes, size_t max_bytes,
        bool (*on_line)(const char *line, size_t n_bytes, void *userdata), void *userdata);

/* Takes what is left for a whole line: nothing more comes. Returns as line_splitter_add. */
int line_splitter_finish(LineSplitter *splitter,
        bool (*on_line)(const char *line, size_t n_bytes, void *userdata), void *userdata);

void line_splitter_done(LineSplitter *splitter);
