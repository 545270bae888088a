/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Base64 text for bytes. */

#include <stddef.h>
#include <stdint.h>

/* Decodes base64 (RFC 4648 section 4, with padding) of exactly n_bytes into ret_data.
 * Errors: -EINVAL when it is not base64 or of another length, -ENOMEM. */
int base64_decode(const char *text, uint8_t *ret_data, size_t n_bytes);

/* Writes base64 with padding and a NUL; ret_text has room for 4 * ((n_bytes + 2) / 3) + 1. */
void base64_encode(const void *data, size_t n_bytes, char *ret_text);
