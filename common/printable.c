/* SPDX-License-Identifier: Apache-2.0 */
#include "common/printable.h"

#include <stddef.h>
#include <stdint.h>

/* How many bytes the sequence at p has that is good to print; 0 for none. The NUL at the end of
 * the text ends every sequence, too. */
static size_t sequence_bytes(const unsigned char *p)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
    if (n == 0 || p[0] > 0xf4)
        return 0;
    uint32_t rune = p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        rune = rune << 6 | (p[i] & 0x3f);
    }
    if (rune < smallest[n] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff) || rune < 0xa0)
        return 0;
    return n;
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
