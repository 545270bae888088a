/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* printf's formats, as far as this project's texts need them, for the boot chooser. */

#include <stdarg.h>
#include <stddef.h>

#include "common/cleanup.h"

/* As vsnprintf(3): writes as much as fits of n_bytes with a NUL at the end (nothing where n_bytes
 * is 0) and returns how long the whole is. Knows %c %d %s %u %x %%, the widths, the flags 0 and -,
 * the precision of %s, and the lengths l, ll and z; anything else comes out as it stands. */
int format_vtext(char *ret_text, size_t n_bytes, const char *format, va_list arguments)
        _printf_(3, 0);
int format_text(char *ret_text, size_t n_bytes, const char *format, ...) _printf_(3, 4);
