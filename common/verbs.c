/* SPDX-License-Identifier: Apache-2.0 */
#include "common/verbs.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const Verb *find(const Verb *verbs, const char *name)
{
    for (const Verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

int verbs_run(const Verb *verbs, const char *program, int argc, char **argv, void *context)
{
    if (argc < 1) {
        fprintf(stderr, "%s: say what to do; '%s --help' lists the verbs\n", program, program);
        return EXIT_USAGE;
    }
    const Verb *verb = find(verbs, argv[0]);
    if (!verb) {
        fprintf(stderr, "%s: there is no verb '%s'; '%s --help' lists them\n", program, argv[0],
                program);
        return EXIT_USAGE;
    }
    int n_arguments = argc - 1;
    if (n_arguments < verb->min_arguments ||
            (verb->max_arguments >= 0 && n_arguments > verb->max_arguments)) {
        fprintf(stderr, "%s: usage: %s %s%s%s\n", program, program, verb->name,
                verb->usage[0] ? " " : "", verb->usage);
        return EXIT_USAGE;
    }
    return verb->run(argc, argv, context);
}

int verbs_usage_error(const char *program, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "; '%s --help' says more\n", program);
    va_end(arguments);
    return EXIT_USAGE;
}

int verbs_end(const char *program, int exit_code)
{
    bool is_whole = fflush(stdout) == 0 && !ferror(stdout);
    if (is_whole || exit_code != EXIT_SUCCESS)
        return exit_code;
    fprintf(stderr, "%s: standard output cannot be written: %m\n", program);
    return EXIT_FAILURE;
}

void verbs_print_help(const Verb *verbs)
{
    for (const Verb *verb = verbs; verb->name; verb++)
        printf("  %-12s %-24s %s\n", verb->name, verb->usage, verb->help);
}
