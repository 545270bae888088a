/* SPDX-License-Identifier: Apache-2.0 */
#include "common/verbs.h"

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

void verbs_print_help(const Verb *verbs)
{
    for (const Verb *verb = verbs; verb->name; verb++)
        printf("  %-12s %-24s %s\n", verb->name, verb->usage, verb->help);
}
