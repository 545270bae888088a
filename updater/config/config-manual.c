/* SPDX-License-Identifier: Apache-2.0 */

/* Writes the manual page: its template with the line @KEYS@ replaced by the table of keys, and @OS@
 * by the operating system's name. Runs while building. */

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "updater/config/config-keys.h"

/* roff takes '-' for a hyphen, '\' for an escape, and a '.' or '\'' that begins a line for a
 * command. */
static void print_text(const char *text)
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

static void print_keys(void)
{
    for (const ConfigKey *key = config_keys(); key->name; key++) {
        printf(".TP\n.B ");
        print_text(key->name);
        printf("=\n");
        print_text(key->help);
        if (key->read) {
            printf(" It is ");
            print_text(key->wants);
            putchar('.');
        }
        if (key->default_value && key->default_value[0]) {
            printf(" Default: ");
            print_text(key->default_value);
            putchar('.');
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    _cleanup_fclose_ FILE *template = argc == 2 ? fopen(argv[1], "re") : NULL;
    if (!template) {
        fprintf(stderr, "usage: %s TEMPLATE > PAGE\n", argv[0]);
        return EXIT_FAILURE;
    }
    char line[1024];
    while (fgets(line, sizeof(line), template)) {
        if (strcmp(line, "@KEYS@\n") == 0) {
            print_keys();
            continue;
        }
        const char *rest = line;
        for (const char *mark; (mark = strstr(rest, "@OS@")); rest = mark + strlen("@OS@"))
            printf("%.*s%s", (int)(mark - rest), rest, FLIPSIDE_OS);
        fputs(rest, stdout);
    }
    return ferror(template) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
