/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The text of the files of approval.h, for approval.c: both kinds have the same keys. Pure. */

#include <stddef.h>

#include "locksmith/conditions/approval.h"

/* path is for what is said. The state is WORD_GIVEN or WORD_EXPIRED.
 * Errors: -EINVAL and -EFBIG with `error`, -ENOMEM. */
int approval_text_parse(const char *path, const char *text, size_t n_bytes, uint64_t now_usec,
        PersonsWord *ret_word, ErrorText *error);

/* *ret_text is new; state plays no part. Quotes of two kinds and backslashes in version and why
 * come out as one kind and slashes: not every reader of such files takes them. Errors: -ENOMEM. */
int approval_text_format(const PersonsWord *word, char **ret_text, size_t *ret_n_bytes);
