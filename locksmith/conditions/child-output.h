/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A program's output, cut into lines that can be shown: for child-process.c alone. No line is
 * longer than CHILD_OUTPUT_MAX_CHARS, and no more than CHILD_OUTPUT_MAX_LINES come in
 * CHILD_OUTPUT_WINDOW_USEC: the rest is counted, and the count told as a line. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHILD_OUTPUT_MAX_CHARS 1000
#define CHILD_OUTPUT_MAX_LINES 200
#define CHILD_OUTPUT_WINDOW_USEC (10 * UINT64_C(1000000))

typedef struct {
    void (*on_line)(const char *line, void *userdata);
    void *userdata;
    char line[CHILD_OUTPUT_MAX_CHARS + 4]; /* and "..." */
    size_t n_chars;
    bool is_cut;
    uint64_t window_usec; /* when it began */
    unsigned n_lines;     /* told in it */
    uint64_t n_left_out;  /* since the last that was told */
} ChildOutput;

/* n_bytes at data at now_usec (any clock that does not go back). */
void child_output_add(ChildOutput *output, const char *data, size_t n_bytes, uint64_t now_usec);

/* The end: a last line without its newline, and what was left out. */
void child_output_end(ChildOutput *output, uint64_t now_usec);
