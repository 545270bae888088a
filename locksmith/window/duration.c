/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

#define NSEC_PER_USEC UINT64_C(1000)
#define MAX_NSEC (DURATION_MAX_USEC * NSEC_PER_USEC)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The unit's letters, up to the next digit or dot, in nanoseconds; 0 when there is no such. */
static uint64_t read_unit(const char **text)
{
    static const struct {
        const char *name;
        uint64_t nsec;
    } units[] = {
            {"ns", 1},
            {"us", NSEC_PER_USEC},
            {"\u00b5s", NSEC_PER_USEC}, /* Go takes the micro sign and the Greek mu, too */
            {"\u03bcs", NSEC_PER_USEC},
            {"ms", 1000 * NSEC_PER_USEC},
            {"s", USEC_PER_SEC * NSEC_PER_USEC},
            {"m", USEC_PER_MINUTE * NSEC_PER_USEC},
            {"h", USEC_PER_HOUR * NSEC_PER_USEC},
            {"d", USEC_PER_DAY * NSEC_PER_USEC},
    };
    size_t n_chars = strcspn(*text, "0123456789.");
    for (size_t i = 0; i < ELEMENTS(units); i++) {
        if (strlen(units[i].name) == n_chars && memcmp(*text, units[i].name, n_chars) == 0) {
            *text += n_chars;
            return units[i].nsec;
        }
    }
    return 0;
}

/* One number with its unit. Every unit above the nanosecond is a power of ten times a whole number
 * of nanoseconds, so that the digits behind the dot are exact down to there. */
static int read_part(const char **text, uint64_t *ret_nsec)
{
    const char *at = *text;
    uint64_t whole = 0;
    for (; is_digit(*at); at++)
        whole = MIN(10 * whole + (uint64_t)(*at - '0'), MAX_NSEC + 1);
    bool has_digits = at > *text;
    const char *fraction = at;
    if (*at == '.') {
        fraction = ++at;
        while (is_digit(*at))
            at++;
        has_digits |= at > fraction;
    }
    uint64_t unit_nsec = has_digits ? read_unit(&at) : 0;
    if (unit_nsec == 0)
        return -EINVAL;
    *text = at;
    if (whole > MAX_NSEC / unit_nsec)
        return -ERANGE;
    uint64_t nsec = whole * unit_nsec;
    for (uint64_t place = unit_nsec / 10; is_digit(*fraction); fraction++, place /= 10)
        nsec += (uint64_t)(*fraction - '0') * place;
    *ret_nsec = nsec;
    return 0;
}

int duration_parse(const char *text, uint64_t *ret_usec)
{
    if (strcmp(text, "0") == 0) {
        *ret_usec = 0;
        return 0;
    }
    if (text[0] == '\0')
        return -EINVAL;
    uint64_t sum_nsec = 0;
    bool is_too_long = false; /* said only when the rest is a duration, too */
    while (*text) {
        uint64_t nsec = 0;
        int r = read_part(&text, &nsec);
        if (r == -EINVAL)
            return r;
        sum_nsec += nsec;
        is_too_long |= r == -ERANGE || sum_nsec > MAX_NSEC;
        if (is_too_long)
            sum_nsec = 0;
    }
    if (is_too_long)
        return -ERANGE;
    *ret_usec = sum_nsec / NSEC_PER_USEC;
    return 0;
}

DurationShown duration_show(uint64_t usec)
{
    static const struct {
        const char *name;
        uint64_t usec;
    } units[] = {
            {"d", USEC_PER_DAY},
            {"h", USEC_PER_HOUR},
            {"min", USEC_PER_MINUTE},
            {"s", USEC_PER_SEC},
    };
    DurationShown shown = {"0s"};
    if (usec > 0 && usec < USEC_PER_SEC)
        snprintf(shown.text, sizeof(shown.text), "%" PRIu64 "ms", usec / 1000);
    for (size_t i = 0; i < ELEMENTS(units); i++) {
        uint64_t n = usec / units[i].usec;
        if (n == 0)
            continue;
        int n_chars = snprintf(shown.text, sizeof(shown.text), "%" PRIu64 "%s", n, units[i].name);
        uint64_t rest = i + 1 < ELEMENTS(units) ? usec % units[i].usec / units[i + 1].usec : 0;
        if (rest > 0)
            snprintf(shown.text + n_chars, sizeof(shown.text) - (size_t)n_chars, " %" PRIu64 "%s",
                    rest, units[i + 1].name);
        break;
    }
    return shown;
}
