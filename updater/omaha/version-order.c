/* SPDX-License-Identifier: Apache-2.0 */

/* UAPI.10 compares two strings piece by piece from the left. At each place the separators decide
 * first, in the order `~` < end < `-` < `^` < `.`, then runs of digits by value, then runs of
 * letters by their bytes. Characters that have no meaning there (`+`, `_`) are passed over. */

#include "updater/omaha/version-order.h"

#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"

#define VERSION_MAX_CHARS 128

/* ASCII whatever the locale says. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has_meaning(char c)
{
    return c != '\0' && (is_digit(c) || is_letter(c) || strchr("~-^.", c));
}

static int order_of(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static const char *skip_meaningless(const char *text)
{
    while (*text != '\0' && !has_meaning(*text))
        text++;
    return text;
}

static size_t span(const char *text, bool (*is_part)(char))
{
    size_t n = 0;
    while (is_part(text[n]))
        n++;
    return n;
}

/* Compares the runs of digits at both places by value, whatever their length, and moves on. No
 * digits at all are less than 0. */
static int compare_numbers(const char **a, const char **b)
{
    size_t n_a = span(*a, is_digit), n_b = span(*b, is_digit);
    if (n_a == 0 || n_b == 0)
        return order_of(n_a, n_b);
    const char *end_a = *a + n_a, *end_b = *b + n_b;
    while (**a == '0')
        (*a)++;
    while (**b == '0')
        (*b)++;
    n_a = (size_t)(end_a - *a);
    n_b = (size_t)(end_b - *b);
    int order = order_of(n_a, n_b);
    if (order == 0)
        order = memcmp(*a, *b, n_a);
    *a = end_a;
    *b = end_b;
    return order;
}

static int compare_words(const char **a, const char **b)
{
    size_t n_a = span(*a, is_letter), n_b = span(*b, is_letter);
    int order = memcmp(*a, *b, MIN(n_a, n_b));
    if (order == 0)
        order = order_of(n_a, n_b);
    *a += n_a;
    *b += n_b;
    return order;
}

/* The string that has the separator alone is older; when both have it, they move on. */
static int compare_separators(const char **a, const char **b, char separator)
{
    bool in_a = **a == separator, in_b = **b == separator;
    if (in_a != in_b)
        return in_a ? -1 : 1;
    *a += in_a;
    *b += in_b;
    return 0;
}

/* One round: its steps follow each other without a new start, as the specification has them. */
static int compare_pieces(const char **a, const char **b)
{
    for (const char *separator = "-^."; *separator != '\0'; separator++) {
        int order = compare_separators(a, b, *separator);
        if (order != 0)
            return order;
    }
    return is_digit(**a) || is_digit(**b) ? compare_numbers(a, b) : compare_words(a, b);
}

int version_compare(const char *a, const char *b)
{
    for (;;) {
        a = skip_meaningless(a);
        b = skip_meaningless(b);
        int order = compare_separators(&a, &b, '~');
        if (order != 0)
            return order;
        if (*a == '\0' || *b == '\0')
            return (*a != '\0') - (*b != '\0');
        order = compare_pieces(&a, &b);
        if (order != 0)
            return order;
    }
}

bool version_is_valid(const char *text)
{
    size_t n = strnlen(text, VERSION_MAX_CHARS + 1);
    if (n == 0 || n > VERSION_MAX_CHARS)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_digit(text[i]) && !is_letter(text[i]) && !strchr("~^+._-", text[i]))
            return false;
    return true;
}
