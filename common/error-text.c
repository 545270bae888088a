/* SPDX-License-Identifier: Apache-2.0 */
#include "common/error-text.h"

#include <stdio.h>

#include "common/utf8.h"

int error_say(ErrorText *error, int r, const char *format, ...)
{
    if (!error)
        return r;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->line, sizeof(error->line), format, arguments);
    va_end(arguments);
    for (char *c = error->line; *c;) {
        size_t n_bytes = utf8_char_bytes(c);
        if (n_bytes == 0 || (unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
        c += n_bytes > 0 ? n_bytes : 1;
    }
    return r;
}
