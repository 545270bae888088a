/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/payload/operation.h"
#include "updater/payload/partition-digest.h"
#include "updater/payload/payload-file.h"
#include "verity/block-index.h"

/* The half of payload-file.h that applies operations. */

static int write_nothing(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)offset_bytes;
    (void)data;
    (void)n_bytes;
    (void)userdata;
    return 0;
}

/* Also right for the empty file that is extracted to: holes read as zeros. */
static int zero_nothing(uint64_t offset_bytes, uint64_t n_bytes, void *userdata)
{
    (void)offset_bytes;
    (void)n_bytes;
    (void)userdata;
    return 0;
}

static int write_to_file(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    const int *fd = userdata;
    return fd_pwrite_full(*fd, data, n_bytes, offset_bytes);
}

typedef struct {
    const OperationSink *sink;
    const OperationSource *source; /* NULL: none */
    bool may_lack_source;          /* then what reads one is not applied */
} Way;

/* Format 1's deltas read what they write, which is no source. */
static bool reads_in_place(const Operation *operation)
{
    return operation->type == OPERATION_MOVE || operation->type == OPERATION_BSDIFF;
}

static UpdateError apply_one(
        const Way *way, const Operation *operation, const uint8_t *blob, ErrorText *error)
{
    if (operation->n_src_extents > 0 && !way->source && way->may_lack_source)
        return operation_check_blob(operation, blob, error);
    if (reads_in_place(operation))
        return error_say(error, UPDATE_ERROR_OPERATION,
                "a delta of format 1 works on a slot and can only be installed");
    return operation_apply(operation, blob, way->source, way->sink, error);
}

static UpdateError apply(
        const PayloadFile *file, const PartitionUpdate *partition, const Way *way, ErrorText *error)
{
    size_t n_blob_bytes = MANIFEST_BLOCK_BYTES;
    for (size_t i = 0; i < partition->n_operations; i++)
        n_blob_bytes = MAX(n_blob_bytes, (size_t)partition->operations[i].n_data_bytes);
    uint8_t *blob = aligned_alloc(MANIFEST_BLOCK_BYTES,
            u64_div_round_up(n_blob_bytes, MANIFEST_BLOCK_BYTES) * MANIFEST_BLOCK_BYTES);
    if (!blob)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    UpdateError failure = UPDATE_OK;
    for (size_t i = 0; failure == UPDATE_OK && i < partition->n_operations; i++) {
        const Operation *operation = &partition->operations[i];
        int r = fd_pread_full(payload_file_fd(file), blob, (size_t)operation->n_data_bytes,
                payload_file_header(file)->n_metadata_bytes + operation->data_offset_bytes);
        if (r < 0)
            failure = error_say(
                    error, UPDATE_ERROR_GENERIC, "the payload cannot be read: %s", strerror(-r));
        else
            failure = apply_one(way, operation, blob, error);
    }
    free(blob);
    return failure;
}

static const OperationSource *operations_of(const PayloadSource *source)
{
    return source ? payload_source_operations(source) : NULL;
}

UpdateError payload_file_check_operations(const PayloadFile *file, const PartitionUpdate *partition,
        const PayloadSource *source, ErrorText *error)
{
    const OperationSink sink = {.write = write_nothing, .zero = zero_nothing};
    const Way way = {.sink = &sink, .source = operations_of(source), .may_lack_source = true};
    return apply(file, partition, &way, error);
}

static UpdateError compare(
        const PartitionUpdate *partition, const PartitionDigest *digest, ErrorText *error)
{
    if (partition->has_verity && !sha256_equal(&digest->root_hash, &partition->root_hash))
        return error_say(error, UPDATE_ERROR_VERITY,
                "partition %s does not have the root hash that the manifest gives",
                partition->name);
    if (!sha256_equal(&digest->hash, &partition->hash))
        return error_say(error, UPDATE_ERROR_PARTITION_HASH,
                "partition %s does not have the hash that the manifest gives", partition->name);
    if (partition->has_rest_hash && !sha256_equal(&digest->rest_hash, &partition->rest_hash))
        return error_say(error, UPDATE_ERROR_PARTITION_HASH,
                "what follows the data of partition %s does not have the hash that the manifest "
                "gives",
                partition->name);
    if (partition->block_index &&
            memcmp(digest->block_index, partition->block_index,
                    (size_t)partition->verity.n_data_blocks * BLOCK_INDEX_ENTRY_BYTES) != 0)
        return error_say(error, UPDATE_ERROR_VERITY,
                "the block index of partition %s does not fit its blocks", partition->name);
    return UPDATE_OK;
}

UpdateError payload_file_extract(const PayloadFile *file, const PartitionUpdate *partition,
        const PayloadSource *source, int fd, unsigned n_threads, ErrorText *error)
{
    if (ftruncate(fd, (off_t)partition->size_bytes) < 0)
        return error_say(
                error, UPDATE_ERROR_WRITE, "the image cannot be written: %s", strerror(errno));
    const OperationSink sink = {.write = write_to_file, .zero = zero_nothing, .userdata = &fd};
    const Way way = {.sink = &sink, .source = operations_of(source)};
    UpdateError failure = apply(file, partition, &way, error);
    if (failure != UPDATE_OK)
        return failure;
    if (ftruncate(fd, (off_t)partition->size_bytes) < 0) /* the last block was filled up */
        return error_say(
                error, UPDATE_ERROR_WRITE, "the image cannot be written: %s", strerror(errno));

    PartitionDigestOptions options = {
            .n_data_bytes = partition->has_verity
                                    ? partition->verity.n_data_blocks * MANIFEST_BLOCK_BYTES
                                    : partition->size_bytes,
            .verity = partition->has_verity ? &partition->verity : NULL,
            .n_blocks = partition->size_bytes / MANIFEST_BLOCK_BYTES,
            .n_threads = n_threads,
    };
    VerityRegion tree = {fd, partition->tree_start_block * MANIFEST_BLOCK_BYTES};
    _cleanup_(partition_digest_done) PartitionDigest digest = {0};
    int r = partition_digest_compute(&options, fd, tree, &digest, error);
    if (r < 0)
        return error_say(
                error, UPDATE_ERROR_GENERIC, "the image cannot be hashed: %s", strerror(-r));
    return compare(partition, &digest, error);
}
