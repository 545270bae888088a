/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hexadecimal text for bytes. */

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * n_bytes lower-case digits and a NUL to ret_hex, which has room for them. */
void hex_encode(const void *data, size_t n_bytes, char *ret_hex);

/* Reads exactly 2 * n_bytes digits of either case from hex into ret_data.
 * Errors: -EINVAL when a character is no digit or the text ends early. Text after the digits is
 * not looked at. */
int hex_decode(const char *hex, uint8_t *ret_data, size_t n_bytes);
