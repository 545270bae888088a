/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One image made into the part of a manifest that describes it. */

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/payload-writer/payload-writer.h"

typedef struct PartitionBuilder PartitionBuilder;

/* Packs the image: blobs are appended to blob_fd at *n_blob_bytes, which is advanced. name is
 * copied; scratch_path says beside which path scratch files go. Blocks.
 * Errors: as payload_writer_add_partition(). */
int partition_builder_run(const PayloadWriterOptions *options, const char *name,
        const char *image_path, const char *scratch_path, int blob_fd, uint64_t *n_blob_bytes,
        PartitionBuilder **ret_builder, ErrorText *error);
void partition_builder_free(PartitionBuilder *builder);
DEFINE_CLEANUP(PartitionBuilder *, partition_builder_free);

/* Inside the builder. */
const PartitionUpdate *partition_builder_partition(const PartitionBuilder *builder);

/* How many zeros were added to the image's last block. */
size_t partition_builder_n_padded_bytes(const PartitionBuilder *builder);
