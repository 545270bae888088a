/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install-files.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct InstallFiles {
    const Manifest *manifest;
    FileTarget *targets[MANIFEST_PARTITIONS_MAX]; /* by partition; NULL: none */
};

/* "a" for USR-A; 0 when the label has no such letter. */
static char slot_letter(const char *slot_label)
{
    size_t n = strlen(slot_label);
    if (n < 2 || slot_label[n - 2] != '-' || !isalpha((unsigned char)slot_label[n - 1]))
        return 0;
    return (char)tolower((unsigned char)slot_label[n - 1]);
}

/* *ret_path is new; NULL where the kind has no place. Errors: -ENOMEM. */
static int path_of(
        const InstallFilePlaces *places, PartitionKind kind, char letter, char **ret_path)
{
    *ret_path = NULL;
    if (kind == PARTITION_KERNEL && places->kernels)
        return asprintf(ret_path, "%s/vmlinuz-%c", places->kernels, letter) < 0 ? -ENOMEM : 0;
    if (kind == PARTITION_PCR_POLICY && places->policies)
        return asprintf(ret_path, "%s/pcrs-%c.zip", places->policies, letter) < 0 ? -ENOMEM : 0;
    return 0;
}

static UpdateError plan(InstallFiles *files, size_t i, const InstallFilePlaces *places,
        const char *slot_label, ErrorText *error)
{
    const PartitionUpdate *partition = &files->manifest->partitions[i];
    char letter = slot_letter(slot_label);
    _cleanup_free_ char *path = NULL;
    if (path_of(places, partition->kind, letter, &path) < 0)
        return error_say(error, UPDATE_ERROR_GENERIC, "not enough memory to install");
    if (!path && partition->kind == PARTITION_KERNEL)
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "the payload brings a kernel, and this machine has no folder for kernels");
    if (!path)
        return UPDATE_OK;
    if (letter == 0)
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "the payload brings a file for the slot, whose label %s does not end in a letter "
                "that could name it",
                slot_label);
    int r = file_target_new(path, partition->size_bytes, &files->targets[i], error);
    return r < 0 ? UPDATE_ERROR_OPEN_TARGET : UPDATE_OK;
}

UpdateError install_files_new(const Manifest *manifest, const char *slot_label,
        const InstallFilePlaces *places, InstallFiles **ret_files, ErrorText *error)
{
    _cleanup_(install_files_freep) InstallFiles *files = calloc(1, sizeof(*files));
    if (!files)
        return error_say(error, UPDATE_ERROR_GENERIC, "not enough memory to install");
    files->manifest = manifest;
    UpdateError code = UPDATE_OK;
    for (size_t i = 0; code == UPDATE_OK && i < manifest->n_partitions; i++)
        code = plan(files, i, places, slot_label, error);
    if (code != UPDATE_OK)
        return code;
    *ret_files = TAKE_PTR(files);
    return UPDATE_OK;
}

void install_files_free(InstallFiles *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < MANIFEST_PARTITIONS_MAX; i++)
        file_target_free(files->targets[i]);
    free(files);
}

FileTarget *install_files_get(const InstallFiles *files, size_t partition)
{
    return files->targets[partition];
}

const char *install_files_path(const InstallFiles *files, PartitionKind kind)
{
    for (size_t i = 0; i < files->manifest->n_partitions; i++)
        if (files->targets[i] && files->manifest->partitions[i].kind == kind)
            return file_target_path(files->targets[i]);
    return NULL;
}

int install_files_place(const InstallFilePlaces *places, PartitionKind kind, const char *slot_label,
        char **ret_path)
{
    char letter = slot_label ? slot_letter(slot_label) : 0;
    *ret_path = NULL;
    return letter ? path_of(places, kind, letter, ret_path) : 0;
}

int install_files_prepare(
        InstallFiles *files, bool is_resumed, const atomic_bool *is_cancelled, ErrorText *error)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < files->manifest->n_partitions; i++) {
        FileTarget *target = files->targets[i];
        if (!target)
            continue;
        r = file_target_prepare(target, is_resumed, error);
        if (r == -ESTALE)
            r = file_target_adopt(target, &files->manifest->partitions[i].hash, is_cancelled);
    }
    return r;
}

int install_files_sync(InstallFiles *files)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < files->manifest->n_partitions; i++)
        if (files->targets[i])
            r = file_target_sync(files->targets[i]);
    return r;
}

static UpdateError judge(
        const PartitionUpdate *partition, const char *path, int r, ErrorText *error)
{
    if (r >= 0)
        return UPDATE_OK;
    if (r == -ECANCELED)
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    if (r != -EBADMSG)
        return error_say(error, UPDATE_ERROR_WRITE, "%s cannot be written and read back: %s", path,
                strerror(-r));
    return error_say(error,
            partition->kind == PARTITION_KERNEL ? UPDATE_ERROR_KERNEL_HASH
                                                : UPDATE_ERROR_POLICY_HASH,
            "what was written beside %s does not have the hash that the payload gives", path);
}

UpdateError install_files_check(
        InstallFiles *files, const atomic_bool *is_cancelled, ErrorText *error)
{
    UpdateError code = UPDATE_OK;
    for (size_t i = 0; code == UPDATE_OK && i < files->manifest->n_partitions; i++) {
        const PartitionUpdate *partition = &files->manifest->partitions[i];
        FileTarget *target = files->targets[i];
        if (!target)
            continue;
        int r = file_target_check(target, &partition->hash, is_cancelled);
        code = judge(partition, file_target_path(target), r, error);
    }
    return code;
}

int install_files_read(InstallFiles *files, PartitionKind kind, size_t n_max_bytes,
        uint8_t **ret_data, size_t *ret_n_bytes)
{
    size_t i = 0;
    while (i < files->manifest->n_partitions &&
            !(files->targets[i] && files->manifest->partitions[i].kind == kind))
        i++;
    *ret_data = NULL;
    *ret_n_bytes = 0;
    if (i == files->manifest->n_partitions)
        return 0;
    uint64_t n_bytes = files->manifest->partitions[i].size_bytes;
    if (n_bytes > n_max_bytes)
        return -EFBIG;
    _cleanup_free_ uint8_t *data = malloc((size_t)n_bytes + 1);
    if (!data)
        return -ENOMEM;
    int r = file_target_read(files->targets[i], data, (size_t)n_bytes);
    if (r < 0)
        return r;
    *ret_data = TAKE_PTR(data);
    *ret_n_bytes = (size_t)n_bytes;
    return 0;
}

int install_files_commit(InstallFiles *files, ErrorText *error)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < files->manifest->n_partitions; i++)
        if (files->targets[i])
            r = file_target_commit(files->targets[i], error);
    return r;
}

void install_files_discard(const InstallFilePlaces *places, const char *slot_label)
{
    char letter = slot_letter(slot_label);
    for (PartitionKind kind = PARTITION_KERNEL; letter && kind <= PARTITION_PCR_POLICY; kind++) {
        _cleanup_free_ char *path = NULL;
        if (path_of(places, kind, letter, &path) == 0 && path)
            file_target_discard(path);
    }
}
