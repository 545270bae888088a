/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Cuts what a program prints into lines of bounded length, in bounded memory. Pure. */

#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_LINE_BYTES 1024 /* with the NUL; what a longer line has beyond is left out */

typedef struct {
    void (*on_line)(const char *line, void *userdata); /* borrowed for the call, printable */
    void *userdata;
    char line[OUTPUT_LINE_BYTES]; /* that is coming in */
    size_t n_bytes;
    char last[OUTPUT_LINE_BYTES]; /* the last that was told; "" */
} OutputLines;

/* Starts with on_line (may be NULL) and userdata set and all else zero.
 * Takes the next n_bytes. An empty line is not told; a NUL byte or a carriage return counts as a
 * line's end like a newline. */
void output_lines_add(OutputLines *lines, const char *data, size_t n_bytes);

/* The output has ended: tells a last line that did not. */
void output_lines_end(OutputLines *lines);
