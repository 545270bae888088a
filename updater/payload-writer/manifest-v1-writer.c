/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "updater/payload/manifest-v1.pb-c.h"
#include "updater/payload-writer/manifest-writer.h"
#include "updater/payload/message-arena.h"

/* What the format's fields hold; a payload beyond it is refused. */
#define BLOBS_MAX_BYTES UINT32_MAX

static ProtobufCBinaryData hash_bytes(const Sha256 *hash)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)hash->bytes, .len = SHA256_BYTES};
}

static int fill_extent(
        MessageArena *arena, uint64_t start_block, uint64_t n_blocks, Wire1__InstallOperation *wire)
{
    Wire1__Extent *extent = message_arena_take(arena, 1, sizeof(*extent));
    wire->dst_extents = message_arena_take(arena, 1, sizeof(*wire->dst_extents));
    if (!extent || !wire->dst_extents)
        return -ENOMEM;
    wire1__extent__init(extent);
    extent->has_start_block = extent->has_num_blocks = true;
    extent->start_block = start_block;
    extent->num_blocks = n_blocks;
    wire->dst_extents[0] = extent;
    wire->n_dst_extents = 1;
    return 0;
}

static void fill_data(Wire1__InstallOperation *wire, uint64_t offset_bytes, uint64_t n_bytes)
{
    wire1__install_operation__init(wire);
    wire->has_data_offset = wire->has_data_length = true;
    wire->data_offset = (uint32_t)offset_bytes;
    wire->data_length = (uint32_t)n_bytes;
}

static int fill_operations(MessageArena *arena, const PartitionUpdate *partition,
        Wire1__InstallOperation ***ret_operations)
{
    Wire1__InstallOperation *operations =
            message_arena_take(arena, partition->n_operations, sizeof(*operations));
    Wire1__InstallOperation **list =
            message_arena_take(arena, partition->n_operations, sizeof(*list));
    if (!operations || !list)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < partition->n_operations; i++) {
        const Operation *operation = &partition->operations[i];
        const Extent *extent = &operation->dst_extents[0];
        fill_data(&operations[i], operation->data_offset_bytes, operation->n_data_bytes);
        operations[i].type = (Wire1__InstallOperation__Type)operation->type;
        operations[i].has_data_sha256_hash = true;
        operations[i].data_sha256_hash = hash_bytes(&operation->data_sha256);
        r = fill_extent(arena, extent->start_block, extent->n_blocks, &operations[i]);
        list[i] = &operations[i];
    }
    *ret_operations = list;
    return r;
}

static Wire1__InstallInfo *make_info(MessageArena *arena, const PartitionUpdate *partition)
{
    Wire1__InstallInfo *info = message_arena_take(arena, 1, sizeof(*info));
    if (!info)
        return NULL;
    wire1__install_info__init(info);
    info->has_size = info->has_hash = true;
    info->size = partition->size_bytes;
    info->hash = hash_bytes(&partition->hash);
    return info;
}

static int fill_procedure(
        MessageArena *arena, const PartitionUpdate *partition, Wire1__InstallProcedure *procedure)
{
    wire1__install_procedure__init(procedure);
    procedure->has_type = true;
    procedure->type = partition->kind == PARTITION_KERNEL
                              ? WIRE1__INSTALL_PROCEDURE__TYPE__KERNEL
                              : WIRE1__INSTALL_PROCEDURE__TYPE__PCR_POLICY;
    procedure->n_operations = partition->n_operations;
    procedure->new_info = make_info(arena, partition);
    if (!procedure->new_info)
        return -ENOMEM;
    return fill_operations(arena, partition, &procedure->operations);
}

static int fill_procedures(
        MessageArena *arena, const Manifest *manifest, Wire1__DeltaArchiveManifest *wire)
{
    size_t n = manifest->n_partitions - 1;
    Wire1__InstallProcedure *procedures = message_arena_take(arena, n, sizeof(*procedures));
    wire->procedures = message_arena_take(arena, n, sizeof(*wire->procedures));
    if (!procedures || !wire->procedures)
        return -ENOMEM;
    wire->n_procedures = n;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        wire->procedures[i] = &procedures[i];
        r = fill_procedure(arena, &manifest->partitions[i + 1], &procedures[i]);
    }
    return r;
}

/* Clients from before the payload signature take a payload in only when its operations cover all
 * of it: this one covers the signature, and writes to a hole. */
static int fill_noop(
        MessageArena *arena, const Manifest *manifest, Wire1__DeltaArchiveManifest *wire)
{
    Wire1__InstallOperation *operation = message_arena_take(arena, 1, sizeof(*operation));
    wire->noop_operations = message_arena_take(arena, 1, sizeof(*wire->noop_operations));
    if (!operation || !wire->noop_operations)
        return -ENOMEM;
    fill_data(operation, manifest->signatures_offset_bytes, manifest->n_signatures_bytes);
    operation->type = WIRE1__INSTALL_OPERATION__TYPE__REPLACE;
    wire->noop_operations[0] = operation;
    wire->n_noop_operations = 1;
    uint64_t n_blocks =
            (manifest->n_signatures_bytes + MANIFEST_BLOCK_BYTES - 1) / MANIFEST_BLOCK_BYTES;
    return fill_extent(arena, EXTENT_HOLE, n_blocks, operation);
}

static int fill_manifest(
        MessageArena *arena, Wire1__DeltaArchiveManifest *wire, const Manifest *manifest)
{
    const PartitionUpdate *slot = &manifest->partitions[0];
    wire->has_block_size = wire->has_signatures_offset = wire->has_signatures_size = true;
    wire->block_size = MANIFEST_BLOCK_BYTES;
    wire->signatures_offset = manifest->signatures_offset_bytes;
    wire->signatures_size = manifest->n_signatures_bytes;
    wire->new_partition_info = make_info(arena, slot);
    if (!wire->new_partition_info)
        return -ENOMEM;
    wire->n_partition_operations = slot->n_operations;
    int r = fill_operations(arena, slot, &wire->partition_operations);
    if (r >= 0)
        r = fill_procedures(arena, manifest, wire);
    return r < 0 ? r : fill_noop(arena, manifest, wire);
}

int manifest_write_v1(
        const Manifest *manifest, uint8_t **ret_data, size_t *ret_n_bytes, ErrorText *error)
{
    if (manifest->signatures_offset_bytes > BLOBS_MAX_BYTES)
        return error_say(error, -EFBIG,
                "the images are too large for a payload of format 1: compressed they must stay "
                "below 4 GiB");
    _cleanup_(message_arena_freep) MessageArena *arena = NULL;
    int r = message_arena_new(SIZE_MAX, &arena);
    if (r < 0)
        return r;
    Wire1__DeltaArchiveManifest wire = WIRE1__DELTA_ARCHIVE_MANIFEST__INIT;
    r = fill_manifest(arena, &wire, manifest);
    if (r < 0)
        return r;
    size_t n_bytes = wire1__delta_archive_manifest__get_packed_size(&wire);
    uint8_t *data = malloc(n_bytes);
    if (!data)
        return -ENOMEM;
    wire1__delta_archive_manifest__pack(&wire, data);
    *ret_data = data;
    *ret_n_bytes = n_bytes;
    return 0;
}
