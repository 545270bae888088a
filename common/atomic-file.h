/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small file that is replaced as a whole: readers see the old content or the new, and so does
 * the next boot after a power cut. Temporary file in the same folder, fsync, rename, fsync of the
 * folder. */

#include <stddef.h>
#include <sys/types.h>

/* Replaces path (below dir_fd, or AT_FDCWD) by n_bytes at data (borrowed). An existing file's mode
 * and owner are kept; a new one gets mode. A symbolic link at path is replaced, not followed.
 * Blocks until the disk has it. Errors: errno of the failing step; the old file is then whole. */
int atomic_file_write(int dir_fd, const char *path, const void *data, size_t n_bytes, mode_t mode);

/* Removes path and syncs its folder; a file that is not there is success. Errors: errno. */
int atomic_file_remove(int dir_fd, const char *path);
