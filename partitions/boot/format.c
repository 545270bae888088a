/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/format.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGITS_MAX 24

typedef struct {
    char *text;
    size_t n_bytes;
    size_t length; /* of the whole, fit or not */
} Output;

typedef struct {
    bool is_left, is_zero_padded, has_precision;
    size_t width, precision;
    unsigned n_long; /* 1: long, 2: long long or size_t */
} Directive;

static void put(Output *output, char c)
{
    if (output->length + 1 < output->n_bytes)
        output->text[output->length] = c;
    output->length++;
}

static void put_padding(Output *output, char c, size_t length, size_t width)
{
    for (; length < width; length++)
        put(output, c);
}

static void put_text(Output *output, const Directive *directive, const char *text)
{
    size_t n = 0;
    if (!text)
        text = "(null)";
    while ((!directive->has_precision || n < directive->precision) && text[n])
        n++;
    if (!directive->is_left)
        put_padding(output, ' ', n, directive->width);
    for (size_t i = 0; i < n; i++)
        put(output, text[i]);
    if (directive->is_left)
        put_padding(output, ' ', n, directive->width);
}

static void put_number(
        Output *output, const Directive *directive, uint64_t n, unsigned base, bool is_negative)
{
    char digits[DIGITS_MAX];
    size_t n_digits = 0;
    do {
        digits[n_digits++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    size_t length = n_digits + is_negative;
    bool has_zeros = directive->is_zero_padded && !directive->is_left;
    if (!directive->is_left && !has_zeros)
        put_padding(output, ' ', length, directive->width);
    if (is_negative)
        put(output, '-');
    if (has_zeros)
        put_padding(output, '0', length, directive->width);
    while (n_digits > 0)
        put(output, digits[--n_digits]);
    if (directive->is_left)
        put_padding(output, ' ', length, directive->width);
}

static const char *read_count(const char *at, size_t *ret_count)
{
    size_t n = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (n < 10000)
            n = 10 * n + (size_t)(*at - '0');
    *ret_count = n;
    return at;
}

/* Reads what is between the % and the letter. */
static const char *read_directive(const char *at, Directive *ret_directive)
{
    Directive directive = {0};
    for (; *at == '0' || *at == '-'; at++) {
        directive.is_left |= *at == '-';
        directive.is_zero_padded |= *at == '0';
    }
    at = read_count(at, &directive.width);
    if (*at == '.') {
        directive.has_precision = true;
        at = read_count(at + 1, &directive.precision);
    }
    for (; *at == 'l' && directive.n_long < 2; at++)
        directive.n_long++;
    if (*at == 'z' && directive.n_long == 0) {
        directive.n_long = 2; /* as long as long long wherever this is built */
        at++;
    }
    *ret_directive = directive;
    return at;
}

int format_vtext(char *ret_text, size_t n_bytes, const char *format, va_list arguments)
{
    Output output = {.text = ret_text, .n_bytes = n_bytes};
    for (const char *at = format; *at; at++) {
        Directive directive;
        if (*at != '%') {
            put(&output, *at);
            continue;
        }
        const char *begin = at;
        at = read_directive(at + 1, &directive);
        if (*at == 's') {
            put_text(&output, &directive, va_arg(arguments, const char *));
        } else if (*at == 'c') {
            put_text(&output, &directive, (char[]){(char)va_arg(arguments, int), '\0'});
        } else if (*at == 'd') {
            int64_t n = directive.n_long == 2   ? va_arg(arguments, long long)
                        : directive.n_long == 1 ? va_arg(arguments, long)
                                                : va_arg(arguments, int);
            put_number(&output, &directive, n < 0 ? -(uint64_t)n : (uint64_t)n, 10, n < 0);
        } else if (*at == 'u' || *at == 'x') {
            uint64_t n = directive.n_long == 2   ? va_arg(arguments, unsigned long long)
                         : directive.n_long == 1 ? va_arg(arguments, unsigned long)
                                                 : va_arg(arguments, unsigned);
            put_number(&output, &directive, n, *at == 'x' ? 16 : 10, false);
        } else {
            if (*at != '%')
                for (; begin < at; begin++)
                    put(&output, *begin);
            if (!*at)
                break;
            put(&output, *at);
        }
    }
    if (n_bytes > 0)
        ret_text[output.length < n_bytes ? output.length : n_bytes - 1] = '\0';
    return (int)output.length;
}

int format_text(char *ret_text, size_t n_bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = format_vtext(ret_text, n_bytes, format, arguments);
    va_end(arguments);
    return n;
}
