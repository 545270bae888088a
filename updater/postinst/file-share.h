/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Offers local files by HTTP to programs of this machine: at a port of the loopback address that
 * the kernel picks, below a path that nobody can guess, from a thread of its own, one request at a
 * time. For programs that fetch what they need and can be told from where. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"

#define FILE_SHARE_MAX 16

typedef struct FileShare FileShare;

typedef struct {
    char name[128]; /* of letters, digits and ".+_-" */
    uint64_t size_bytes;
    Sha256 sha256;
    int fd; /* inside the share */
} SharedFile;

/* Opens and hashes the files (paths is borrowed for the call) and begins to offer them. Blocks
 * while it reads them whole.
 * Errors: -EINVAL for what is no regular file, a name of other characters, the same name twice,
 * more than FILE_SHARE_MAX; errno, all with error. */
int file_share_new(
        const char *const *paths, size_t n_paths, FileShare **ret_share, ErrorText *error);

/* Ends a request that is under way, and waits for the thread. */
void file_share_free(FileShare *share);
DEFINE_CLEANUP(FileShare *, file_share_free);

/* "http://127.0.0.1:40001/1f.../", which a file's name follows; inside share. */
const char *file_share_url(const FileShare *share);

/* Inside share. */
const SharedFile *file_share_files(const FileShare *share, size_t *ret_n_files);
