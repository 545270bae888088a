/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The semaphore document that hosts of one group share, as Go locksmith writes it:
 * {"semaphore":FREE,"max":MAX,"holders":["ID",...]} with sorted ids and no blanks. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

#define SEMAPHORE_MAX_BYTES (1024 * 1024)
#define SEMAPHORE_MAX_HOLDERS 10000

typedef struct Semaphore Semaphore;

/* max 1, no holders (written as null until the first one came, as Go locksmith does). */
int semaphore_new(Semaphore **ret_semaphore);

/* Takes null and unsorted or repeated holders and a drifted free count, and puts them right: the
 * free count is max less holders. Ids of any kind are kept, unknown members are skipped.
 * Errors: -EINVAL with `error` when it is no such document, -ENOMEM. */
int semaphore_parse(const char *text, size_t n_bytes, Semaphore **ret_semaphore, ErrorText *error);
void semaphore_free(Semaphore *semaphore);
DEFINE_CLEANUP(Semaphore *, semaphore_free);

/* The document; *ret_text is new, NUL-terminated. Errors: -ENOMEM. */
int semaphore_format(const Semaphore *semaphore, char **ret_text, size_t *ret_n_bytes);

typedef enum {
    SEMAPHORE_CHANGED,
    SEMAPHORE_UNCHANGED, /* a holder already, or none: nothing to write, and success */
    SEMAPHORE_FULL,      /* acquire: max others hold it, or more */
} SemaphoreResult;

/* Errors: -ENOMEM, -EINVAL for an id that will not do (lock_name_is_id), -E2BIG when
 * SEMAPHORE_MAX_HOLDERS hold it. */
int semaphore_acquire(Semaphore *semaphore, const char *id, SemaphoreResult *ret_result);
/* Takes any id, so that each one can be removed that another program put there. */
SemaphoreResult semaphore_release(Semaphore *semaphore, const char *id);
/* 0 freezes the group; below the number of holders nobody is added until enough have left. */
SemaphoreResult semaphore_set_max(Semaphore *semaphore, int64_t max);

bool semaphore_holds(const Semaphore *semaphore, const char *id);
int64_t semaphore_max(const Semaphore *semaphore);
int64_t semaphore_available(const Semaphore *semaphore); /* may be negative */
size_t semaphore_n_holders(const Semaphore *semaphore);
const char *semaphore_holder(const Semaphore *semaphore, size_t i); /* inside, sorted bytewise */
