/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Points in time as people write them. Time zones are glibc's, and the local one is the process'.
 * Otherwise pure. */

#include <stdint.h>

#include "common/error-text.h"

/* "2026-11-24", "2026-11-24 03:00", "2026-11-24T03:00:00Z", with seconds or without, with Z or an
 * offset (+01:00) for another than the local time; "03:00" is the next time that a clock on the
 * wall shows that; "@1795489200" is Unix time. *ret_usec is CLOCK_REALTIME.
 * Errors: -EINVAL with `error` when it is none, or not after now_usec. */
int when_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec, ErrorText *error);

/* A duration from now_usec on (duration.h), or a point in time after "until ", or without it.
 * Errors: -EINVAL, -ERANGE, with `error`. */
int when_parse_end(const char *text, uint64_t now_usec, uint64_t *ret_usec, ErrorText *error);
