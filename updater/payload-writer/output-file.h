/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A large file that a tool makes: written under a name of its own beside its place, put there as a
 * whole at the end, removed when it does not come to that. Everything here blocks. */

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct OutputFile OutputFile;

/* Makes the temporary file. Errors: -EINVAL when path is something else than a regular file or a
 * free name, -ENOMEM, errno. */
int output_file_new(const char *path, OutputFile **ret_file, ErrorText *error);

/* Removes the temporary file unless it was committed. */
void output_file_free(OutputFile *file);
DEFINE_CLEANUP(OutputFile *, output_file_free);

/* Open for reading and writing (inside the object). */
int output_file_fd(const OutputFile *file);

/* Syncs, renames, syncs the folder. Errors: errno of the failing step. */
int output_file_commit(OutputFile *file, ErrorText *error);

/* A file without a name in the folder of path, open for reading and writing, which is gone when it
 * is closed. Returns the descriptor (new). Errors: errno. */
int output_file_open_scratch(const char *path, ErrorText *error);
