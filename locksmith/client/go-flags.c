/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/go-flags.h"

#include <stdbool.h>
#include <string.h>

int flag_list_add(FlagList *list, char *text)
{
    static const char blanks[] = " \t\r\n";
    char *rest = text, *piece;
    while ((piece = strsep(&rest, ","))) {
        piece += strspn(piece, blanks);
        size_t n = strlen(piece);
        while (n > 0 && strchr(blanks, piece[n - 1]))
            piece[--n] = '\0';
        if (n == 0)
            continue;
        if (list->n_values == FLAG_LIST_MAX)
            return -E2BIG;
        list->values[list->n_values++] = piece;
    }
    return 0;
}

static int set_bool(const char *name, const char *text, bool *ret_value, ErrorText *error)
{
    static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True"};
    static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False"};
    for (size_t i = 0; i < ELEMENTS(yes); i++)
        if (!text || strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret_value = !text || strcmp(text, yes[i]) == 0;
            return 0;
        }
    return error_say(error, -EINVAL, "-%s is true or false, not '%s'", name, text);
}

/* Everybody can read a process's command line, so a secret does not stay there. */
static int take_secret(char **target, char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    explicit_bzero(value, strlen(value));
    free(*target);
    *target = copy;
    return 0;
}

static int set_flag(const GoFlag *flag, char *value, ErrorText *error)
{
    switch (flag->kind) {
    case FLAG_BOOL:
        return set_bool(flag->name, value, flag->target, error);
    case FLAG_TEXT:
        *(const char **)flag->target = value;
        return 0;
    case FLAG_SECRET:
        return take_secret(flag->target, value);
    case FLAG_LIST: {
        int r = flag_list_add(flag->target, value);
        return r < 0 ? error_say(error, r, "-%s takes at most %d values", flag->name, FLAG_LIST_MAX)
                     : 0;
    }
    }
    return -EINVAL;
}

static const GoFlag *find(const GoFlag *flags, const char *name, size_t n_chars)
{
    for (const GoFlag *flag = flags; flag->name; flag++)
        if (strlen(flag->name) == n_chars && strncmp(flag->name, name, n_chars) == 0)
            return flag;
    return NULL;
}

/* Reads the flag in argv[0] and its value. Returns how many elements of argv that took. */
static int read_flag(const GoFlag *flags, int argc, char **argv, ErrorText *error)
{
    char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
    char *value = strchr(name, '=');
    size_t n_chars = value ? (size_t)(value - name) : strlen(name);
    const GoFlag *flag = find(flags, name, n_chars);
    if (!flag)
        return error_say(error, -EINVAL, "there is no flag '%s'", argv[0]);
    if (value)
        value++;
    if (value || flag->kind == FLAG_BOOL) {
        int r = set_flag(flag, value, error);
        return r < 0 ? r : 1;
    }
    if (argc < 2)
        return error_say(error, -EINVAL, "-%s needs a value", flag->name);
    int r = set_flag(flag, argv[1], error);
    return r < 0 ? r : 2;
}

int go_flags_parse(const GoFlag *flags, GoFlagOrder order, int argc, char **argv, ErrorText *error)
{
    int i = 0, n_left = 0;
    while (i < argc) {
        bool is_end = strcmp(argv[i], "--") == 0;
        bool is_flag = argv[i][0] == '-' && argv[i][1] != '\0' && !is_end;
        if (is_end)
            i++;
        if (is_end || (!is_flag && order == FLAGS_FIRST))
            break;
        if (!is_flag) {
            argv[n_left++] = argv[i++];
            continue;
        }
        int n_read = read_flag(flags, argc - i, argv + i, error);
        if (n_read < 0)
            return n_read;
        i += n_read;
    }
    while (i < argc)
        argv[n_left++] = argv[i++];
    return n_left;
}
