/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A file that an update brings beside its slot: written whole beside the old one, proven, and put
 * in its place by one rename. The old file is untouched until then. All calls block. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"

typedef struct FileTarget FileTarget;

/* path (absolute, copied) is the file's place. Its folder must be there and have room for
 * size_bytes; nothing is written yet. Errors: -ENOENT, -ENOSPC, errno, with error. */
int file_target_new(
        const char *path, uint64_t size_bytes, FileTarget **ret_target, ErrorText *error);

/* Closes; what was written beside the old file stays. */
void file_target_free(FileTarget *target);
DEFINE_CLEANUP(FileTarget *, file_target_free);

const char *file_target_path(const FileTarget *target);

/* Makes the new file beside the old one and takes all its room; when resuming, goes on with the one
 * that is there. Errors: -ESTALE when resuming and there is none of this size, -ENOSPC, errno, with
 * error. */
int file_target_prepare(FileTarget *target, bool is_resumed, ErrorText *error);

/* Instead, where an earlier install got as far as file_target_commit(): takes the file in its
 * place for the new one, if that has this size and hash.
 * Errors: -ESTALE when it has not, -ECANCELED, errno. */
int file_target_adopt(FileTarget *target, const Sha256 *hash, const atomic_bool *is_cancelled);

/* Writes at offset_bytes; what goes beyond the file's end is left out. Several threads at once.
 * Errors: errno. */
int file_target_write(FileTarget *target, uint64_t offset_bytes, const void *data, size_t n_bytes);

/* All that was written is on the disk. Errors: errno; once it has failed, it fails for good. */
int file_target_sync(FileTarget *target);

/* Syncs and reads the new file back. Errors: -EBADMSG when its hash is another, -ECANCELED,
 * errno. */
int file_target_check(FileTarget *target, const Sha256 *hash, const atomic_bool *is_cancelled);

/* Reads what was written of the new file, n_bytes at offset_bytes, both of blocks of 4096 bytes;
 * behind its end there are zeros. Errors: errno. */
int file_target_read_blocks(
        FileTarget *target, uint64_t offset_bytes, void *ret_data, size_t n_bytes);

/* Reads the new file's first n_bytes, of which there must be as many. Errors: errno. */
int file_target_read(FileTarget *target, void *ret_data, size_t n_bytes);

/* Puts the new file in the old one's place, on the disk. Errors: errno, with error. */
int file_target_commit(FileTarget *target, ErrorText *error);

/* Removes what an install left beside the file at path. */
void file_target_discard(const char *path);
