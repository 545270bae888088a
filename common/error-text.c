/* SPDX-License-Identifier: Apache-2.0 */
#include "common/error-text.h"

#include <stdarg.h>

#include "common/printable.h"

int error_say(ErrorText *error, int r, const char *format, ...)
{
    if (!error)
        return r;
    va_list arguments;
    va_start(arguments, format);
    printable_vformat(error->line, sizeof(error->line), format, arguments);
    va_end(arguments);
    return r;
}
