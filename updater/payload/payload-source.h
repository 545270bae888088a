/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An image that a delta begins with, in a file, for the tool. All of it blocks. */

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/payload/operation.h"
#include "updater/update-error.h"

typedef struct PayloadSource PayloadSource;

/* Opens the image and holds it against what the manifest says that the partition (borrowed during
 * the call) held. One that does not end on a block counts as if zeros followed; what lies behind
 * the manifest's size does not count.
 * Returns UPDATE_OK, UPDATE_ERROR_SOURCE (another image, or the partition begins with none),
 * UPDATE_ERROR_GENERIC (it cannot be read; memory). */
UpdateError payload_source_open(const char *path, const PartitionUpdate *partition,
        PayloadSource **ret_source, ErrorText *error);
void payload_source_free(PayloadSource *source);
DEFINE_CLEANUP(PayloadSource *, payload_source_free);

/* Inside source. */
const OperationSource *payload_source_operations(const PayloadSource *source);
