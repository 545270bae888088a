/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One reader for each kind of value that a key can have, as LocksmithKey wants them. value is not
 * empty, but where it is the table's default, and outlives the field. Pure but for the question
 * which time zones there are.
 * Errors: -EINVAL when it will not do, with `why` where there is more to say than what would;
 * -ENOMEM. */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"
#include "locksmith/config/locksmith-keys.h"

int key_value_read_strategy(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_store(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_bool(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_duration(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why);

/* The field is borrowed text, which is the value itself. */
int key_value_read_text(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_long_text(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_path(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_url(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_endpoints(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_window_start(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_window_length(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_windows(const LocksmithKey *key, const char *value, void *field, ErrorText *why);
int key_value_read_zone(const LocksmithKey *key, const char *value, void *field, ErrorText *why);

/* One of the list of endpoints: sets *at to the first character of the next one and *ret_n_chars to
 * its length without blanks and a slash at its end; false at the end of the list. The one after it
 * is looked for from *at + *ret_n_chars. */
bool key_value_next_endpoint(const char **at, size_t *ret_n_chars);
