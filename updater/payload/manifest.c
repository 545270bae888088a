/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/manifest.h"

#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/payload/manifest-check.h"
#include "updater/payload/manifest-v1.h"
#include "updater/payload/manifest.pb-c.h"
#include "updater/payload/message-arena.h"

/* The protobuf is unpacked into an arena, the Manifest is built beside it in the same arena and
 * points to the texts, hashes and indexes that already lie there: a block index of 2 MiB is copied
 * once. An operation that writes zeros takes 12 bytes of the message and up to 400 here, hence the
 * factor; the second bound is for a hostile message. */
#define MEMORY_FACTOR 40
#define MEMORY_EXTRA_MAX_BYTES ((size_t)96 << 20)
#define MEMORY_BASE_BYTES ((size_t)1 << 20)

/* What a Manifest is the first member of. */
typedef struct {
    Manifest manifest;
    MessageArena *arena;
} ManifestObject;

UpdateError manifest_refuse_memory(const MessageArena *arena, ErrorText *error)
{
    if (message_arena_is_exhausted(arena))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest holds more than a manifest of its size may");
    return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
}

static bool read_hash(protobuf_c_boolean has_hash, ProtobufCBinaryData data, Sha256 *ret_hash)
{
    if (!has_hash || data.len != SHA256_BYTES)
        return false;
    memcpy(ret_hash->bytes, data.data, SHA256_BYTES);
    return true;
}

static UpdateError read_extents(MessageArena *arena, Wire__Extent *const *wire, size_t n_extents,
        const Extent **ret_extents, uint64_t *ret_n_bytes, ErrorText *error)
{
    Extent *extents = message_arena_take(arena, n_extents, sizeof(*extents));
    if (!extents)
        return manifest_refuse_memory(arena, error);
    uint64_t n_blocks = 0;
    for (size_t i = 0; i < n_extents; i++) {
        extents[i] = (Extent){.start_block = wire[i]->start_block, .n_blocks = wire[i]->num_blocks};
        if (extents[i].n_blocks == 0 || !u64_add(n_blocks, extents[i].n_blocks, &n_blocks))
            return error_say(error, UPDATE_ERROR_MANIFEST, "an extent has %" PRIu64 " blocks",
                    extents[i].n_blocks);
    }
    if (!u64_mul(n_blocks, MANIFEST_BLOCK_BYTES, ret_n_bytes))
        return error_say(error, UPDATE_ERROR_MANIFEST, "an operation goes past any partition");
    *ret_extents = extents;
    return UPDATE_OK;
}

/* A length that is given says the same as the extents. */
static UpdateError read_places(MessageArena *arena, const Wire__InstallOperation *wire,
        Operation *operation, ErrorText *error)
{
    operation->n_dst_extents = wire->n_dst_extents;
    operation->n_src_extents = wire->n_src_extents;
    operation->has_src_sha256 =
            read_hash(wire->has_src_sha256_hash, wire->src_sha256_hash, &operation->src_sha256);
    UpdateError failure = read_extents(arena, wire->dst_extents, wire->n_dst_extents,
            &operation->dst_extents, &operation->n_dst_bytes, error);
    if (failure == UPDATE_OK)
        failure = read_extents(arena, wire->src_extents, wire->n_src_extents,
                &operation->src_extents, &operation->n_src_bytes, error);
    if (failure != UPDATE_OK)
        return failure;
    if ((wire->has_src_length && wire->src_length != operation->n_src_bytes) ||
            (wire->has_dst_length && wire->dst_length != operation->n_dst_bytes))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "an operation's length and its extents contradict each other");
    return UPDATE_OK;
}

static UpdateError read_operation(MessageArena *arena, const Wire__InstallOperation *wire,
        const Wire__DeltaArchiveManifest *manifest, Operation *operation, ErrorText *error)
{
    *operation = (Operation){
            .type = (OperationType)wire->type,
            .data_offset_bytes = wire->data_offset,
            .n_data_bytes = wire->data_length,
            .frame_bytes = wire->n_frame_bytes > 0 ? wire->frame_bytes : NULL,
            .n_frames = wire->n_frame_bytes,
    };
    if (operation->type == OPERATION_REPLACE_ZSTD_PREFIX) {
        operation->frame_target_bytes = manifest->frame_size;
        operation->frame_prefix_bytes = manifest->frame_prefix;
    }
    if (operation->n_data_bytes > 0 &&
            !read_hash(wire->has_data_sha256_hash, wire->data_sha256_hash, &operation->data_sha256))
        return error_say(error, UPDATE_ERROR_OPERATION_HASH,
                "an operation has data, but no SHA-256 hash of it");
    return read_places(arena, wire, operation, error);
}

/* operations: room for those of the partition with this index. */
static UpdateError read_operations(MessageArena *arena, const Wire__DeltaArchiveManifest *manifest,
        size_t i_partition, Operation *operations, ErrorText *error)
{
    const Wire__PartitionUpdate *wire = manifest->partitions[i_partition];
    for (size_t i = 0; i < wire->n_operations; i++) {
        UpdateError failure =
                read_operation(arena, wire->operations[i], manifest, &operations[i], error);
        if (failure != UPDATE_OK)
            return failure;
        operations[i].partition = i_partition;
    }
    return UPDATE_OK;
}

static UpdateError read_tree(
        const Wire__PartitionUpdate *wire, PartitionUpdate *partition, ErrorText *error)
{
    if (!wire->hash_tree_algorithm || strcmp(wire->hash_tree_algorithm, "sha256") != 0)
        return error_say(error, UPDATE_ERROR_MANIFEST, "a hash tree is not of the kind sha256");
    if (!wire->hash_tree_data_extent || wire->hash_tree_data_extent->start_block != 0)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "a hash tree does not cover its partition from the start");
    if (wire->has_hash_tree_salt && wire->hash_tree_salt.len > VERITY_SALT_MAX_BYTES)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "a hash tree has %zu bytes of salt; at most %d are allowed",
                wire->hash_tree_salt.len, VERITY_SALT_MAX_BYTES);
    if (!read_hash(wire->has_root_hash, wire->root_hash, &partition->root_hash))
        return error_say(error, UPDATE_ERROR_MANIFEST, "a hash tree comes without its root hash");

    partition->has_rest_hash = wire->has_rest_hash;
    if (wire->has_rest_hash && !read_hash(true, wire->rest_hash, &partition->rest_hash))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the hash of what follows a partition's data has %zu bytes, not 32",
                wire->rest_hash.len);

    partition->has_verity = true;
    partition->verity.n_data_blocks = wire->hash_tree_data_extent->num_blocks;
    partition->tree_start_block = wire->hash_tree_extent->start_block;
    partition->n_tree_blocks = wire->hash_tree_extent->num_blocks;
    if (wire->has_hash_tree_salt && wire->hash_tree_salt.len > 0) {
        memcpy(partition->verity.salt, wire->hash_tree_salt.data, wire->hash_tree_salt.len);
        partition->verity.n_salt_bytes = wire->hash_tree_salt.len;
    }
    return UPDATE_OK;
}

static UpdateError read_index(
        const Wire__PartitionUpdate *wire, PartitionUpdate *partition, ErrorText *error)
{
    if (!wire->has_block_index)
        return UPDATE_OK;
    /* The length is compared as a count of entries: a product could overflow. */
    if (!partition->has_verity || wire->block_index.len % 8 != 0 ||
            wire->block_index.len / 8 != partition->verity.n_data_blocks)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "a block index of %zu bytes does not fit the %" PRIu64 " blocks of its hash tree",
                wire->block_index.len, partition->verity.n_data_blocks);
    partition->block_index = wire->block_index.data;
    return UPDATE_OK;
}

static UpdateError read_partition(
        const Wire__PartitionUpdate *wire, PartitionUpdate *partition, ErrorText *error)
{
    *partition = (PartitionUpdate){.name = wire->partition_name, .kind = PARTITION_SLOT};
    const Wire__PartitionInfo *info = wire->new_partition_info;
    if (!info || !info->has_size || !read_hash(info->has_hash, info->hash, &partition->hash))
        return error_say(error, UPDATE_ERROR_NO_PARTITION_INFO,
                "the manifest does not give a partition's new size and SHA-256 hash");
    partition->size_bytes = info->size;
    info = wire->old_partition_info;
    partition->has_source = info != NULL;
    if (info)
        partition->source_bytes = info->size;
    if (info && !read_hash(info->has_hash, info->hash, &partition->source_hash))
        return error_say(error, UPDATE_ERROR_NO_PARTITION_INFO,
                "the manifest does not give the SHA-256 hash of what its delta begins with");
    if (wire->run_postinstall)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload wants a program of its own to be run, which is not done here");
    if (wire->fec_extent && wire->fec_extent->num_blocks > 0)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload wants forward error correction data, which is not made here");
    UpdateError failure = UPDATE_OK;
    if (wire->hash_tree_extent)
        failure = read_tree(wire, partition, error);
    if (failure == UPDATE_OK)
        failure = read_index(wire, partition, error);
    return failure;
}

static UpdateError read_partitions(MessageArena *arena, const Wire__DeltaArchiveManifest *wire,
        Manifest *manifest, ErrorText *error)
{
    size_t n_operations = 0;
    for (size_t i = 0; i < wire->n_partitions; i++)
        n_operations += wire->partitions[i]->n_operations;
    PartitionUpdate *partitions =
            message_arena_take(arena, wire->n_partitions, sizeof(*partitions));
    Operation *operations = message_arena_take(arena, n_operations, sizeof(*operations));
    if (!partitions || !operations)
        return manifest_refuse_memory(arena, error);
    manifest->partitions = partitions;
    manifest->n_partitions = wire->n_partitions;
    manifest->operations = operations;
    manifest->n_operations = n_operations;
    for (size_t i = 0; i < wire->n_partitions; i++) {
        UpdateError failure = read_partition(wire->partitions[i], &partitions[i], error);
        if (failure == UPDATE_OK)
            failure = read_operations(arena, wire, i, operations, error);
        if (failure != UPDATE_OK)
            return failure;
        partitions[i].operations = operations;
        partitions[i].n_operations = wire->partitions[i]->n_operations;
        operations += partitions[i].n_operations;
    }
    return UPDATE_OK;
}

static UpdateError check_format(const Wire__DeltaArchiveManifest *wire, ErrorText *error)
{
    if (wire->minor_version != MANIFEST_MINOR_FULL &&
            (wire->minor_version < MANIFEST_MINOR_SOURCE ||
                    wire->minor_version > MANIFEST_MINOR_VERITY))
        return error_say(error, UPDATE_ERROR_VERSION_REFUSED,
                "the payload is of the minor version %" PRIu32
                "; known are 0, which is a full payload, and the deltas %d to %d",
                wire->minor_version, MANIFEST_MINOR_SOURCE, MANIFEST_MINOR_VERITY);
    if (wire->block_size != MANIFEST_BLOCK_BYTES)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest counts in blocks of %" PRIu32 " bytes; only %d is known",
                wire->block_size, MANIFEST_BLOCK_BYTES);
    if (wire->n_install_operations > 0)
        return error_say(error, UPDATE_ERROR_MANIFEST, "the manifest has operations of format 1");
    if (!wire->product || !wire->version)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest does not say for which product it is, or its version");
    if (!wire->has_signatures_offset || !wire->has_signatures_size || wire->signatures_size == 0)
        return error_say(error, UPDATE_ERROR_NO_SIGNATURE, "the payload has no payload signature");
    return UPDATE_OK;
}

static UpdateError read_v2(MessageArena *arena, const uint8_t *data, size_t n_bytes,
        Manifest *manifest, ErrorText *error)
{
    const ProtobufCMessage *message = NULL;
    UpdateError failure = manifest_unpack(
            arena, &wire__delta_archive_manifest__descriptor, data, n_bytes, &message, error);
    if (failure != UPDATE_OK)
        return failure;
    const Wire__DeltaArchiveManifest *wire = (const Wire__DeltaArchiveManifest *)message;
    failure = check_format(wire, error);
    if (failure != UPDATE_OK)
        return failure;
    *manifest = (Manifest){
            .format = 2,
            .minor_version = wire->minor_version,
            .product = wire->product,
            .version = wire->version,
            .min_version = wire->min_version ? wire->min_version : "",
            .source_version = wire->source_version ? wire->source_version : "",
            .frame_target_bytes = wire->frame_size,
            .frame_prefix_bytes = wire->frame_prefix, /* 0 where it is absent */
            .signatures_offset_bytes = wire->signatures_offset,
            .n_signatures_bytes = wire->signatures_size,
    };
    failure = read_partitions(arena, wire, manifest, error);
    return failure == UPDATE_OK ? manifest_check(manifest, error) : failure;
}

UpdateError manifest_unpack(MessageArena *arena, const ProtobufCMessageDescriptor *descriptor,
        const uint8_t *data, size_t n_bytes, const ProtobufCMessage **ret_message, ErrorText *error)
{
    *ret_message = message_arena_unpack(arena, descriptor, data, n_bytes);
    if (*ret_message)
        return UPDATE_OK;
    if (message_arena_is_exhausted(arena))
        return manifest_refuse_memory(arena, error);
    return error_say(error, UPDATE_ERROR_MANIFEST,
            "the payload's manifest cannot be read: the payload was made wrong");
}

UpdateError manifest_parse(unsigned format, const uint8_t *data, size_t n_bytes,
        Manifest **ret_manifest, ErrorText *error)
{
    ManifestObject *object = calloc(1, sizeof(*object));
    if (!object)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    _cleanup_(manifest_freep) Manifest *manifest = &object->manifest;

    size_t n_extra_bytes = MEMORY_EXTRA_MAX_BYTES;
    if (n_bytes < MEMORY_EXTRA_MAX_BYTES / MEMORY_FACTOR)
        n_extra_bytes = n_bytes * MEMORY_FACTOR;
    if (message_arena_new(n_bytes + n_extra_bytes + MEMORY_BASE_BYTES, &object->arena) < 0)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    UpdateError failure = format == 1
                                  ? manifest_read_v1(object->arena, data, n_bytes, manifest, error)
                                  : read_v2(object->arena, data, n_bytes, manifest, error);
    /* Checked: an offset that the operations' data add up to, and a size of at most 64 KiB. */
    if (failure == UPDATE_OK && !u64_add(manifest->signatures_offset_bytes,
                                        manifest->n_signatures_bytes, &manifest->n_blob_bytes))
        failure = error_say(error, UPDATE_ERROR_MANIFEST, "the payload goes past any file");
    if (failure != UPDATE_OK)
        return failure;
    *ret_manifest = TAKE_PTR(manifest);
    return UPDATE_OK;
}

void manifest_free(Manifest *manifest)
{
    if (!manifest)
        return;
    ManifestObject *object = (ManifestObject *)manifest;
    message_arena_free(object->arena);
    free(object);
}
