/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs a program of the system to its end, for a command that a person waits for. */

#include <stdbool.h>

#include "common/error-text.h"

/* Whether the program is in $PATH. */
bool run_tool_exists(const char *program);

#define RUN_TOOL_WORDS_MAX 31

/* A command line that grows word by word. Starts empty ({0}). */
typedef struct {
    char *words[RUN_TOOL_WORDS_MAX + 1]; /* owned; ends with NULL */
    size_t n_words;
    int failure; /* the first one: -ENOMEM, -E2BIG */
} RunTool;
void run_tool_done(RunTool *tool);

/* Adds a word; that it could not be added, run_tool() says. */
void run_tool_add(RunTool *tool, const char *format, ...) _printf_(2, 3);

/* Runs the program of the first word, looked for in $PATH, with nothing to read; what it prints is
 * dropped but for the last line, which is quoted when it fails. Blocks.
 * Errors: -ENOENT when there is no such program, -EPROTO when it failed, with error; -ENOMEM. */
int run_tool(const RunTool *tool, ErrorText *error);
