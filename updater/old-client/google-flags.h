/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Flags that are there or not, as Google's gflags reads them: `-name` and `--name`,
 * `-name=true|t|yes|y|1` and the opposites, `-noname`, no abbreviations; the last one counts, words
 * that are no flags may stand between, `--` ends them. Pure. */

#include <stdbool.h>

#include "common/error-text.h"

typedef struct {
    const char *name; /* without dashes */
    bool *target;     /* borrowed; left alone when the flag is not there */
} GoogleFlag;

/* Reads argv[0..argc), which has no program in front. flags end with a NULL name. Returns how many
 * words are no flags. Errors: -EINVAL with `error`: a flag that there is not, or a value that is
 * none. */
int google_flags_parse(const GoogleFlag *flags, int argc, char **argv, ErrorText *error);
