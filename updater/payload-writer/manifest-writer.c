/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/manifest-writer.h"

#include <errno.h>

#include "updater/payload/manifest-check.h"
#include "updater/payload/manifest.pb-c.h"
#include "updater/payload/message-arena.h"
#include "verity/block-index.h"

/* protobuf-c's structures have no const: what they point to is only read while packing. */
static ProtobufCBinaryData bytes_of(const void *data, size_t n_bytes)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)data, .len = n_bytes};
}

static void fill_extent(Wire__Extent *wire, uint64_t start_block, uint64_t n_blocks)
{
    wire__extent__init(wire);
    wire->has_start_block = true;
    wire->start_block = start_block;
    wire->has_num_blocks = true;
    wire->num_blocks = n_blocks;
}

/* An array of n messages of a type and the array of pointers to them that protobuf-c wants. */
#define take_list(arena, type, n, ret_list)                             \
    ({                                                                  \
        type *_messages = message_arena_take(arena, n, sizeof(type));   \
        *(ret_list) = message_arena_take(arena, n, sizeof(type *));     \
        for (size_t _i = 0; _messages && *(ret_list) && _i < (n); _i++) \
            (*(ret_list))[_i] = &_messages[_i];                         \
        _messages &&*(ret_list) ? 0 : -ENOMEM;                          \
    })

static int fill_extents(
        MessageArena *arena, const Extent *extents, size_t n_extents, Wire__Extent ***ret_wire)
{
    int r = take_list(arena, Wire__Extent, n_extents, ret_wire);
    for (size_t i = 0; r == 0 && i < n_extents; i++)
        fill_extent((*ret_wire)[i], extents[i].start_block, extents[i].n_blocks);
    return r;
}

static Wire__PartitionInfo *new_info(MessageArena *arena, uint64_t n_bytes, const Sha256 *hash)
{
    Wire__PartitionInfo *info = message_arena_take(arena, 1, sizeof(*info));
    if (!info)
        return NULL;
    wire__partition_info__init(info);
    info->has_size = true;
    info->size = n_bytes;
    info->has_hash = true;
    info->hash = bytes_of(hash->bytes, SHA256_BYTES);
    return info;
}

static int fill_operation(
        MessageArena *arena, Wire__InstallOperation *wire, const Operation *operation)
{
    wire__install_operation__init(wire);
    wire->type = (Wire__InstallOperation__Type)operation->type;
    if (operation->n_data_bytes > 0) {
        wire->has_data_offset = true;
        wire->data_offset = operation->data_offset_bytes;
        wire->has_data_length = true;
        wire->data_length = operation->n_data_bytes;
        wire->has_data_sha256_hash = true;
        wire->data_sha256_hash = bytes_of(operation->data_sha256.bytes, SHA256_BYTES);
    }
    wire->frame_bytes = (uint32_t *)operation->frame_bytes;
    wire->n_frame_bytes = operation->n_frames;
    wire->has_src_sha256_hash = operation->has_src_sha256;
    if (operation->has_src_sha256)
        wire->src_sha256_hash = bytes_of(operation->src_sha256.bytes, SHA256_BYTES);
    wire->n_src_extents = operation->n_src_extents;
    int r = fill_extents(
            arena, operation->src_extents, operation->n_src_extents, &wire->src_extents);
    if (r < 0)
        return r;
    wire->n_dst_extents = operation->n_dst_extents;
    return fill_extents(
            arena, operation->dst_extents, operation->n_dst_extents, &wire->dst_extents);
}

static int fill_verity(
        MessageArena *arena, Wire__PartitionUpdate *wire, const PartitionUpdate *partition)
{
    wire->hash_tree_data_extent = message_arena_take(arena, 1, sizeof(Wire__Extent));
    wire->hash_tree_extent = message_arena_take(arena, 1, sizeof(Wire__Extent));
    if (!wire->hash_tree_data_extent || !wire->hash_tree_extent)
        return -ENOMEM;
    fill_extent(wire->hash_tree_data_extent, 0, partition->verity.n_data_blocks);
    fill_extent(wire->hash_tree_extent, partition->tree_start_block, partition->n_tree_blocks);
    wire->hash_tree_algorithm = (char *)"sha256";
    wire->has_hash_tree_salt = true;
    wire->hash_tree_salt = bytes_of(partition->verity.salt, partition->verity.n_salt_bytes);
    wire->has_root_hash = true;
    wire->root_hash = bytes_of(partition->root_hash.bytes, SHA256_BYTES);
    wire->has_rest_hash = partition->has_rest_hash;
    if (wire->has_rest_hash)
        wire->rest_hash = bytes_of(partition->rest_hash.bytes, SHA256_BYTES);
    wire->has_block_index = partition->block_index != NULL;
    if (wire->has_block_index)
        wire->block_index = bytes_of(partition->block_index,
                (size_t)partition->verity.n_data_blocks * BLOCK_INDEX_ENTRY_BYTES);
    return 0;
}

static int fill_partition(
        MessageArena *arena, Wire__PartitionUpdate *wire, const PartitionUpdate *partition)
{
    wire__partition_update__init(wire);
    wire->partition_name = (char *)partition->name;
    wire->new_partition_info = new_info(arena, partition->size_bytes, &partition->hash);
    if (!wire->new_partition_info)
        return -ENOMEM;
    if (partition->has_source) {
        wire->old_partition_info =
                new_info(arena, partition->source_bytes, &partition->source_hash);
        if (!wire->old_partition_info)
            return -ENOMEM;
    }
    int r = partition->has_verity ? fill_verity(arena, wire, partition) : 0;
    if (r < 0)
        return r;
    r = take_list(arena, Wire__InstallOperation, partition->n_operations, &wire->operations);
    if (r < 0)
        return r;
    wire->n_operations = partition->n_operations;
    for (size_t i = 0; r >= 0 && i < partition->n_operations; i++)
        r = fill_operation(arena, wire->operations[i], &partition->operations[i]);
    return r;
}

static int fill_manifest(
        MessageArena *arena, Wire__DeltaArchiveManifest *wire, const Manifest *manifest)
{
    wire->has_block_size = true;
    wire->block_size = MANIFEST_BLOCK_BYTES;
    wire->has_signatures_offset = true;
    wire->signatures_offset = manifest->signatures_offset_bytes;
    wire->has_signatures_size = true;
    wire->signatures_size = manifest->n_signatures_bytes;
    wire->has_minor_version = true;
    wire->minor_version = manifest->minor_version;
    wire->product = (char *)manifest->product;
    wire->version = (char *)manifest->version;
    wire->min_version = manifest->min_version[0] ? (char *)manifest->min_version : NULL;
    wire->source_version = manifest->source_version[0] ? (char *)manifest->source_version : NULL;
    wire->has_frame_size = manifest->frame_target_bytes != MANIFEST_FRAME_BYTES;
    wire->frame_size = (uint32_t)manifest->frame_target_bytes; /* checked */
    wire->has_frame_prefix = manifest->frame_prefix_bytes > 0;
    wire->frame_prefix = (uint32_t)manifest->frame_prefix_bytes;
    int r = take_list(arena, Wire__PartitionUpdate, manifest->n_partitions, &wire->partitions);
    if (r < 0)
        return r;
    wire->n_partitions = manifest->n_partitions;
    for (size_t i = 0; r >= 0 && i < manifest->n_partitions; i++)
        r = fill_partition(arena, wire->partitions[i], &manifest->partitions[i]);
    return r;
}

int manifest_write(
        const Manifest *manifest, uint8_t **ret_data, size_t *ret_n_bytes, ErrorText *error)
{
    UpdateError failure = manifest_check(manifest, error);
    if (failure != UPDATE_OK)
        return failure == UPDATE_ERROR_GENERIC ? -ENOMEM : -EINVAL;
    _cleanup_(message_arena_freep) MessageArena *arena = NULL;
    int r = message_arena_new(SIZE_MAX, &arena);
    if (r < 0)
        return r;
    Wire__DeltaArchiveManifest wire = WIRE__DELTA_ARCHIVE_MANIFEST__INIT;
    r = fill_manifest(arena, &wire, manifest);
    if (r < 0)
        return r;
    size_t n_bytes = wire__delta_archive_manifest__get_packed_size(&wire);
    uint8_t *data = malloc(n_bytes);
    if (!data)
        return -ENOMEM;
    wire__delta_archive_manifest__pack(&wire, data);
    *ret_data = data;
    *ret_n_bytes = n_bytes;
    return 0;
}
