/* SPDX-License-Identifier: Apache-2.0 */
#include "common/utf8.h"

#include <stdint.h>

size_t utf8_char_bytes(const char *text)
{
    static const struct {
        uint8_t mask;
        uint8_t lead;
        uint32_t min; /* of what needs so many bytes: shorter forms are the only ones allowed */
    } forms[] = {{0x80, 0x00, 1}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const uint8_t *bytes = (const uint8_t *)text;

    for (size_t n_more = 0; n_more < 4; n_more++) {
        if ((bytes[0] & forms[n_more].mask) != forms[n_more].lead)
            continue;
        uint32_t point = bytes[0] & (uint8_t)~forms[n_more].mask;
        for (size_t i = 1; i <= n_more; i++) {
            if ((bytes[i] & 0xc0) != 0x80)
                return 0;
            point = point << 6 | (bytes[i] & 0x3f);
        }
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
        if (point < forms[n_more].min || point > 0x10ffff || is_surrogate || point == 0xfffe ||
                point == 0xffff)
            return 0;
        return n_more + 1;
    }
    return 0;
}

bool utf8_is_valid(const char *text)
{
    while (*text) {
        size_t n_bytes = utf8_char_bytes(text);
        if (n_bytes == 0)
            return false;
        text += n_bytes;
    }
    return true;
}
