/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What must hold between the parts of a manifest. Used on what was read and on what is about to be
 * written, so that both mean the same. */

#include <stdbool.h>

#include "common/error-text.h"
#include "updater/payload/manifest.h"

#define MANIFEST_TEXT_MAX_CHARS 128 /* of product and version */
#define MANIFEST_NAME_MAX_CHARS 64  /* of a partition's name */

/* Whether text may be a product or version: 1 to MANIFEST_TEXT_MAX_CHARS printable characters
 * without blanks. */
bool manifest_is_text(const char *text);

/* Whether name may be a partition's: 1 to MANIFEST_NAME_MAX_CHARS letters, digits, '.', '_', '-',
 * not beginning with a dot. */
bool manifest_is_partition_name(const char *name);

/* Whether zstd frames may hold so much of target: a power of 2 from MANIFEST_BLOCK_BYTES to
 * MANIFEST_FRAME_MAX_BYTES. */
bool manifest_is_frame_size(uint64_t n_bytes);

/* Whether frames may refer to so much of what lies before them: a multiple of MANIFEST_BLOCK_BYTES
 * up to MANIFEST_FRAME_PREFIX_MAX_BYTES, which is not 0. */
bool manifest_is_frame_prefix(uint64_t n_bytes);

/* Checks a manifest whose fields are set (borrowed); takes O(n log n) time and O(n) memory in its
 * extents. Returns as manifest_parse(). */
UpdateError manifest_check(const Manifest *manifest, ErrorText *error);
