/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/old-client/google-flags.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

static const GoogleFlag *find(const GoogleFlag *flags, const char *name, size_t n_chars)
{
    for (; flags->name; flags++)
        if (strncmp(flags->name, name, n_chars) == 0 && flags->name[n_chars] == '\0')
            return flags;
    return NULL;
}

static bool read_value(const char *text, bool *ret_value)
{
    static const char *const values[][2] = {
            {"false", "true"}, {"f", "t"}, {"no", "yes"}, {"n", "y"}, {"0", "1"}};
    for (size_t i = 0; i < ELEMENTS(values); i++)
        for (int value = 0; value <= 1; value++)
            if (strcasecmp(text, values[i][value]) == 0) {
                *ret_value = value;
                return true;
            }
    return false;
}

/* argument begins with a dash. */
static int read_flag(const GoogleFlag *flags, const char *argument, ErrorText *error)
{
    const char *name = argument + (argument[1] == '-' ? 2 : 1);
    size_t n_chars = strcspn(name, "=");
    bool value = true;
    const GoogleFlag *flag = find(flags, name, n_chars);
    if (!flag && n_chars > 2 && name[n_chars] == '\0' && strncmp(name, "no", 2) == 0) {
        flag = find(flags, name + 2, n_chars - 2);
        value = false;
    }
    if (!flag)
        return error_say(error, -EINVAL, "there is no flag '%.64s'", argument);
    if (name[n_chars] == '=' && !read_value(name + n_chars + 1, &value))
        return error_say(error, -EINVAL, "'%.64s' is neither true nor false", argument);
    *flag->target = value;
    return 0;
}

int google_flags_parse(const GoogleFlag *flags, int argc, char **argv, ErrorText *error)
{
    int n_words = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0)
            return n_words + argc - i - 1;
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            n_words++;
            continue;
        }
        int r = read_flag(flags, argv[i], error);
        if (r < 0)
            return r;
    }
    return n_words;
}
