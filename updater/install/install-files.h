/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which files an update brings beside its slot, and where they go: in format 1, the slot's kernel
 * and its PCR policy (update_engine's install procedures). What is of another kind, or not wanted
 * here, goes nowhere. All calls block. */

#include <stdatomic.h>
#include <stdbool.h>

#include "common/error-text.h"
#include "updater/install/file-target.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"

typedef struct InstallFiles InstallFiles;

/* Folders of the files, borrowed for the call; NULL: there is none. */
typedef struct {
    const char *kernels;  /* vmlinuz-a and vmlinuz-b; without it a kernel is refused */
    const char *policies; /* pcrs-a.zip and pcrs-b.zip; without it a policy is let go */
} InstallFilePlaces;

/* Plans the files of a manifest (borrowed for the object's life) for the slot of this label, whose
 * last letter names them, and checks that there is room; writes nothing.
 * Returns UPDATE_OK, UPDATE_ERROR_OPEN_TARGET (no folder, no room, no letter),
 * UPDATE_ERROR_GENERIC (memory). */
UpdateError install_files_new(const Manifest *manifest, const char *slot_label,
        const InstallFilePlaces *places, InstallFiles **ret_files, ErrorText *error);
void install_files_free(InstallFiles *files);
DEFINE_CLEANUP(InstallFiles *, install_files_free);

/* The file that a partition of the manifest is written to (inside files); NULL: none. */
FileTarget *install_files_get(const InstallFiles *files, size_t partition);

/* The path of the file of a kind (inside files); NULL: none. */
const char *install_files_path(const InstallFiles *files, PartitionKind kind);

/* The place of a kind's file for the slot of this label; *ret_path is new, NULL where the kind has
 * none. Errors: -ENOMEM. */
int install_files_place(const InstallFilePlaces *places, PartitionKind kind, const char *slot_label,
        char **ret_path);

/* As file_target_prepare() for each; when resuming, as file_target_adopt() for one that is in its
 * place already. Errors: of these. */
int install_files_prepare(
        InstallFiles *files, bool is_resumed, const atomic_bool *is_cancelled, ErrorText *error);

/* As file_target_sync() for each. Errors: of that. */
int install_files_sync(InstallFiles *files);

/* Reads all back and holds them against the manifest. Returns UPDATE_OK, UPDATE_ERROR_KERNEL_HASH,
 * UPDATE_ERROR_POLICY_HASH, UPDATE_ERROR_WRITE (sync, read), UPDATE_ERROR_CANCELLED. */
UpdateError install_files_check(
        InstallFiles *files, const atomic_bool *is_cancelled, ErrorText *error);

/* The whole content of the file of a kind; *ret_data is new, NULL where there is none.
 * Errors: -EFBIG over n_max_bytes, -ENOMEM, errno of reading. */
int install_files_read(InstallFiles *files, PartitionKind kind, size_t n_max_bytes,
        uint8_t **ret_data, size_t *ret_n_bytes);

/* Puts all in their places. Errors: of file_target_commit(). */
int install_files_commit(InstallFiles *files, ErrorText *error);

/* Removes what an install for this slot, of whatever payload, left beside its files. */
void install_files_discard(const InstallFilePlaces *places, const char *slot_label);
