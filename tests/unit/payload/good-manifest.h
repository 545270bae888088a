/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small manifest in protobuf-c's structures that manifest_parse() accepts, to be spoilt field by
 * field: one partition of 600 data blocks with its tree, in three operations. */

#include <stddef.h>
#include <stdint.h>

#include "updater/payload/manifest.pb-c.h"

#define GOOD_DATA_BLOCKS 600
#define GOOD_TREE_BLOCKS 6 /* 5 with the blocks' digests, 1 above */
#define GOOD_OLD_BLOCKS 300

typedef struct {
    Wire__DeltaArchiveManifest manifest;
    Wire__PartitionUpdate partition;
    Wire__PartitionUpdate *partitions[20]; /* all the same one but in use is only the first */
    Wire__PartitionInfo info;
    Wire__InstallOperation operations[3]; /* REPLACE_ZSTD, ZERO, REPLACE */
    Wire__InstallOperation *operation_list[3];
    Wire__Extent extents[4]; /* operation 0 has two */
    Wire__Extent *extent_list[4];
    Wire__PartitionInfo old_info; /* of a delta */
    Wire__Extent src_extents[2];
    Wire__Extent *src_list[2];
    Wire__Extent data_extent;
    Wire__Extent tree_extent;
    uint8_t hash[32];
    uint8_t salt[33];
    uint8_t block_index[GOOD_DATA_BLOCKS * 8 + 8];
    uint32_t frame_bytes[65];
} GoodManifest;

void good_manifest_init(GoodManifest *good);

/* Makes it a delta: the partition held GOOD_OLD_BLOCKS before, operation 1 copies two extents of
 * them (blocks 10 to 53 and 100 to 299), and operation 2 patches the first of the two. */
void good_manifest_make_delta(GoodManifest *good);

/* Packs it as it is now; *ret_data is new. */
size_t good_manifest_pack(const GoodManifest *good, uint8_t **ret_data);
