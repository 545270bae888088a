/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/delta-v1.h"

#include <stdlib.h>

#include "common/fd-io.h"

struct DeltaV1 {
    const Manifest *manifest;
    InstallSource *sources[MANIFEST_PARTITIONS_MAX]; /* NULL: no delta, or it goes nowhere */
    InPlace *in_place[MANIFEST_PARTITIONS_MAX];
};

static UpdateError open_source(DeltaV1 *delta, size_t i, const RunningSlot *running,
        const InstallFilePlaces *places, ErrorText *error)
{
    const PartitionUpdate *partition = &delta->manifest->partitions[i];
    if (partition->kind == PARTITION_SLOT)
        return install_source_new(running, partition, "", &delta->sources[i], error);
    _cleanup_free_ char *path = NULL;
    if (install_files_place(places, partition->kind, running->label, &path) < 0)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    return path ? install_source_new_file(path, partition, &delta->sources[i], error) : UPDATE_OK;
}

UpdateError delta_v1_new(const Manifest *manifest, const RunningSlot *running,
        const InstallFilePlaces *places, const atomic_bool *is_cancelled, DeltaV1 **ret_delta,
        ErrorText *error)
{
    *ret_delta = NULL;
    _cleanup_(delta_v1_freep) DeltaV1 *delta = calloc(1, sizeof(*delta));
    if (!delta)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    delta->manifest = manifest;
    bool is_delta = false;
    UpdateError code = UPDATE_OK;
    for (size_t i = 0; code == UPDATE_OK && i < manifest->n_partitions; i++) {
        if (manifest->format != 1 || !manifest->partitions[i].has_source)
            continue;
        code = open_source(delta, i, running, places, error);
        if (code == UPDATE_OK && delta->sources[i])
            code = install_source_check(delta->sources[i], is_cancelled, error);
        is_delta = true;
    }
    if (code == UPDATE_OK && is_delta)
        *ret_delta = TAKE_PTR(delta);
    return code;
}

void delta_v1_free(DeltaV1 *delta)
{
    if (!delta)
        return;
    for (size_t i = 0; i < MANIFEST_PARTITIONS_MAX; i++) {
        in_place_free(delta->in_place[i]);
        install_source_free(delta->sources[i]);
    }
    free(delta);
}

static int write_slot(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    return install_target_write(userdata, offset_bytes, data, n_bytes);
}

static int read_slot(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    uint64_t slot_bytes;
    int fd = install_target_fd(userdata, &slot_bytes);
    return fd_pread_full(fd, ret_data, n_bytes, slot_bytes + offset_bytes);
}

static int write_file(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    return file_target_write(userdata, offset_bytes, data, n_bytes);
}

static int read_file(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    return file_target_read_blocks(userdata, offset_bytes, ret_data, n_bytes);
}

static UpdateError prepare(DeltaV1 *delta, size_t i, InstallTarget *target, FileTarget *file,
        int scratch_fd, ErrorText *error)
{
    /* Format 1 has no operation that makes zeros. */
    const OperationSink sink = file ? (OperationSink){.write = write_file, .userdata = file}
                                    : (OperationSink){.write = write_slot, .userdata = target};
    const OperationSource written = file ? (OperationSource){.read = read_file, .userdata = file}
                                         : (OperationSource){.read = read_slot, .userdata = target};
    int r = in_place_new(&delta->manifest->partitions[i], delta->sources[i], &sink, &written,
            scratch_fd, &delta->in_place[i]);
    return r < 0 ? error_say(error, UPDATE_ERROR_GENERIC, "out of memory") : UPDATE_OK;
}

UpdateError delta_v1_prepare(DeltaV1 *delta, InstallTarget *target, InstallFiles *files,
        int scratch_fd, const atomic_bool *is_cancelled, ErrorText *error)
{
    UpdateError code = UPDATE_OK;
    for (size_t i = 0; code == UPDATE_OK && i < delta->manifest->n_partitions; i++) {
        if (!delta->sources[i])
            continue;
        code = prepare(delta, i, target, install_files_get(files, i), scratch_fd, error);
        if (code == UPDATE_OK)
            code = in_place_copy_rest(delta->in_place[i], is_cancelled, error);
    }
    return code;
}

InPlace *delta_v1_get(const DeltaV1 *delta, size_t partition)
{
    return delta->in_place[partition];
}
