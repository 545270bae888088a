/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The order of version strings, by UAPI.10 "Version Format Specification" (as systemd's
 * strverscmp_improved): 1.2~rc1 < 1.2 < 1.2^post < 1.2.1 < 1.10. */

#include <stdbool.h>

/* Negative, 0 or positive as a is older than, equal to or newer than b. */
int version_compare(const char *a, const char *b);

/* Whether text is a version we accept: 1 to 128 characters of [A-Za-z0-9~^+._-]. */
bool version_is_valid(const char *text);
