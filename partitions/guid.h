/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GUIDs as the GPT stores them (UEFI 2.10 appendix A: the first three fields little-endian). */

#include <stdbool.h>
#include <stdint.h>

#define GUID_TEXT_CHARS 36

typedef struct {
    uint8_t bytes[16]; /* in the order of the disk */
} Guid;

/* Type of slot partitions unless told otherwise: 5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6. */
extern const Guid GUID_TYPE_SLOT;

bool guid_equal(const Guid *a, const Guid *b);
bool guid_is_zero(const Guid *guid);

/* Writes lower-case 8-4-4-4-12 text and a NUL. */
void guid_to_text(const Guid *guid, char ret_text[static GUID_TEXT_CHARS + 1]);

/* Reads 8-4-4-4-12 text of either case, all of it. Errors: -EINVAL. */
int guid_from_text(const char *text, Guid *ret_guid);
