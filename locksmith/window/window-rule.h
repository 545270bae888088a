/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The grammar of reboot windows. Pure: whether a zone exists is another's question (time-zone.h).
 *
 *   WINDOWS = RULE[; RULE]...
 *   RULE    = [DAYS ]TIME-TIME[ ZONE] | [DAYS ]TIME +LENGTH[ ZONE]
 *   DAYS    = DAY[-DAY][,DAY[-DAY]]...
 *   DAY     = a day's English name, or three letters of it or more, in any case
 *   TIME    = H:MM, 0:00 to 23:59, and 24:00 as an end
 *   LENGTH  = a duration (duration.h), a week at most
 *   ZONE    = as in /usr/share/zoneinfo
 *
 * Without days it is every day. A range of days may go over the week's end (Sat-Mon), and one of
 * times over midnight: the days are those of the start. Blanks may stand around - , ; and +. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"

#define WINDOW_MAX_RULES 64
#define WINDOW_MAX_ZONE_CHARS 64
#define WINDOW_EVERY_DAY 0x7f
#define WINDOW_MIN_USEC (60 * UINT64_C(1000000)) /* a shorter length is taken for this */

typedef struct {
    uint8_t days;         /* bit 0: Sunday, to bit 6: Saturday; of the start */
    uint16_t start_min;   /* of the day, 0 to 1439 */
    uint16_t wall_min;    /* the end is so many minutes later on the wall clock, 1 to 1440; or 0: */
    uint64_t length_usec; /* it is so long, WINDOW_MIN_USEC to a week */
    char zone[WINDOW_MAX_ZONE_CHARS + 1]; /* "": none is named */
} WindowRule;

/* *ret_rules is new, with one rule at least.
 * Errors: -EINVAL with `error`, which quotes the rule; -ENOMEM. */
int window_rules_parse(
        const char *text, WindowRule **ret_rules, size_t *ret_n_rules, ErrorText *error);

/* Go locksmith's start, "[DAY ]H:M"; sets days and start_min alone. It takes the same as Go but for
 * text that follows, signs and more than two digits, and gives a day the same freedom as above.
 * Errors: -EINVAL with `error`. */
int window_start_parse(const char *text, WindowRule *ret_rule, ErrorText *error);

/* Go locksmith's length, a duration that may have a '+' before it: less than a week.
 * Errors: -EINVAL with `error`. */
int window_length_parse(const char *text, uint64_t *ret_usec, ErrorText *error);
