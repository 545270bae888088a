/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which hooks of a kind there are, in the order in which they run; hooks.h says the rules. */

#include <stddef.h>

#include "common/cleanup.h"
#include "common/error-text.h"

#define HOOK_LIST_MAX 64

typedef struct {
    char *name;
    char *path; /* with root */
} Hook;

typedef struct {
    Hook hooks[HOOK_LIST_MAX];
    size_t n_hooks;
} HookList;

typedef enum {
    HOOK_LIST_READ,
    HOOK_LIST_REFUSED, /* with `error`: what is there is not safe, or cannot be run or read */
} HookListResult;

/* Reads the folders of kind below root ("" for "/"). *ret_refused is the name of the file or
 * folder that is refused, new, or NULL. Blocks as reading two folders does. Errors: -ENOMEM. */
int hook_list_new(const char *root, const char *kind, HookList **ret_list,
        HookListResult *ret_result, char **ret_refused, ErrorText *error);
void hook_list_free(HookList *list);
DEFINE_CLEANUP(HookList *, hook_list_free);
