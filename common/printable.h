/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text that came from elsewhere, made fit for terminals, D-Bus and JSON. */

/* Replaces in place, byte by byte with '?', what is no valid UTF-8 (RFC 3629: no overlong forms, no
 * surrogates), the control characters U+0001-001F and U+007F-009F, line and paragraph separators,
 * marks that turn the direction of writing, and non-characters. The length stays. */
void printable_clean(char *text);
