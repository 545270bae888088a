/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text that came from elsewhere, made fit for terminals, D-Bus and JSON. */

#include <stdarg.h>
#include <stddef.h>

#include "common/cleanup.h"

/* Replaces in place, byte by byte with '?', what is no valid UTF-8 (RFC 3629: no overlong forms, no
 * surrogates), the control characters U+0001-001F and U+007F-009F, line and paragraph separators,
 * marks that turn the direction of writing, and non-characters. The length stays. */
void printable_clean(char *text);

/* Writes to text, of n_bytes (at least 1), as much as fits of what is copied or formatted, with a
 * NUL at the end, cleaned. */
void printable_copy(char *text, size_t n_bytes, const char *from);
void printable_vformat(char *text, size_t n_bytes, const char *format, va_list arguments)
        _printf_(3, 0);
