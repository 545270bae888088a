/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "partitions/boot/format.h"

int snprintf(char *text, size_t n_bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = format_vtext(text, n_bytes, format, arguments);
    va_end(arguments);
    return n;
}

int vsnprintf(char *text, size_t n_bytes, const char *format, va_list arguments)
{
    return format_vtext(text, n_bytes, format, arguments);
}
