/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How much there may be in JSON that a server sent. Parsed, `{}` takes a hundred times its room and
 * more, so a bound on the bytes alone bounds no memory. Pure. */

#include <stdbool.h>
#include <stddef.h>

/* Whether text has at most max_marks of the marks that begin a value: opening brackets, and commas
 * outside of strings. Text that is no JSON may have any answer, as far as a parser gets in it. */
bool json_bound_holds(const char *text, size_t n_bytes, size_t max_marks);
