/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one line that tells a person what is wrong and what to do, carried from where it is known
 * to the one who prints, logs or reports it. */

#include "common/cleanup.h"

typedef struct {
    char line[512]; /* NUL-terminated; empty when nothing was said */
} ErrorText;

/* Says the line (cut at the end of the buffer) and gives r back, so that
 * `return error_say(error, -EINVAL, "...")` reads well. error may be NULL. The result,
 * which may quote hostile input, goes through printable_clean(), so that it can go to a terminal,
 * the journal and D-Bus as it is. */
int error_say(ErrorText *error, int r, const char *format, ...) _printf_(3, 4);
