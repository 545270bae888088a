/* SPDX-License-Identifier: Apache-2.0 */

/* Writes the manual page: its template with the line @KEYS@ replaced by the table of keys, the line
 * @LOCKSMITH_KEYS@ by a file (locksmith-manual's), and @OS@ by the operating system's name. Runs
 * while building. */

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/roff.h"
#include "updater/config/config-keys.h"

static void print_keys(void)
{
    for (const ConfigKey *key = config_keys(); key->name; key++)
        roff_print_key(key->name, key->help, key->read ? key->wants : NULL, key->default_value);
}

static int copy_file(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    for (int c; (c = getc(file)) != EOF;)
        putchar(c);
    return ferror(file) ? -EIO : 0;
}

static int print_line(const char *line, const char *locksmith_keys)
{
    if (strcmp(line, "@LOCKSMITH_KEYS@\n") == 0)
        return copy_file(locksmith_keys);
    if (strcmp(line, "@KEYS@\n") == 0) {
        print_keys();
        return 0;
    }
    const char *rest = line;
    for (const char *mark; (mark = strstr(rest, "@OS@")); rest = mark + strlen("@OS@"))
        printf("%.*s%s", (int)(mark - rest), rest, FLIPSIDE_OS);
    fputs(rest, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    _cleanup_fclose_ FILE *template = argc == 3 ? fopen(argv[1], "re") : NULL;
    if (!template) {
        fprintf(stderr, "usage: %s TEMPLATE LOCKSMITH-KEYS > PAGE\n", argv[0]);
        return EXIT_FAILURE;
    }
    char line[1024];
    int r = 0;
    while (r >= 0 && fgets(line, sizeof(line), template))
        r = print_line(line, argv[2]);
    return r < 0 || ferror(template) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
