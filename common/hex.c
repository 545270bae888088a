/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hex.h"

#include <errno.h>

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void hex_encode(const void *data, size_t n_bytes, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < n_bytes; i++) {
        ret_hex[2 * i] = digits[bytes[i] >> 4];
        ret_hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_hex[2 * n_bytes] = '\0';
}

int hex_decode(const char *hex, uint8_t *ret_data, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        int high = digit_value(hex[2 * i]);
        int low = high < 0 ? -1 : digit_value(hex[2 * i + 1]);
        if (low < 0)
            return -EINVAL;
        ret_data[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}
