/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/operation-run.h"

#include <errno.h>
#include <string.h>

#include "common/fd-io.h"

static int sink_write(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    return install_target_write(userdata, offset_bytes, data, n_bytes);
}

static int sink_zero(uint64_t offset_bytes, uint64_t n_bytes, void *userdata)
{
    return install_target_zero(userdata, offset_bytes, n_bytes);
}

static int sink_write_file(
        uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    return file_target_write(userdata, offset_bytes, data, n_bytes);
}

static int source_read(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    return install_source_read(userdata, offset_bytes, ret_data, n_bytes);
}

/* Format 1, which alone brings files, has no operation that makes zeros. */
static int sink_zero_file(uint64_t offset_bytes, uint64_t n_bytes, void *userdata)
{
    (void)offset_bytes;
    (void)n_bytes;
    (void)userdata;
    return -EOPNOTSUPP;
}

static bool goes_to_slot(const OperationPlace *place, const Operation *operation)
{
    return place->manifest->partitions[operation->partition].kind == PARTITION_SLOT;
}

typedef void (*RangeCall)(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes);

static void for_each_extent(const OperationPlace *place, const Operation *operation, RangeCall call)
{
    for (size_t i = 0; goes_to_slot(place, operation) && i < operation->n_dst_extents; i++) {
        const Extent *extent = &operation->dst_extents[i];
        if (extent->start_block != EXTENT_HOLE)
            call(place->target, extent->start_block * MANIFEST_BLOCK_BYTES,
                    extent->n_blocks * MANIFEST_BLOCK_BYTES);
    }
}

static void drop_source(const OperationPlace *place, const Operation *operation)
{
    for (size_t i = 0; place->source && i < operation->n_src_extents; i++)
        install_source_drop(place->source,
                operation->src_extents[i].start_block * MANIFEST_BLOCK_BYTES,
                operation->src_extents[i].n_blocks * MANIFEST_BLOCK_BYTES);
}

static UpdateError read_blob(
        const OperationPlace *place, const Operation *operation, uint8_t *blob, ErrorText *error)
{
    int r = fd_pread_full(place->file_fd, blob, (size_t)operation->n_data_bytes,
            place->blobs_offset_bytes + operation->data_offset_bytes);
    if (r == 0)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_TRANSFER, "the payload file cannot be read: %s",
            r == -EIO ? "it ends too early" : strerror(-r));
}

static UpdateError apply(const OperationPlace *place, const Operation *operation,
        const uint8_t *blob, const OperationSink *sink, bool *ret_is_lacking, ErrorText *error)
{
    InPlace *in_place =
            place->delta_v1 ? delta_v1_get(place->delta_v1, operation->partition) : NULL;
    if (in_place)
        return in_place_apply(in_place, operation, blob, error);
    size_t i = (size_t)(operation - place->manifest->operations);
    if (place->adaptive && adaptive_plan_is_pieces(place->adaptive->plan, i))
        return adaptive_run(place->adaptive, operation, i, blob, sink, ret_is_lacking, error);
    const OperationSource source = {source_read, (void *)place->source};
    UpdateError code = operation_apply(operation, operation->n_data_bytes ? blob : NULL,
            place->source ? &source : NULL, sink, error);
    drop_source(place, operation);
    return code;
}

UpdateError operation_run(const OperationPlace *place, const Operation *operation, uint8_t *blob,
        bool is_loaded, bool *ret_is_lacking, ErrorText *error)
{
    *ret_is_lacking = false;
    if (atomic_load(place->is_cancelled))
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    if (!is_loaded && operation->n_data_bytes > 0) {
        UpdateError code = read_blob(place, operation, blob, error);
        if (code != UPDATE_OK)
            return code;
    }
    FileTarget *file = install_files_get(place->files, operation->partition);
    OperationSink sink = {.write = sink_write, .zero = sink_zero, .userdata = place->target};
    if (file)
        sink = (OperationSink){.write = sink_write_file, .zero = sink_zero_file, .userdata = file};
    else if (!goes_to_slot(place, operation))
        return operation_check_blob(operation, blob, error);
    UpdateError code = apply(place, operation, blob, &sink, ret_is_lacking, error);
    for_each_extent(place, operation, install_target_write_behind);
    return code;
}

UpdateError operation_run_settle(
        const OperationPlace *place, const Operation *operation, uint8_t *chunk, ErrorText *error)
{
    if (atomic_load(place->is_cancelled))
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    for_each_extent(place, operation, install_target_drop);
    if (!place->read_back || !goes_to_slot(place, operation))
        return UPDATE_OK;
    return read_back_operation(place->read_back, operation, chunk, error);
}
