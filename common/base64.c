/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base64.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

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
