/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/approval.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/clock.h"
#include "common/env-file.h"
#include "common/fd-io.h"
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

static int read_word(
        int root_fd, const char *path, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    PersonsWord word = {.state = WORD_MISSING};
    int r = env_file_load(root_fd, path, &file, error);
    if (r == -ENOENT || r == -ENOTDIR) {
        if (error)
            error->line[0] = '\0';
        *ret_word = word;
        return 0;
    }
    if (r >= 0)
        r = understand(path, file, &word, error);
    if (r < 0)
        return r;
    word.state = word.until_usec != 0 && now_usec >= word.until_usec ? WORD_EXPIRED : WORD_GIVEN;
    *ret_word = word;
    return 0;
}

int approval_read(int root_fd, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error)
{
    return read_word(root_fd, APPROVAL_FILE, now_usec, ret_word, error);
}

int pause_read(int root_fd, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error)
{
    PersonsWord word;
    int r = read_word(root_fd, PAUSE_FILE, now_usec, &word, error);
    if (r < 0)
        return r;
    if (word.state != WORD_MISSING && word.until_usec == 0)
        return error_say(error, -EINVAL,
                "/%s has no UNTIL=; write one (locksmithctl pause 4h), or remove the file "
                "(locksmithctl resume)",
                PAUSE_FILE);
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

/* *text is new, or NULL before; it is replaced. */
static int set(char **text, size_t *n_bytes, const char *key, const char *value)
{
    char copy[256];
    char *longer;
    snprintf(copy, sizeof(copy), "%s", value);
    make_writable(copy);
    if (copy[0] == '\0')
        return 0;
    int r = env_file_edit(*text ? *text : "", *n_bytes, key, copy, &longer, n_bytes);
    if (r < 0)
        return r;
    free(*text);
    *text = longer;
    return 0;
}

static int make_folder(int root_fd, const char *path)
{
    _cleanup_free_ char *folder = strdup(path);
    if (!folder)
        return -ENOMEM;
    for (char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(root_fd, folder, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

static int write_word(int root_fd, const char *path, uint64_t until_usec, const char *version,
        const char *why, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    int r = set(&text, &n_bytes, "UNTIL", until_usec > 0 ? wall_time_show(until_usec).text : "");
    if (r >= 0)
        r = set(&text, &n_bytes, "VERSION", version);
    if (r >= 0)
        r = set(&text, &n_bytes, "WHY", why);
    if (r >= 0)
        r = make_folder(root_fd, path);
    if (r >= 0)
        r = atomic_file_write(root_fd, path, text ? text : "", n_bytes, 0644);
    return r < 0 ? error_say(error, r, "/%s cannot be written: %s", path, strerror(-r)) : 0;
}

int approval_write(int root_fd, uint64_t until_usec, const char *version, ErrorText *error)
{
    /* Cut, it would approve nothing, or another version. */
    if (strlen(version) >= sizeof(((PersonsWord *)NULL)->version))
        return error_say(error, -EINVAL, "the version to approve is longer than a version can be");
    return write_word(root_fd, APPROVAL_FILE, until_usec, version, "", error);
}

int pause_write(int root_fd, uint64_t until_usec, const char *why, ErrorText *error)
{
    if (until_usec == 0)
        return error_say(error, -EINVAL, "a pause needs an end; say how long, such as 4h");
    return write_word(root_fd, PAUSE_FILE, until_usec, "", why, error);
}

static int remove_word(int root_fd, const char *path, ErrorText *error)
{
    int r = atomic_file_remove(root_fd, path);
    return r < 0 ? error_say(error, r, "/%s cannot be removed: %s", path, strerror(-r)) : 0;
}

int approval_remove(int root_fd, ErrorText *error)
{
    return remove_word(root_fd, APPROVAL_FILE, error);
}

int pause_remove(int root_fd, ErrorText *error)
{
    return remove_word(root_fd, PAUSE_FILE, error);
}
