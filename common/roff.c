/* SPDX-License-Identifier: Apache-2.0 */
#include "common/roff.h"

#include <stdio.h>

/* '-' would be a hyphen, '\' begins an escape, and a '.' or '\'' at the beginning of a line makes
 * it a command. */
void roff_print(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (c == text && (*c == '.' || *c == '\''))
            fputs("\\&", stdout);
        if (*c == '-' || *c == '\\')
            fputs(*c == '-' ? "\\-" : "\\e", stdout);
        else
            putchar(*c);
    }
}

static void print_sentence(const char *begin, const char *text)
{
    if (!text || !text[0])
        return;
    fputs(begin, stdout);
    roff_print(text);
    putchar('.');
}

void roff_print_key(
        const char *name, const char *help, const char *wants, const char *default_value)
{
    fputs(".TP\n.B ", stdout);
    roff_print(name);
    fputs("=\n", stdout);
    roff_print(help);
    print_sentence(" It is ", wants);
    print_sentence(" Default: ", default_value);
    putchar('\n');
}
