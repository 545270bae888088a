/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/payload/good-manifest.h"

#include <stdlib.h>

static void set_extent(Wire__Extent *extent, uint64_t start_block, uint64_t n_blocks)
{
    wire__extent__init(extent);
    extent->has_start_block = 1;
    extent->start_block = start_block;
    extent->has_num_blocks = 1;
    extent->num_blocks = n_blocks;
}

static void set_data(GoodManifest *good, size_t i, uint64_t offset, uint64_t n_bytes)
{
    Wire__InstallOperation *operation = &good->operations[i];
    operation->has_data_offset = 1;
    operation->data_offset = offset;
    operation->has_data_length = 1;
    operation->data_length = n_bytes;
    operation->has_data_sha256_hash = 1;
    operation->data_sha256_hash = (ProtobufCBinaryData){32, good->hash};
}

static void set_operations(GoodManifest *good)
{
    static const struct {
        Wire__InstallOperation__Type type;
        size_t first_extent, n_extents;
    } layout[] = {
            {WIRE__INSTALL_OPERATION__TYPE__REPLACE_ZSTD, 0, 2},
            {WIRE__INSTALL_OPERATION__TYPE__ZERO, 2, 1},
            {WIRE__INSTALL_OPERATION__TYPE__REPLACE, 3, 1},
    };
    set_extent(&good->extents[0], 0, 200);
    set_extent(&good->extents[1], 300, 56); /* the gap is the last operation's */
    set_extent(&good->extents[2], 356, 244);
    set_extent(&good->extents[3], 200, 100);
    for (size_t i = 0; i < 4; i++)
        good->extent_list[i] = &good->extents[i];
    for (size_t i = 0; i < 3; i++) {
        wire__install_operation__init(&good->operations[i]);
        good->operation_list[i] = &good->operations[i];
        good->operations[i].type = layout[i].type;
        good->operations[i].dst_extents = &good->extent_list[layout[i].first_extent];
        good->operations[i].n_dst_extents = layout[i].n_extents;
    }
    set_data(good, 0, 0, 64 * 100);
    set_data(good, 2, 64 * 100, 100 * 4096);
    for (size_t i = 0; i < 64; i++)
        good->frame_bytes[i] = 100;
    good->operations[0].frame_bytes = good->frame_bytes;
    good->operations[0].n_frame_bytes = 64;
}

static void set_partition(GoodManifest *good)
{
    Wire__PartitionUpdate *partition = &good->partition;
    wire__partition_update__init(partition);
    partition->partition_name = (char *)"usr";
    wire__partition_info__init(&good->info);
    good->info.has_size = 1;
    good->info.size = (GOOD_DATA_BLOCKS + GOOD_TREE_BLOCKS) * 4096;
    good->info.has_hash = 1;
    good->info.hash = (ProtobufCBinaryData){32, good->hash};
    partition->new_partition_info = &good->info;
    set_extent(&good->data_extent, 0, GOOD_DATA_BLOCKS);
    set_extent(&good->tree_extent, GOOD_DATA_BLOCKS, GOOD_TREE_BLOCKS);
    partition->hash_tree_data_extent = &good->data_extent;
    partition->hash_tree_extent = &good->tree_extent;
    partition->hash_tree_algorithm = (char *)"sha256";
    partition->has_hash_tree_salt = 1;
    partition->hash_tree_salt = (ProtobufCBinaryData){32, good->salt};
    partition->has_root_hash = 1;
    partition->root_hash = (ProtobufCBinaryData){32, good->hash};
    partition->has_block_index = 1;
    partition->block_index = (ProtobufCBinaryData){GOOD_DATA_BLOCKS * 8, good->block_index};
    partition->operations = good->operation_list;
    partition->n_operations = 3;
}

void good_manifest_init(GoodManifest *good)
{
    *good = (GoodManifest){.hash = {1}, .salt = {2}, .block_index = {3}};
    set_operations(good);
    set_partition(good);
    Wire__DeltaArchiveManifest *manifest = &good->manifest;
    wire__delta_archive_manifest__init(manifest);
    manifest->product = (char *)"demo";
    manifest->version = (char *)"1.2.3";
    manifest->min_version = (char *)"1.0.0";
    manifest->has_signatures_offset = 1;
    manifest->signatures_offset = 64 * 100 + 100 * 4096;
    manifest->has_signatures_size = 1;
    manifest->signatures_size = 267;
    for (size_t i = 0; i < 20; i++)
        good->partitions[i] = &good->partition;
    manifest->partitions = good->partitions;
    manifest->n_partitions = 1;
}

void good_manifest_make_delta(GoodManifest *good)
{
    static const Wire__InstallOperation__Type types[] = {
            WIRE__INSTALL_OPERATION__TYPE__SOURCE_COPY,
            WIRE__INSTALL_OPERATION__TYPE__SOURCE_BSDIFF,
    };
    wire__partition_info__init(&good->old_info);
    good->old_info.has_size = 1;
    good->old_info.size = GOOD_OLD_BLOCKS * 4096;
    good->old_info.has_hash = 1;
    good->old_info.hash = (ProtobufCBinaryData){32, good->hash};
    good->partition.old_partition_info = &good->old_info;
    good->manifest.has_minor_version = 1;
    good->manifest.minor_version = 6;
    good->manifest.source_version = (char *)"1.2.2";
    set_extent(&good->src_extents[0], 10, 44);
    set_extent(&good->src_extents[1], 100, 200);
    for (size_t i = 0; i < 2; i++) {
        Wire__InstallOperation *operation = &good->operations[1 + i];
        good->src_list[i] = &good->src_extents[i];
        operation->type = types[i];
        operation->src_extents = good->src_list;
        operation->n_src_extents = 2 - i;
        operation->has_src_sha256_hash = 1;
        operation->src_sha256_hash = (ProtobufCBinaryData){32, good->hash};
    }
}

size_t good_manifest_pack(const GoodManifest *good, uint8_t **ret_data)
{
    size_t n_bytes = wire__delta_archive_manifest__get_packed_size(&good->manifest);
    *ret_data = malloc(n_bytes);
    if (!*ret_data)
        abort();
    return wire__delta_archive_manifest__pack(&good->manifest, *ret_data);
}
