/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/wall-time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define LAST_SECOND UINT64_C(253402300799) /* of the year 9999 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes exactly n_digits, and `after` behind them unless it is NUL. */
static bool take_number(const char **text, int n_digits, char after, int *ret_number)
{
    int number = 0;
    for (int i = 0; i < n_digits; i++, (*text)++) {
        if (!is_digit(**text))
            return false;
        number = number * 10 + (**text - '0');
    }
    if (after != '\0' && *(*text)++ != after)
        return false;
    *ret_number = number;
    return true;
}

/* timegm() takes the 31st of February: such a day comes back as another. */
static bool is_day(const struct tm *wanted, time_t seconds)
{
    struct tm found;
    return gmtime_r(&seconds, &found) && found.tm_year == wanted->tm_year &&
           found.tm_mon == wanted->tm_mon && found.tm_mday == wanted->tm_mday;
}

static bool take_date_and_time(const char **text, int64_t *ret_seconds)
{
    struct tm tm = {.tm_isdst = 0};
    if (!take_number(text, 4, '-', &tm.tm_year) || !take_number(text, 2, '-', &tm.tm_mon) ||
            !take_number(text, 2, '\0', &tm.tm_mday))
        return false;
    if (**text == '\0' || !strchr("Tt ", **text))
        return false;
    (*text)++;
    if (!take_number(text, 2, ':', &tm.tm_hour) || !take_number(text, 2, ':', &tm.tm_min) ||
            !take_number(text, 2, '\0', &tm.tm_sec))
        return false;
    if (tm.tm_year < 1970 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm given = tm;
    *ret_seconds = timegm(&tm);
    return is_day(&given, *ret_seconds);
}

static bool take_fraction(const char **text, uint64_t *ret_usec)
{
    uint64_t usec = 0;
    *ret_usec = 0;
    if (**text != '.')
        return true;
    const char *first = ++*text;
    for (uint64_t unit = USEC_PER_SEC / 10; is_digit(**text); unit /= 10, (*text)++)
        usec += unit * (uint64_t)(**text - '0');
    *ret_usec = usec;
    return *text > first;
}

static bool take_offset(const char **text, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (**text == 'Z' || **text == 'z') {
        (*text)++;
        return true;
    }
    if (**text != '+' && **text != '-')
        return false;
    bool is_west = *(*text)++ == '-';
    int hours;
    int minutes;
    if (!take_number(text, 2, ':', &hours) || !take_number(text, 2, '\0', &minutes) || hours > 23 ||
            minutes > 59)
        return false;
    *ret_seconds = (hours * 60 + minutes) * INT64_C(60) * (is_west ? -1 : 1);
    return true;
}

static int parse_seconds(const char *text, uint64_t *ret_usec)
{
    uint64_t seconds = 0;
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits == 0 || n_digits > 12 || text[n_digits] != '\0')
        return -EINVAL;
    for (; *text; text++)
        seconds = seconds * 10 + (uint64_t)(*text - '0');
    if (seconds > LAST_SECOND)
        return -EINVAL;
    *ret_usec = seconds * USEC_PER_SEC;
    return 0;
}

int wall_time_parse(const char *text, uint64_t *ret_usec)
{
    int64_t seconds;
    int64_t offset;
    uint64_t fraction_usec;
    if (text[0] == '@')
        return parse_seconds(text + 1, ret_usec);
    if (!take_date_and_time(&text, &seconds) || !take_fraction(&text, &fraction_usec) ||
            !take_offset(&text, &offset) || *text != '\0')
        return -EINVAL;
    seconds -= offset;
    if (seconds < 0 || (uint64_t)seconds > LAST_SECOND)
        return -EINVAL;
    *ret_usec = (uint64_t)seconds * USEC_PER_SEC + fraction_usec;
    return 0;
}

WallTimeShown wall_time_show(uint64_t usec)
{
    WallTimeShown shown;
    struct tm tm;
    if (usec / USEC_PER_SEC > LAST_SECOND)
        usec = LAST_SECOND * USEC_PER_SEC;
    time_t seconds = (time_t)(usec / USEC_PER_SEC);
    gmtime_r(&seconds, &tm);
    size_t n_chars = strftime(shown.text, sizeof(shown.text), "%Y-%m-%dT%H:%M:%S", &tm);
    if (usec % USEC_PER_SEC != 0)
        n_chars += (size_t)snprintf(shown.text + n_chars, sizeof(shown.text) - n_chars,
                ".%06" PRIu64, usec % USEC_PER_SEC);
    snprintf(shown.text + n_chars, sizeof(shown.text) - n_chars, "Z");
    return shown;
}
