/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where in the store things lie, as Go locksmith names them:
 *
 *   coreos.com/updateengine/rebootlock/semaphore             of the group without a name
 *   coreos.com/updateengine/rebootlock/groups/GROUP/semaphore
 *   .../holders/ID                                           beside each: a holder's facts (ours)
 *
 * GROUP and ID escaped as Go's url.QueryEscape does it; what is escaped is the literal key (etcd v2
 * wants it escaped once more in its path). Keys have no leading slash here: etcd v2 puts one before
 * them, etcd v3 has them as they are. Pure. */

#include <stdbool.h>
#include <stddef.h>

/* What all of them begin with; in etcd v3 the range ends before LOCK_KEY_ROOT_END. */
#define LOCK_KEY_ROOT "coreos.com/updateengine/rebootlock/"
#define LOCK_KEY_ROOT_END "coreos.com/updateengine/rebootlock0"
#define LOCK_KEY_GROUPS LOCK_KEY_ROOT "groups/"

/* *ret_key is new. Errors: -ENOMEM. */
int lock_key_of_semaphore(const char *group, char **ret_key);
int lock_key_of_facts(const char *group, const char *id, char **ret_key);
/* What the keys of all facts of the group begin with, up to and with the slash. */
int lock_key_of_all_facts(const char *group, char **ret_key);

/* The reverse. key is n_bytes long, may come from anybody and may begin with a slash. *ret_group
 * (*ret_id) is new.
 * Errors: -EINVAL when it is no key of a semaphore (of facts in this group), its group (id) is one
 * that we do not use or not escaped as above; -ENOMEM. */
int lock_key_read_group(const char *key, size_t n_bytes, char **ret_group);
int lock_key_read_id(const char *group, const char *key, size_t n_bytes, char **ret_id);

/* Go's url.QueryEscape: letters, digits and `-_.~` stay, a space becomes `+`, the rest %XX in upper
 * case. But "." and ".." become %2E and %2E%2E, so that no path swallows them. *ret_text is new.
 * Errors: -ENOMEM. */
int lock_key_escape(const char *text, char **ret_text);
/* Errors: -EINVAL for what escaping cannot give, -ENOMEM. */
int lock_key_unescape(const char *text, size_t n_bytes, char **ret_text);
