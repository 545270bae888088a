/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hexadecimal and base64 text for bytes. */

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * n_bytes lower-case digits and a NUL to ret_hex, which has room for them. */
void hex_encode(const void *data, size_t n_bytes, char *ret_hex);

/* Reads exactly 2 * n_bytes digits of either case from hex into ret_data.
 * Errors: -EINVAL when a character is no digit or the text ends early. Text after the digits is
 * not looked at. */
int hex_decode(const char *hex, uint8_t *ret_data, size_t n_bytes);

/* Decodes base64 (RFC 4648 section 4, with padding) of exactly n_bytes into ret_data.
 * Errors: -EINVAL when it is not base64 or of another length, -ENOMEM. */
int base64_decode(const char *text, uint8_t *ret_data, size_t n_bytes);

/* Writes base64 with padding and a NUL; ret_text has room for 4 * ((n_bytes + 2) / 3) + 1. */
void base64_encode(const void *data, size_t n_bytes, char *ret_text);
