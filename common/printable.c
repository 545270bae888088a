/* SPDX-License-Identifier: Apache-2.0 */
#include "common/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What no line should carry: controls, separators that begin a new line, marks that turn the
 * direction of writing, halves of pairs, and the non-characters, for which libsystemd refuses a
 * whole D-Bus message. */
static bool is_printable(uint32_t rune)
{
    if (rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || (rune >= 0xd800 && rune < 0xe000) ||
            (rune >= 0xfdd0 && rune < 0xfdf0) || (rune & 0xfffe) == 0xfffe || rune > 0x10ffff)
        return false;
    return !(rune == 0x200e || rune == 0x200f || (rune >= 0x2028 && rune <= 0x202e) ||
             (rune >= 0x2066 && rune <= 0x2069) || rune == 0xfeff);
}

/* How many bytes the sequence at p has that is good to print; 0 for none. The NUL at the end of
 * the text ends every sequence, too. */
static size_t sequence_bytes(const unsigned char *p)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return is_printable(p[0]);
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
    if (n == 0 || p[0] > 0xf4)
        return 0;
    uint32_t rune = p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        rune = rune << 6 | (p[i] & 0x3f);
    }
    return rune >= smallest[n] && is_printable(rune) ? n : 0;
}

void printable_clean(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (*p) {
        size_t n = sequence_bytes(p);
        if (n == 0)
            *p = '?';
        p += n > 0 ? n : 1;
    }
}

void printable_copy(char *text, size_t n_bytes, const char *from)
{
    snprintf(text, n_bytes, "%s", from);
    printable_clean(text);
}

void printable_vformat(char *text, size_t n_bytes, const char *format, va_list arguments)
{
    vsnprintf(text, n_bytes, format, arguments);
    printable_clean(text);
}
