/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command line of a tool with verbs: `tool [OPTION...] VERB [ARGUMENT...]`. */

#include "common/cleanup.h"

#define EXIT_USAGE 2 /* every program of this project: the command line is wrong */

typedef struct {
    const char *name;
    int min_arguments; /* after the verb */
    int max_arguments; /* -1: any number */
    const char *usage; /* of its arguments, such as "FILE [KEY...]" */
    const char *help;  /* half a line */
    /* argv[0] is the verb; context is verbs_run's. Returns the exit code. */
    int (*run)(int argc, char **argv, void *context);
} Verb;

/* Runs the verb in argv[0]. The table ends with a NULL name. Says what is wrong on stderr in one
 * line with the nearest thing to do, and returns EXIT_USAGE, when there is no such verb or its
 * arguments do not fit. */
int verbs_run(const Verb *verbs, const char *program, int argc, char **argv, void *context);

/* Says on stderr what is wrong with the command line, and returns EXIT_USAGE. */
int verbs_usage_error(const char *program, const char *format, ...) _printf_(2, 3);

/* The last that a main does: flushes stdout. Returns exit_code, or EXIT_FAILURE with a line on
 * stderr where all else went well and what was printed did not arrive. */
int verbs_end(const char *program, int exit_code);

/* Prints one line per verb to stdout. */
void verbs_print_help(const Verb *verbs);
