/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/approval-text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/env-file.h"
#include "common/printable.h"
#include "locksmith/conditions/wall-time.h"

static int copy_value(const char *path, const EnvFile *file, const char *key, char *copy,
        size_t n_copy_bytes, ErrorText *error)
{
    const char *value = env_file_get(file, key);
    size_t n_chars = value ? strlen(value) : 0;
    if (n_chars >= n_copy_bytes)
        return error_say(error, -EINVAL, "/%s: %s is longer than %zu characters; shorten it", path,
                key, n_copy_bytes - 1);
    memcpy(copy, value ? value : "", n_chars + 1);
    printable_clean(copy);
    return 0;
}

static int understand(const char *path, const EnvFile *file, PersonsWord *word, ErrorText *error)
{
    size_t n_assignments;
    const EnvAssignment *assignments = env_file_assignments(file, &n_assignments);
    for (size_t i = 0; i < n_assignments; i++)
        if (strcmp(assignments[i].key, "UNTIL") != 0 &&
                strcmp(assignments[i].key, "VERSION") != 0 &&
                strcmp(assignments[i].key, "WHY") != 0)
            return error_say(error, -EINVAL, "/%s:%u: what is %s? UNTIL, VERSION and WHY would do",
                    path, assignments[i].line, assignments[i].key);

    const char *until = env_file_get(file, "UNTIL");
    if (until && until[0] != '\0' && wall_time_parse(until, &word->until_usec) < 0)
        return error_say(error, -EINVAL,
                "/%s: UNTIL=%s is no time; write it as 2026-11-23T10:00:00Z", path, until);
    if (until && until[0] != '\0' && word->until_usec == 0)
        word->until_usec = 1; /* an end all the same, and 0 means none */
    int r = copy_value(path, file, "VERSION", word->version, sizeof(word->version), error);
    return r < 0 ? r : copy_value(path, file, "WHY", word->why, sizeof(word->why), error);
}

int approval_text_parse(const char *path, const char *text, size_t n_bytes, uint64_t now_usec,
        PersonsWord *ret_word, ErrorText *error)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    PersonsWord word = {.state = WORD_GIVEN};
    int r = env_file_parse(path, text, n_bytes, &file, error);
    if (r >= 0)
        r = understand(path, file, &word, error);
    if (r < 0)
        return r;
    if (word.until_usec != 0 && now_usec >= word.until_usec)
        word.state = WORD_EXPIRED;
    *ret_word = word;
    return 0;
}

/* A text that somebody typed, so that any reader of such files takes it unchanged. */
static void make_writable(char *value)
{
    printable_clean(value);
    for (char *c = value; *c; c++) {
        if (*c == '"')
            *c = '\'';
        else if (*c == '\\')
            *c = '/';
    }
}

/* Adds a line to *text, which is replaced. An empty value is none. */
static int set(char **text, size_t *n_bytes, const char *key, const char *value)
{
    char copy[256];
    char *longer;
    snprintf(copy, sizeof(copy), "%s", value);
    make_writable(copy);
    if (copy[0] == '\0')
        return 0;
    int r = env_file_edit(*text, *n_bytes, key, copy, &longer, n_bytes);
    if (r < 0)
        return r;
    free(*text);
    *text = longer;
    return 0;
}

int approval_text_format(const PersonsWord *word, char **ret_text, size_t *ret_n_bytes)
{
    _cleanup_free_ char *text = strdup("");
    size_t n_bytes = 0;
    if (!text)
        return -ENOMEM;
    int r = 0;
    if (word->until_usec > 0)
        r = set(&text, &n_bytes, "UNTIL", wall_time_show(word->until_usec).text);
    if (r >= 0)
        r = set(&text, &n_bytes, "VERSION", word->version);
    if (r >= 0)
        r = set(&text, &n_bytes, "WHY", word->why);
    if (r < 0)
        return r;
    *ret_text = TAKE_PTR(text);
    *ret_n_bytes = n_bytes;
    return 0;
}
