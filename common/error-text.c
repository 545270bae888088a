/* SPDX-License-Identifier: Apache-2.0 */
#include "common/error-text.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/printable.h"

int error_say(ErrorText *error, int r, const char *format, ...)
{
    if (!error)
        return r;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->line, sizeof(error->line), format, arguments);
    va_end(arguments);
    printable_clean(error->line);
    return r;
}
