/* SPDX-License-Identifier: Apache-2.0 */

/* The text is copied once, NUL-terminated line by line in place, and assignments point into it. */

#include "common/env-file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/fd-io.h"

struct EnvFile {
    char *text;
    EnvAssignment *assignments;
    size_t n_assignments;
    EnvFault *faults;
    size_t n_faults;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_key_char(char c, bool is_first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!is_first && c >= '0' && c <= '9');
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool is_key(const char *key)
{
    if (!is_key_char(key[0], true))
        return false;
    for (const char *c = key; *c; c++)
        if (!is_key_char(*c, false))
            return false;
    return true;
}

/* What is wrong with the characters of a line; NULL: nothing. */
static const char *fault_of_characters(const char *line, size_t n_chars)
{
    for (size_t i = 0; i < n_chars; i++) {
        if (line[i] == '\r' && i == n_chars - 1)
            return "the line ends in a carriage return; save the file with Unix line ends";
        if (is_control(line[i]))
            return "the line holds a control character; this must be a text file";
    }
    return NULL;
}

/* Strips one pair of quotes in place; *value is moved behind the first. */
static const char *unquote(char **value)
{
    char quote = **value;
    if (quote != '"' && quote != '\'')
        return NULL;
    size_t n_chars = strlen(*value);
    if (n_chars > 1 && (*value)[n_chars - 1] == quote) {
        (*value)[n_chars - 1] = '\0';
        (*value)++;
        return NULL;
    }
    return strchr(*value + 1, quote)
                   ? "something follows the value's closing quote; put the quotes around the "
                     "whole value or leave them out"
                   : "the value's quote does not end; close it on the same line";
}

/* What the line would assign to without what stands around the key; cuts the line behind it. */
static const char *meant_key(char *line)
{
    static const char *const others[] = {"\xef\xbb\xbf", "export "};
    for (bool is_passed = true; is_passed;) {
        is_passed = is_blank(*line);
        line += is_passed;
        for (size_t i = 0; i < ELEMENTS(others); i++)
            if (strncmp(line, others[i], strlen(others[i])) == 0) {
                line += strlen(others[i]);
                is_passed = true;
            }
    }
    size_t n_chars = 0;
    while (is_key_char(line[n_chars], n_chars == 0))
        n_chars++;
    line[n_chars] = '\0';
    return n_chars > 0 ? line : NULL;
}

/* Makes room for one more in an array of n, which doubles whenever it is full. */
static void *with_room(void *array, size_t n, size_t size_bytes)
{
    bool is_full = n == 0 || (n >= 16 && (n & (n - 1)) == 0);
    return is_full ? reallocarray(array, n == 0 ? 16 : 2 * n, size_bytes) : array;
}

static int add_assignment(EnvFile *file, const EnvAssignment *assignment)
{
    EnvAssignment *larger = with_room(file->assignments, file->n_assignments, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    file->assignments = larger;
    file->assignments[file->n_assignments++] = *assignment;
    return 0;
}

static int add_fault(EnvFile *file, const EnvFault *fault)
{
    EnvFault *larger = with_room(file->faults, file->n_faults, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    file->faults = larger;
    file->faults[file->n_faults++] = *fault;
    return 0;
}

/* line is NUL-terminated and may be changed. */
static int parse_line(EnvFile *file, unsigned number, char *line, size_t n_chars)
{
    EnvFault fault = {.line = number, .what = fault_of_characters(line, n_chars)};
    const char *first = line;
    while (is_blank(*first))
        first++;
    if (*first == '\0' || *first == '#' || *first == ';')
        return fault.what ? add_fault(file, &fault) : 0;

    char *value = strchr(line, '=');
    if (value)
        *value++ = '\0';
    fault.is_assigned = value && is_key(line);
    fault.key = fault.is_assigned ? line : meant_key(line);
    if (!fault.is_assigned && !fault.what)
        fault.what = value ? "what is left of '=' is not a key; write KEY=value without blanks "
                             "around KEY"
                           : "this is neither KEY=value nor a comment; begin a comment with '#'";
    if (!fault.what)
        fault.what = unquote(&value);
    if (fault.what)
        return add_fault(file, &fault);
    return add_assignment(file, &(EnvAssignment){.key = line, .value = value, .line = number});
}

/* What a crash leaves of a file on some file systems: not a text without assignments. */
static int refuse_nul(const char *name, const char *text, size_t n_bytes, ErrorText *error)
{
    const char *nul = n_bytes > 0 ? memchr(text, '\0', n_bytes) : NULL;
    if (!nul)
        return 0;
    unsigned line = 1;
    for (const char *c = text; c < nul; c++)
        line += *c == '\n';
    return error_say(
            error, -EINVAL, "%s:%u: the line holds a NUL; this must be a text file", name, line);
}

static int say_too_large(const char *name, ErrorText *error)
{
    return error_say(error, -EFBIG, "%s: the file is larger than %d KiB; shorten it", name,
            ENV_FILE_MAX_BYTES / 1024);
}

int env_file_parse_leniently(
        const char *name, const char *text, size_t n_bytes, EnvFile **ret_file, ErrorText *error)
{
    if (n_bytes > ENV_FILE_MAX_BYTES)
        return say_too_large(name, error);
    int r = refuse_nul(name, text, n_bytes, error);
    if (r < 0)
        return r;

    _cleanup_(env_file_freep) EnvFile *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->text = malloc(n_bytes + 1);
    if (!file->text)
        return -ENOMEM;
    if (n_bytes > 0)
        memcpy(file->text, text, n_bytes);
    file->text[n_bytes] = '\0';

    unsigned number = 0;
    for (size_t at = 0; at < n_bytes;) {
        char *line = file->text + at;
        char *end = memchr(line, '\n', n_bytes - at);
        size_t n_chars = end ? (size_t)(end - line) : n_bytes - at;
        line[n_chars] = '\0';
        r = parse_line(file, ++number, line, n_chars);
        if (r < 0)
            return r;
        at += n_chars + 1;
    }
    *ret_file = TAKE_PTR(file);
    return 0;
}

int env_file_parse(
        const char *name, const char *text, size_t n_bytes, EnvFile **ret_file, ErrorText *error)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    int r = env_file_parse_leniently(name, text, n_bytes, &file, error);
    if (r < 0)
        return r;
    if (file->n_faults > 0)
        return error_say(
                error, -EINVAL, "%s:%u: %s", name, file->faults[0].line, file->faults[0].what);
    *ret_file = TAKE_PTR(file);
    return 0;
}

int env_file_load(int dir_fd, const char *path, EnvFile **ret_file, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(dir_fd, path, ENV_FILE_MAX_BYTES, &text, &n_bytes);
    if (r == -EFBIG)
        return say_too_large(path, error);
    if (r < 0)
        return error_say(error, r, "%s: cannot be read: %s", path, strerror(-r));
    return env_file_parse(path, text, n_bytes, ret_file, error);
}

void env_file_free(EnvFile *file)
{
    if (!file)
        return;
    free(file->assignments);
    free(file->faults);
    free(file->text);
    free(file);
}

const char *env_file_get(const EnvFile *file, const char *key)
{
    for (size_t i = file->n_assignments; i > 0; i--)
        if (strcmp(file->assignments[i - 1].key, key) == 0)
            return file->assignments[i - 1].value;
    return NULL;
}

const EnvAssignment *env_file_assignments(const EnvFile *file, size_t *ret_n_assignments)
{
    *ret_n_assignments = file->n_assignments;
    return file->assignments;
}

const EnvFault *env_file_faults(const EnvFile *file, size_t *ret_n_faults)
{
    *ret_n_faults = file->n_faults;
    return file->faults;
}

/* The quote that value needs so that every reader of such files takes it unchanged: '\0' for none.
 * systemd trims blanks at the ends and takes backslashes as escapes outside single quotes. */
static int choose_quote(const char *value, char *ret_quote)
{
    size_t n_chars = strlen(value);
    for (size_t i = 0; i < n_chars; i++)
        if (is_control(value[i]))
            return -EINVAL;
    if (n_chars == 0 || (!strchr(value, '\\') && !strchr("\"' \t", value[0]) &&
                                !strchr("\"' \t", value[n_chars - 1])))
        *ret_quote = '\0';
    else if (!strchr(value, '\''))
        *ret_quote = '\'';
    else if (!strpbrk(value, "\"\\"))
        *ret_quote = '"';
    else
        return -EINVAL;
    return 0;
}

/* Finds the last line of text that assigns key: its first byte and the one after its last,
 * without the newline. Without one both are the end of the text. */
static void find_line(
        const char *text, size_t n_bytes, const char *key, size_t *ret_begin, size_t *ret_end)
{
    size_t n_key_chars = strlen(key);
    *ret_begin = *ret_end = n_bytes;
    for (size_t at = 0; at < n_bytes;) {
        const char *newline = memchr(text + at, '\n', n_bytes - at);
        size_t end = newline ? (size_t)(newline - text) : n_bytes;
        if (end - at > n_key_chars && memcmp(text + at, key, n_key_chars) == 0 &&
                text[at + n_key_chars] == '=') {
            *ret_begin = at;
            *ret_end = end;
        }
        at = end + 1;
    }
}

int env_file_edit(const char *text, size_t n_bytes, const char *key, const char *value,
        char **ret_text, size_t *ret_n_bytes)
{
    char quote;
    int r = is_key(key) ? choose_quote(value, &quote) : -EINVAL;
    if (r < 0)
        return r;
    size_t begin;
    size_t end;
    find_line(text, n_bytes, key, &begin, &end);
    bool is_appended = begin == n_bytes;
    bool needs_newline = is_appended && n_bytes > 0 && text[n_bytes - 1] != '\n';

    char *edited = NULL;
    size_t n_edited_bytes;
    _cleanup_fclose_ FILE *out = open_memstream(&edited, &n_edited_bytes);
    if (!out)
        return -ENOMEM;
    if (begin > 0)
        fwrite(text, 1, begin, out);
    if (needs_newline)
        fputc('\n', out);
    fprintf(out, "%s=", key);
    if (quote)
        fputc(quote, out);
    fputs(value, out);
    if (quote)
        fputc(quote, out);
    if (is_appended)
        fputc('\n', out);
    if (end < n_bytes)
        fwrite(text + end, 1, n_bytes - end, out);
    bool has_failed = ferror(out) != 0;
    has_failed |= fclose(TAKE_PTR(out)) != 0;
    if (has_failed) {
        free(edited);
        return -ENOMEM;
    }
    *ret_text = edited;
    *ret_n_bytes = n_edited_bytes;
    return 0;
}
