/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/manifest-v1.h"

#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/payload/manifest-v1.pb-c.h"
#include "updater/payload/payload-header.h"

/* Nothing vouches for this manifest before the payload's last byte has come: what it can make a
 * machine do until then is bounded here. Blocks count in 64 bits, far from any overflow. */
#define BLOCK_MAX (UINT64_C(1) << 50)

/* A delta moves blocks out of its own way, so it writes some of them more than once. */
#define DELTA_WRITES_MAX 4

static const char *const partition_names[] = {
        [PARTITION_SLOT] = "USR",
        [PARTITION_KERNEL] = "KERNEL",
        [PARTITION_PCR_POLICY] = "PCR_POLICY",
        [PARTITION_UNKNOWN] = "UNKNOWN",
};

PartitionKind manifest_v1_kind_of(const char *name)
{
    for (PartitionKind kind = PARTITION_KERNEL; kind < PARTITION_UNKNOWN; kind++)
        if (strcmp(name, partition_names[kind]) == 0)
            return kind;
    return PARTITION_SLOT;
}

typedef struct {
    MessageArena *arena;
    Manifest *manifest;
    PartitionUpdate *partitions;
    Operation *operations; /* of all */
    uint64_t n_data_bytes; /* of the blobs so far */
    ErrorText *error;
} Reader;

static UpdateError refuse(const Reader *reader, const char *reason)
{
    return error_say(reader->error, UPDATE_ERROR_MANIFEST, "operation %zu of the payload %s",
            reader->manifest->n_operations + 1, reason);
}

static UpdateError read_extents(Reader *reader, Wire1__Extent *const *wire, size_t n_extents,
        const Extent **ret_extents, uint64_t *ret_n_bytes)
{
    Extent *extents = message_arena_take(reader->arena, n_extents, sizeof(*extents));
    if (!extents)
        return manifest_refuse_memory(reader->arena, reader->error);
    uint64_t n_blocks = 0;
    for (size_t i = 0; i < n_extents; i++) {
        uint64_t start = wire[i]->start_block, n = wire[i]->num_blocks;
        if (n == 0 || n > BLOCK_MAX || (start > BLOCK_MAX && start != EXTENT_HOLE))
            return refuse(reader, "goes past any partition");
        n_blocks += n;
        if (n_blocks > BLOCK_MAX)
            return refuse(reader, "goes past any partition");
        extents[i] = (Extent){.start_block = start, .n_blocks = n};
    }
    *ret_extents = extents;
    *ret_n_bytes = n_blocks * MANIFEST_BLOCK_BYTES;
    return UPDATE_OK;
}

/* A length in bytes ends in the last block of its extents. */
static bool fits_extents(uint64_t n_bytes, uint64_t n_extent_bytes)
{
    return n_bytes <= n_extent_bytes && n_extent_bytes - n_bytes < MANIFEST_BLOCK_BYTES;
}

static UpdateError read_blob(
        Reader *reader, const Wire1__InstallOperation *wire, Operation *operation)
{
    operation->n_data_bytes = wire->data_length;
    if (wire->data_length == 0)
        return UPDATE_OK;
    if (wire->data_length > MANIFEST_V1_BLOB_MAX_BYTES)
        return refuse(reader, "has more data than one operation may");
    if (wire->data_offset != reader->n_data_bytes)
        return error_say(reader->error, UPDATE_ERROR_OPERATION,
                "operation %zu of the payload has its data at %" PRIu32 ", where %" PRIu64
                " follows on the data before it",
                reader->manifest->n_operations + 1, wire->data_offset, reader->n_data_bytes);
    if (!wire->has_data_sha256_hash || wire->data_sha256_hash.len != SHA256_BYTES)
        return error_say(reader->error, UPDATE_ERROR_OPERATION_HASH,
                "operation %zu of the payload has data, but no SHA-256 hash of it",
                reader->manifest->n_operations + 1);
    memcpy(operation->data_sha256.bytes, wire->data_sha256_hash.data, SHA256_BYTES);
    operation->data_offset_bytes = wire->data_offset;
    reader->n_data_bytes += wire->data_length;
    return UPDATE_OK;
}

/* The lengths are BSDIFF's; of the others, delta_generator says nothing. */
static UpdateError read_lengths(
        Reader *reader, const Wire1__InstallOperation *wire, Operation *operation)
{
    bool fits = operation->n_dst_bytes > 0;
    if (wire->type == WIRE1__INSTALL_OPERATION__TYPE__MOVE) {
        fits = fits && operation->n_src_bytes == operation->n_dst_bytes;
    } else if (wire->type == WIRE1__INSTALL_OPERATION__TYPE__BSDIFF) {
        fits = fits && operation->n_data_bytes > 0 &&
               fits_extents(wire->src_length, operation->n_src_bytes) &&
               fits_extents(wire->dst_length, operation->n_dst_bytes);
        operation->n_src_bytes = wire->src_length;
        operation->n_short_bytes = operation->n_dst_bytes - wire->dst_length;
    } else if (wire->type == WIRE1__INSTALL_OPERATION__TYPE__REPLACE ||
               wire->type == WIRE1__INSTALL_OPERATION__TYPE__REPLACE_BZ) {
        fits = fits && operation->n_data_bytes > 0;
        operation->n_short_bytes = operation->n_dst_bytes;
    } else {
        return refuse(reader, "is of a type that format 1 does not have");
    }
    return fits ? UPDATE_OK : refuse(reader, "has lengths and extents that do not fit");
}

static UpdateError read_operation(
        Reader *reader, const Wire1__InstallOperation *wire, size_t i_partition)
{
    Operation *operation = &reader->operations[reader->manifest->n_operations];
    *operation = (Operation){
            .type = (OperationType)wire->type,
            .partition = i_partition,
            .n_src_extents = wire->n_src_extents,
            .n_dst_extents = wire->n_dst_extents,
    };
    UpdateError failure = read_extents(reader, wire->src_extents, wire->n_src_extents,
            &operation->src_extents, &operation->n_src_bytes);
    if (failure == UPDATE_OK)
        failure = read_extents(reader, wire->dst_extents, wire->n_dst_extents,
                &operation->dst_extents, &operation->n_dst_bytes);
    if (failure == UPDATE_OK)
        failure = read_blob(reader, wire, operation);
    /* What is of no effect is only taken in. */
    if (failure == UPDATE_OK && reader->partitions[i_partition].kind != PARTITION_UNKNOWN)
        failure = read_lengths(reader, wire, operation);
    if (failure == UPDATE_OK)
        reader->manifest->n_operations++;
    return failure;
}

static bool read_info(const Wire1__InstallInfo *info, uint64_t *ret_n_bytes, Sha256 *ret_hash)
{
    if (!info || info->size == 0 || info->size > BLOCK_MAX || !info->has_hash ||
            info->hash.len != SHA256_BYTES)
        return false;
    *ret_n_bytes = info->size;
    memcpy(ret_hash->bytes, info->hash.data, SHA256_BYTES);
    return true;
}

static UpdateError read_infos(Reader *reader, PartitionUpdate *partition,
        const Wire1__InstallInfo *old_info, const Wire1__InstallInfo *new_info)
{
    if (partition->kind == PARTITION_UNKNOWN)
        return UPDATE_OK;
    if (!read_info(new_info, &partition->size_bytes, &partition->hash))
        return error_say(reader->error, UPDATE_ERROR_NO_PARTITION_INFO,
                "the manifest does not give the new size and SHA-256 hash of %s", partition->name);
    partition->has_source = old_info != NULL;
    if (old_info && !read_info(old_info, &partition->source_bytes, &partition->source_hash))
        return error_say(reader->error, UPDATE_ERROR_NO_PARTITION_INFO,
                "the manifest does not give the size and SHA-256 hash of what its delta of %s "
                "begins with",
                partition->name);
    if (partition->kind != PARTITION_SLOT && partition->size_bytes > MANIFEST_FILE_MAX_BYTES)
        return error_say(reader->error, UPDATE_ERROR_MANIFEST,
                "the payload's %s is said to have %" PRIu64 " bytes; at most %d are allowed",
                partition->name, partition->size_bytes, MANIFEST_FILE_MAX_BYTES);
    return UPDATE_OK;
}

/* The last operation of a full payload has extents beyond the end, and data only up to it. */
static UpdateError check_writes(const Reader *reader, const PartitionUpdate *partition)
{
    uint64_t n_end_blocks = u64_div_round_up(partition->size_bytes, MANIFEST_BLOCK_BYTES);
    uint64_t n_left = n_end_blocks * (partition->has_source ? DELTA_WRITES_MAX : 1);
    for (size_t i = 0; i < partition->n_operations; i++) {
        const Operation *operation = &partition->operations[i];
        for (size_t j = 0; j < operation->n_dst_extents; j++) {
            const Extent *extent = &operation->dst_extents[j];
            if (extent->start_block == EXTENT_HOLE)
                continue;
            bool may_end_before = operation->n_short_bytes == operation->n_dst_bytes;
            uint64_t n_blocks = extent->n_blocks;
            if (may_end_before && extent->start_block < n_end_blocks)
                n_blocks = MIN(n_blocks, n_end_blocks - extent->start_block);
            if (extent->start_block >= n_end_blocks && !partition->has_source)
                return error_say(reader->error, UPDATE_ERROR_MANIFEST,
                        "the payload writes block %" PRIu64 " of %s, which has %" PRIu64,
                        extent->start_block, partition->name, n_end_blocks);
            if (n_blocks > n_left)
                return error_say(reader->error, UPDATE_ERROR_MANIFEST,
                        "the payload writes more to %s than it has room for", partition->name);
            n_left -= n_blocks;
        }
    }
    return UPDATE_OK;
}

static UpdateError check_sources(const Reader *reader, const PartitionUpdate *partition)
{
    for (size_t i = 0; i < partition->n_operations && !partition->has_source; i++)
        if (partition->operations[i].n_src_extents > 0)
            return error_say(reader->error, UPDATE_ERROR_NO_PARTITION_INFO,
                    "the payload is a delta of %s, and does not say what it begins with",
                    partition->name);
    return UPDATE_OK;
}

static UpdateError read_partition(Reader *reader, PartitionKind kind,
        Wire1__InstallOperation *const *operations, size_t n_operations,
        const Wire1__InstallInfo *old_info, const Wire1__InstallInfo *new_info)
{
    size_t i_partition = reader->manifest->n_partitions;
    PartitionUpdate *partition = &reader->partitions[i_partition];
    *partition = (PartitionUpdate){
            .name = partition_names[kind],
            .kind = kind,
            .operations = &reader->operations[reader->manifest->n_operations],
            .n_operations = n_operations,
    };
    UpdateError failure = read_infos(reader, partition, old_info, new_info);
    for (size_t i = 0; failure == UPDATE_OK && i < n_operations; i++)
        failure = read_operation(reader, operations[i], i_partition);
    if (failure == UPDATE_OK && kind != PARTITION_UNKNOWN)
        failure = check_sources(reader, partition);
    if (failure == UPDATE_OK && kind != PARTITION_UNKNOWN)
        failure = check_writes(reader, partition);
    if (failure == UPDATE_OK)
        reader->manifest->n_partitions++;
    return failure;
}

static PartitionKind kind_of(const Wire1__InstallProcedure *procedure)
{
    if (procedure->has_type && procedure->type == WIRE1__INSTALL_PROCEDURE__TYPE__KERNEL)
        return PARTITION_KERNEL;
    if (procedure->has_type && procedure->type == WIRE1__INSTALL_PROCEDURE__TYPE__PCR_POLICY)
        return PARTITION_PCR_POLICY;
    return PARTITION_UNKNOWN;
}

static UpdateError read_procedure(Reader *reader, const Wire1__InstallProcedure *procedure)
{
    PartitionKind kind = kind_of(procedure);
    for (size_t i = 0; kind != PARTITION_UNKNOWN && i < reader->manifest->n_partitions; i++)
        if (reader->partitions[i].kind == kind)
            return error_say(reader->error, UPDATE_ERROR_MANIFEST, "the payload has %s twice",
                    partition_names[kind]);
    return read_partition(reader, kind, procedure->operations, procedure->n_operations,
            procedure->old_info, procedure->new_info);
}

static UpdateError check_header(const Wire1__DeltaArchiveManifest *wire, ErrorText *error)
{
    if (wire->block_size != MANIFEST_BLOCK_BYTES)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest counts in blocks of %" PRIu32 " bytes; only %d is known",
                wire->block_size, MANIFEST_BLOCK_BYTES);
    if (!wire->has_signatures_offset || !wire->has_signatures_size || wire->signatures_size == 0)
        return error_say(error, UPDATE_ERROR_NO_SIGNATURE, "the payload has no payload signature");
    if (wire->signatures_size > PAYLOAD_METADATA_SIGNATURE_MAX_BYTES)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload signature is said to have %" PRIu64 " bytes; at most %" PRIu32
                " are allowed",
                wire->signatures_size, PAYLOAD_METADATA_SIGNATURE_MAX_BYTES);
    if (wire->n_procedures >= MANIFEST_PARTITIONS_MAX)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest has %zu procedures; at most %d are allowed", wire->n_procedures,
                MANIFEST_PARTITIONS_MAX - 1);
    return UPDATE_OK;
}

static UpdateError take_room(Reader *reader, const Wire1__DeltaArchiveManifest *wire)
{
    size_t n_operations = wire->n_partition_operations;
    for (size_t i = 0; i < wire->n_procedures; i++)
        n_operations += wire->procedures[i]->n_operations;
    reader->partitions =
            message_arena_take(reader->arena, wire->n_procedures + 1, sizeof(PartitionUpdate));
    reader->operations = message_arena_take(reader->arena, n_operations, sizeof(Operation));
    if (!reader->partitions || !reader->operations)
        return manifest_refuse_memory(reader->arena, reader->error);
    *reader->manifest = (Manifest){
            .format = 1,
            .product = "",
            .version = "",
            .min_version = "",
            .source_version = "",
            .frame_target_bytes = MANIFEST_FRAME_BYTES, /* of which there are none */
            .partitions = reader->partitions,
            .operations = reader->operations,
            .signatures_offset_bytes = wire->signatures_offset,
            .n_signatures_bytes = wire->signatures_size,
    };
    return UPDATE_OK;
}

UpdateError manifest_read_v1(MessageArena *arena, const uint8_t *data, size_t n_bytes,
        Manifest *manifest, ErrorText *error)
{
    Reader reader = {.arena = arena, .manifest = manifest, .error = error};
    const ProtobufCMessage *message = NULL;
    UpdateError failure = manifest_unpack(
            arena, &wire1__delta_archive_manifest__descriptor, data, n_bytes, &message, error);
    if (failure != UPDATE_OK)
        return failure;
    const Wire1__DeltaArchiveManifest *wire = (const Wire1__DeltaArchiveManifest *)message;
    failure = check_header(wire, error);
    if (failure == UPDATE_OK)
        failure = take_room(&reader, wire);
    if (failure == UPDATE_OK)
        failure = read_partition(&reader, PARTITION_SLOT, wire->partition_operations,
                wire->n_partition_operations, wire->old_partition_info, wire->new_partition_info);
    for (size_t i = 0; failure == UPDATE_OK && i < wire->n_procedures; i++)
        failure = read_procedure(&reader, wire->procedures[i]);
    if (failure != UPDATE_OK)
        return failure;
    if (reader.n_data_bytes != wire->signatures_offset)
        return error_say(error, UPDATE_ERROR_OPERATION,
                "the payload signature is said to be at %" PRIu64
                ", where the data ends at %" PRIu64,
                wire->signatures_offset, reader.n_data_bytes);
    return UPDATE_OK;
}
