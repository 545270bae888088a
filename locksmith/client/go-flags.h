/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Flags as Go's flag package reads them, so that what people and units call locksmithctl with goes
 * on to work: one dash or two, `-name=value` or `-name value`, no abbreviations, `--` ends them.
 * Beside it `-h`. Pure. */

#include <stddef.h>

#include "common/error-text.h"

typedef enum {
    FLAG_BOOL, /* bool *: `-name`, or `-name=true|false|1|0|t|f` */
    FLAG_TEXT, /* const char **: the last one counts */
    /* char **, new or NULL: the last one counts; wiped out of argv, where everybody can read it */
    FLAG_SECRET,
    FLAG_LIST, /* FlagList *: each adds, a comma list several; empty ones are left out */
} GoFlagKind;

#define FLAG_LIST_MAX 16

typedef struct {
    const char *values[FLAG_LIST_MAX]; /* inside argv, without blanks around */
    size_t n_values;
} FlagList;

typedef struct {
    const char *name; /* without dashes */
    GoFlagKind kind;
    void *target; /* borrowed; left alone when the flag is not there */
} GoFlag;

typedef enum {
    FLAGS_FIRST,    /* the first argument ends them, as in Go */
    FLAGS_ANYWHERE, /* between arguments, too */
} GoFlagOrder;

/* Reads argv[0..argc), which has no program or verb in front. flags end with a NULL name. Values
 * stay inside argv, where comma lists are cut into pieces; what is no flag moves to its front.
 * Returns how many those are. Errors: -EINVAL with `error`: a flag that there is not, without its
 * value, with one that will not do; -E2BIG with `error`: more than FLAG_LIST_MAX in a list;
 * -ENOMEM. */
int go_flags_parse(const GoFlag *flags, GoFlagOrder order, int argc, char **argv, ErrorText *error);

/* Adds the pieces of text, which is cut into them and outlives the list. Errors: -E2BIG. */
int flag_list_add(FlagList *list, char *text);
