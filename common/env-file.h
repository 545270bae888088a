/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `KEY=value` files as update_engine, locksmith and systemd's EnvironmentFile= read them: one
 * assignment a line, no blanks trimmed inside the value, one pair of ' or " around the value
 * stripped, `#` and `;` begin a comment line, the last assignment of a key wins. */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"

#define ENV_FILE_MAX_BYTES (64 * 1024)

typedef struct {
    const char *key;   /* inside the file object */
    const char *value; /* inside the file object, unquoted */
    unsigned line;     /* counted from 1 */
} EnvAssignment;

/* A line that is none. */
typedef struct {
    unsigned line;    /* counted from 1 */
    const char *key;  /* that its writer may have meant, inside the file object; NULL: none */
    bool is_assigned; /* ... and that only its value is wrong */
    const char *what; /* is wrong, and what would do; static */
} EnvFault;

typedef struct EnvFile EnvFile;

/* Reads text of n_bytes (borrowed, no NUL needed at its end). Blank lines and comments are skipped.
 * A line that is no assignment, a key that is not [A-Za-z_][A-Za-z0-9_]*, a quote that does not end
 * where the value does, a NUL or another control character than a tab is an error that says
 * "name:line: what is wrong"; the last line may lack its newline. name is borrowed.
 * Errors: -EINVAL with `error`, -EFBIG over ENV_FILE_MAX_BYTES with `error`, -ENOMEM. */
int env_file_parse(
        const char *name, const char *text, size_t n_bytes, EnvFile **ret_file, ErrorText *error);

/* The same, but lines like those are left out, and are env_file_faults(): for a file that others
 * write to as well. A NUL is an error all the same. Errors: as above. */
int env_file_parse_leniently(
        const char *name, const char *text, size_t n_bytes, EnvFile **ret_file, ErrorText *error);

/* Reads the file path below dir_fd (AT_FDCWD for a plain path); blocks.
 * Errors: as above with path as name, and errno of open and read with `error` (-ENOENT too). */
int env_file_load(int dir_fd, const char *path, EnvFile **ret_file, ErrorText *error);

void env_file_free(EnvFile *file);
DEFINE_CLEANUP(EnvFile *, env_file_free);

/* The value of key, "" when assigned nothing, or NULL when the file does not assign it. */
const char *env_file_get(const EnvFile *file, const char *key);

/* All assignments in their order; duplicates included. */
const EnvAssignment *env_file_assignments(const EnvFile *file, size_t *ret_n_assignments);

/* The lines that were left out, in their order. */
const EnvFault *env_file_faults(const EnvFile *file, size_t *ret_n_faults);

/* The text of a file with key set to value and every other line, comment and blank kept as it was:
 * the last assignment of key is replaced, a file without one gets a line at its end. The value is
 * quoted where a reader would take it differently without. *ret_text is new. The old text need not
 * be valid elsewhere.
 * Errors: -EINVAL when key or value cannot be written (not a key; a control character; quotes of
 * both kinds where quotes are needed), -ENOMEM. */
int env_file_edit(const char *text, size_t n_bytes, const char *key, const char *value,
        char **ret_text, size_t *ret_n_bytes);
