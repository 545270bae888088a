/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text that D-Bus, XML and JSON take: RFC 3629, without the two code points that XML refuses. */

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the character that text (NUL-terminated) begins with: 1 to 4, or 0 when it is empty
 * or no such character. */
size_t utf8_char_bytes(const char *text);

/* Whether text (NUL-terminated) is such characters to its end. */
bool utf8_is_valid(const char *text);
