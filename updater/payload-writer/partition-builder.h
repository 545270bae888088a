/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One image made into the part of a manifest that describes it. */

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/payload-writer/payload-writer.h"

typedef struct PartitionBuilder PartitionBuilder;

typedef struct {
    const char *image;
    const char *old;     /* of a delta; NULL */
    const char *scratch; /* beside this path scratch files go */
} PartitionPaths;

/* Packs the image: blobs are appended to blob_fd at *n_blob_bytes, which is advanced. name is
 * copied. Blocks. Errors: as payload_writer_add_partition(). */
int partition_builder_run(const PayloadWriterOptions *options, const char *name,
        const PartitionPaths *paths, int blob_fd, uint64_t *n_blob_bytes,
        PartitionBuilder **ret_builder, ErrorText *error);
void partition_builder_free(PartitionBuilder *builder);
DEFINE_CLEANUP(PartitionBuilder *, partition_builder_free);

/* Inside the builder. */
const PartitionUpdate *partition_builder_partition(const PartitionBuilder *builder);

/* What the old image's trailer says of itself; "" when it does not, or there is none. Inside. */
const char *partition_builder_source_version(const PartitionBuilder *builder);

/* How many zeros were added to the image's last block. */
size_t partition_builder_n_padded_bytes(const PartitionBuilder *builder);
