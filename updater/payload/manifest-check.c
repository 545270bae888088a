/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/manifest-check.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"

#define SIGNATURES_MAX_BYTES (64 * 1024)

static bool is_printable(const char *text, size_t max_chars)
{
    size_t n = strnlen(text, max_chars + 1);
    if (n == 0 || n > max_chars)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

bool manifest_is_text(const char *text)
{
    return is_printable(text, MANIFEST_TEXT_MAX_CHARS);
}

bool manifest_is_frame_size(uint64_t n_bytes)
{
    return n_bytes >= MANIFEST_BLOCK_BYTES && n_bytes <= MANIFEST_FRAME_MAX_BYTES &&
           (n_bytes & (n_bytes - 1)) == 0;
}

bool manifest_is_frame_prefix(uint64_t n_bytes)
{
    return n_bytes > 0 && n_bytes <= MANIFEST_FRAME_PREFIX_MAX_BYTES &&
           n_bytes % MANIFEST_BLOCK_BYTES == 0;
}

bool manifest_is_partition_name(const char *name)
{
    if (!is_printable(name, MANIFEST_NAME_MAX_CHARS) || name[0] == '.')
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
            return false;
    return true;
}

static UpdateError check_names(const Manifest *manifest, ErrorText *error)
{
    if (!manifest_is_text(manifest->product))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest's product is not 1 to %d printable characters without blanks",
                MANIFEST_TEXT_MAX_CHARS);
    if (!manifest_is_text(manifest->version))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest's version is not 1 to %d printable characters without blanks",
                MANIFEST_TEXT_MAX_CHARS);
    if (manifest->min_version[0] && !manifest_is_text(manifest->min_version))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest's minimum version is not up to %d printable characters without "
                "blanks",
                MANIFEST_TEXT_MAX_CHARS);
    if (manifest->source_version[0] && !manifest_is_text(manifest->source_version))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest's source version is not up to %d printable characters without blanks",
                MANIFEST_TEXT_MAX_CHARS);
    for (size_t i = 0; i < manifest->n_partitions; i++) {
        const char *name = manifest->partitions[i].name;
        if (!manifest_is_partition_name(name))
            return error_say(error, UPDATE_ERROR_MANIFEST,
                    "the name of partition %zu is not 1 to %d letters, digits, '.', '_' and '-'",
                    i + 1, MANIFEST_NAME_MAX_CHARS);
        for (size_t j = 0; j < i; j++)
            if (strcmp(name, manifest->partitions[j].name) == 0)
                return error_say(error, UPDATE_ERROR_MANIFEST,
                        "the manifest has two partitions of the name %s", name);
    }
    return UPDATE_OK;
}

/* Where an operation stands, for messages, and what it is held against. */
typedef struct {
    const PartitionUpdate *partition;
    size_t i_operation;
    const Manifest *manifest;
} Where;

#define refuse_operation(where, code, error, format, ...)                                    \
    error_say(error, code, "operation %zu of partition %s " format, (where).i_operation + 1, \
            (where).partition->name, ##__VA_ARGS__)

static UpdateError check_data(const Operation *operation, Where where, ErrorText *error)
{
    if (operation->n_data_bytes != 0 && operation->n_data_bytes <= MANIFEST_OPERATION_MAX_BYTES)
        return UPDATE_OK;
    return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
            "has %" PRIu64 " bytes of data; 1 to %d are allowed", operation->n_data_bytes,
            MANIFEST_OPERATION_MAX_BYTES);
}

static UpdateError check_no_data(
        const Operation *operation, Where where, const char *does, ErrorText *error)
{
    if (operation->n_data_bytes == 0)
        return UPDATE_OK;
    return refuse_operation(where, UPDATE_ERROR_MANIFEST, error, "%s, but has data", does);
}

/* Of operations that read a source. Those that do not must not have one. */
static UpdateError check_source(const Operation *operation, Where where, ErrorText *error)
{
    uint64_t n_source_blocks = where.partition->source_bytes / MANIFEST_BLOCK_BYTES;
    if (!where.partition->has_source)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "reads what the partition held before, of which the manifest says nothing");
    if (operation->n_src_bytes == 0 || operation->n_src_bytes > MANIFEST_OPERATION_MAX_BYTES)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "reads %" PRIu64 " bytes; %d to %d are allowed", operation->n_src_bytes,
                MANIFEST_BLOCK_BYTES, MANIFEST_OPERATION_MAX_BYTES);
    for (size_t i = 0; i < operation->n_src_extents; i++) {
        const Extent *extent = &operation->src_extents[i];
        if (extent->start_block >= n_source_blocks ||
                extent->n_blocks > n_source_blocks - extent->start_block)
            return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                    "reads %" PRIu64 " blocks from %" PRIu64 ", beyond the %" PRIu64
                    " that the partition held before",
                    extent->n_blocks, extent->start_block, n_source_blocks);
    }
    if (!operation->has_src_sha256)
        return refuse_operation(where, UPDATE_ERROR_OPERATION_HASH, error,
                "reads a source, but has no SHA-256 hash of it");
    if (operation->type == OPERATION_SOURCE_COPY &&
            operation->n_src_bytes != operation->n_dst_bytes)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "copies %" PRIu64 " bytes to %" PRIu64, operation->n_src_bytes,
                operation->n_dst_bytes);
    return UPDATE_OK;
}

static UpdateError check_no_source(const Operation *operation, Where where, ErrorText *error)
{
    if (operation->n_src_extents == 0)
        return UPDATE_OK;
    return refuse_operation(
            where, UPDATE_ERROR_MANIFEST, error, "has a source, which its type does not read");
}

static UpdateError check_type(const Operation *operation, Where where, ErrorText *error)
{
    UpdateError failure;
    switch (operation->type) {
    case OPERATION_REPLACE:
    case OPERATION_REPLACE_BZ:
    case OPERATION_REPLACE_XZ:
    case OPERATION_REPLACE_ZSTD:
    case OPERATION_REPLACE_ZSTD_PREFIX:
        failure = check_no_source(operation, where, error);
        return failure == UPDATE_OK ? check_data(operation, where, error) : failure;
    case OPERATION_ZERO:
    case OPERATION_DISCARD:
        failure = check_no_source(operation, where, error);
        return failure == UPDATE_OK ? check_no_data(operation, where, "writes zeros", error)
                                    : failure;
    case OPERATION_SOURCE_COPY:
        failure = check_source(operation, where, error);
        return failure == UPDATE_OK ? check_no_data(operation, where, "copies", error) : failure;
    case OPERATION_SOURCE_BSDIFF:
        failure = check_source(operation, where, error);
        return failure == UPDATE_OK ? check_data(operation, where, error) : failure;
    case OPERATION_MOVE: /* of format 1 */
    case OPERATION_BSDIFF:
        break;
    }
    return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
            "is of the type %d, which is not known here", (int)operation->type);
}

static bool frames_add_up(const Operation *operation, size_t frame_target_bytes)
{
    uint64_t n_bytes = 0; /* fewer than 2^32 frames below 2^32: no overflow */
    for (size_t i = 0; i < operation->n_frames; i++) {
        if (operation->frame_bytes[i] == 0)
            return false;
        n_bytes += operation->frame_bytes[i];
    }
    return n_bytes == operation->n_data_bytes &&
           operation->n_frames == u64_div_round_up(operation->n_dst_bytes, frame_target_bytes);
}

/* What a frame refers to can be found only by who knows how long it and those before it are. */
static UpdateError check_prefix(const Operation *operation, Where where, ErrorText *error)
{
    const Manifest *manifest = where.manifest;
    if (operation->n_frames == 0)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "has frames that refer to what lies before them, but no list of them");
    if (manifest->frame_prefix_bytes == 0)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "has frames that refer to what lies before them; the manifest does not say how "
                "far");
    if (operation->frame_target_bytes != manifest->frame_target_bytes ||
            operation->frame_prefix_bytes != manifest->frame_prefix_bytes)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "has frames of another kind than the manifest says");
    return UPDATE_OK;
}

static UpdateError check_frames(const Operation *operation, Where where, ErrorText *error)
{
    bool has_prefix = operation->type == OPERATION_REPLACE_ZSTD_PREFIX;
    UpdateError failure = has_prefix ? check_prefix(operation, where, error) : UPDATE_OK;
    if (failure != UPDATE_OK || operation->n_frames == 0)
        return failure;
    if ((operation->type != OPERATION_REPLACE_ZSTD && !has_prefix) ||
            !frames_add_up(operation, where.manifest->frame_target_bytes))
        return refuse_operation(
                where, UPDATE_ERROR_MANIFEST, error, "has frames that do not add up to its data");
    return UPDATE_OK;
}

static UpdateError check_operation(
        const Operation *operation, Where where, uint64_t *n_blob_bytes, ErrorText *error)
{
    UpdateError failure = check_type(operation, where, error);
    if (failure != UPDATE_OK)
        return failure;
    if (operation->n_dst_bytes == 0 || operation->n_dst_bytes > MANIFEST_OPERATION_MAX_BYTES)
        return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                "writes %" PRIu64 " bytes; %d to %d are allowed", operation->n_dst_bytes,
                MANIFEST_BLOCK_BYTES, MANIFEST_OPERATION_MAX_BYTES);
    if (operation->n_data_bytes > 0) {
        if (operation->data_offset_bytes != *n_blob_bytes)
            return refuse_operation(where, UPDATE_ERROR_MANIFEST, error,
                    "has its data at %" PRIu64 ", where %" PRIu64 " follows on the data before it",
                    operation->data_offset_bytes, *n_blob_bytes);
        if (!u64_add(*n_blob_bytes, operation->n_data_bytes, n_blob_bytes))
            return refuse_operation(where, UPDATE_ERROR_MANIFEST, error, "has data past any file");
    }
    return check_frames(operation, where, error);
}

static int compare_extents(const void *a, const void *b)
{
    const Extent *x = a;
    const Extent *y = b;
    return (x->start_block > y->start_block) - (x->start_block < y->start_block);
}

static void sort_extents(Extent *extents, size_t n_extents)
{
    for (size_t i = 1; i < n_extents; i++)
        if (extents[i].start_block < extents[i - 1].start_block) {
            qsort(extents, n_extents, sizeof(*extents), compare_extents);
            return;
        }
}

/* The sorted extents must follow one another from block 0 to n_blocks. */
static UpdateError check_tiling(const PartitionUpdate *partition, const Extent *extents,
        size_t n_extents, uint64_t n_blocks, ErrorText *error)
{
    uint64_t next = 0;
    for (size_t i = 0; i < n_extents; i++) {
        uint64_t start = extents[i].start_block;
        if (start < next)
            return error_say(error, UPDATE_ERROR_MANIFEST,
                    "partition %s: block %" PRIu64 " is written twice", partition->name, start);
        if (start >= n_blocks || extents[i].n_blocks > n_blocks - start)
            return error_say(error, UPDATE_ERROR_MANIFEST,
                    "partition %s: the extent of %" PRIu64 " blocks from %" PRIu64
                    " goes beyond its %" PRIu64 " blocks",
                    partition->name, extents[i].n_blocks, start, n_blocks);
        if (start > next)
            break;
        next = start + extents[i].n_blocks;
    }
    if (next != n_blocks)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "partition %s: block %" PRIu64 " is never written", partition->name, next);
    return UPDATE_OK;
}

/* The operations' extents and the tree's, which nobody else may write, are all of the partition. */
static UpdateError check_extents(
        const PartitionUpdate *partition, uint64_t n_blocks, ErrorText *error)
{
    size_t n_extents = partition->n_tree_blocks > 0 ? 1 : 0;
    for (size_t i = 0; i < partition->n_operations; i++)
        n_extents += partition->operations[i].n_dst_extents;
    _cleanup_free_ Extent *extents = calloc(n_extents + 1, sizeof(*extents));
    if (!extents)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    size_t n = 0;
    if (partition->n_tree_blocks > 0)
        extents[n++] = (Extent){partition->tree_start_block, partition->n_tree_blocks};
    for (size_t i = 0; i < partition->n_operations; i++) {
        const Operation *operation = &partition->operations[i];
        for (size_t j = 0; j < operation->n_dst_extents; j++)
            extents[n++] = operation->dst_extents[j];
    }
    sort_extents(extents, n_extents);
    return check_tiling(partition, extents, n_extents, n_blocks, error);
}

static UpdateError check_verity(
        const PartitionUpdate *partition, uint64_t n_blocks, ErrorText *error)
{
    VerityLayout layout;
    if (verity_layout_compute(&partition->verity, &layout) < 0)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "partition %s: the hash tree is said to cover %" PRIu64
                " blocks with %zu bytes of salt",
                partition->name, partition->verity.n_data_blocks, partition->verity.n_salt_bytes);
    if (partition->n_tree_blocks != layout.n_tree_blocks ||
            partition->tree_start_block < partition->verity.n_data_blocks ||
            partition->tree_start_block > n_blocks ||
            n_blocks - partition->tree_start_block < partition->n_tree_blocks)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "partition %s: the hash tree does not lie behind its data and inside the partition",
                partition->name);
    return UPDATE_OK;
}

static UpdateError check_partition(const Manifest *manifest, const PartitionUpdate *partition,
        uint64_t *n_blob_bytes, ErrorText *error)
{
    uint64_t n_blocks = partition->size_bytes / MANIFEST_BLOCK_BYTES;
    if (n_blocks == 0 || partition->size_bytes % MANIFEST_BLOCK_BYTES != 0 ||
            partition->size_bytes > INT64_MAX)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "partition %s: its size of %" PRIu64 " bytes is not a multiple of %d",
                partition->name, partition->size_bytes, MANIFEST_BLOCK_BYTES);
    if (partition->has_source &&
            (partition->source_bytes == 0 || partition->source_bytes % MANIFEST_BLOCK_BYTES != 0 ||
                    partition->source_bytes > INT64_MAX))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "partition %s: the size of what it held before, %" PRIu64
                " bytes, is not a multiple of %d",
                partition->name, partition->source_bytes, MANIFEST_BLOCK_BYTES);
    for (size_t i = 0; i < partition->n_operations; i++) {
        UpdateError failure = check_operation(
                &partition->operations[i], (Where){partition, i, manifest}, n_blob_bytes, error);
        if (failure != UPDATE_OK)
            return failure;
    }
    if (partition->has_verity) {
        UpdateError failure = check_verity(partition, n_blocks, error);
        if (failure != UPDATE_OK)
            return failure;
    }
    return check_extents(partition, n_blocks, error);
}

static UpdateError check_frame_sizes(const Manifest *manifest, ErrorText *error)
{
    if (!manifest_is_frame_size(manifest->frame_target_bytes))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest has frames of %zu bytes; powers of 2 from %d to %d are allowed",
                manifest->frame_target_bytes, MANIFEST_BLOCK_BYTES, MANIFEST_FRAME_MAX_BYTES);
    if (manifest->frame_prefix_bytes != 0 &&
            !manifest_is_frame_prefix(manifest->frame_prefix_bytes))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest has frames that refer to %zu bytes before them; multiples of %d up "
                "to %d are allowed",
                manifest->frame_prefix_bytes, MANIFEST_BLOCK_BYTES,
                MANIFEST_FRAME_PREFIX_MAX_BYTES);
    return UPDATE_OK;
}

/* A full payload begins with nothing, and a delta with something. */
static UpdateError check_kind(const Manifest *manifest, ErrorText *error)
{
    bool is_delta = manifest->minor_version != MANIFEST_MINOR_FULL;
    bool has_source = false;
    for (size_t i = 0; i < manifest->n_partitions; i++)
        has_source = has_source || manifest->partitions[i].has_source;
    if (has_source && !is_delta)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest says what partitions held before, but not that it is a delta");
    if (is_delta && !has_source)
        return error_say(error, UPDATE_ERROR_NO_PARTITION_INFO,
                "the payload is a delta, and does not say what it begins with");
    return UPDATE_OK;
}

UpdateError manifest_check(const Manifest *manifest, ErrorText *error)
{
    if (manifest->n_partitions == 0 || manifest->n_partitions > MANIFEST_PARTITIONS_MAX)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the manifest has %zu partitions; 1 to %d are allowed", manifest->n_partitions,
                MANIFEST_PARTITIONS_MAX);
    UpdateError failure = check_names(manifest, error);
    uint64_t n_blob_bytes = 0;
    if (failure == UPDATE_OK)
        failure = check_frame_sizes(manifest, error);
    if (failure == UPDATE_OK)
        failure = check_kind(manifest, error);
    for (size_t i = 0; failure == UPDATE_OK && i < manifest->n_partitions; i++)
        failure = check_partition(manifest, &manifest->partitions[i], &n_blob_bytes, error);
    if (failure != UPDATE_OK)
        return failure;
    if (n_blob_bytes != manifest->signatures_offset_bytes)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload signature is said to be at %" PRIu64
                ", where the data ends at %" PRIu64,
                manifest->signatures_offset_bytes, n_blob_bytes);
    if (manifest->n_signatures_bytes > SIGNATURES_MAX_BYTES)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload signature is said to have %" PRIu64 " bytes; at most %d are allowed",
                manifest->n_signatures_bytes, SIGNATURES_MAX_BYTES);
    return UPDATE_OK;
}
