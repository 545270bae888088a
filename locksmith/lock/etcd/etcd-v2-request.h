/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is asked of etcd's v2 keys, as Go locksmith asks it (etcd's v2 API documentation). Pure
 * functions. */

#include <stdint.h>

#include "common/cleanup.h"

/* Each *ret_path and *ret_body is new; key has no leading slash, see lock-key.h.
 * Errors: -ENOMEM. */

/* To GET, answered by a majority: one node, or with all below it. */
int etcd_v2_path_of_key(const char *key, char **ret_path);
int etcd_v2_path_of_folder(const char *folder, char **ret_path);

/* To PUT etcd_v2_form() to: only if the node's modifiedIndex is that one; 0: only if there is no
 * node. (0 as an index would be no condition at all.) */
int etcd_v2_path_of_swap(const char *key, uint64_t index, char **ret_path);

/* To PUT or DELETE, whatever is there. */
int etcd_v2_path_of_any(const char *key, char **ret_path);

/* To GET: answers when key changes, or did at first_index or later. */
int etcd_v2_path_of_wait(const char *key, uint64_t first_index, char **ret_path);

/* The form that holds value. */
int etcd_v2_form(const char *value, char **ret_body);
