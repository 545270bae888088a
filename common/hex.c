/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hex.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

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

int base64_decode(const char *text, uint8_t *ret_data, size_t n_bytes)
{
    size_t n_chars = strlen(text);
    if (n_chars != 4 * ((n_bytes + 2) / 3) || n_chars > INT_MAX)
        return -EINVAL;

    /* OpenSSL skips white space and decodes padding as zeros: neither may stand in for data. */
    size_t n_padding = (3 - n_bytes % 3) % 3;
    if (strcspn(text, "= \t\r\n") != n_chars - n_padding ||
            strspn(text + n_chars - n_padding, "=") != n_padding)
        return -EINVAL;

    _cleanup_free_ uint8_t *decoded = malloc(3 * (n_chars / 4) + 1);
    if (!decoded)
        return -ENOMEM;
    int n = EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)n_chars);
    if (n < 0 || (size_t)n != n_bytes + n_padding)
        return -EINVAL;
    memcpy(ret_data, decoded, n_bytes);
    return 0;
}

void base64_encode(const void *data, size_t n_bytes, char *ret_text)
{
    EVP_EncodeBlock((unsigned char *)ret_text, data, (int)n_bytes);
}
