/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a slot was proven to hold, as JSON: an entry of the engine's state file. Pure. */

#include <jansson.h>

#include "updater/slot/slot-proof.h"

/* A new object, or NULL without memory. */
json_t *slot_record_to_json(const SlotContent *content);

/* Reads such an object (borrowed). Errors: -EINVAL when a member is missing or will not do. */
int slot_record_from_json(const json_t *object, SlotContent *ret_content);

/* Copies the string member key of object, "" allowed, into text of n_bytes with its NUL.
 * Errors: -EINVAL when it is missing, no string, or does not fit. */
int slot_record_text(const json_t *object, const char *key, char *text, size_t n_bytes);
