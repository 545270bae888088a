/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole reads and writes at a place of a file or device; short ones are continued, EINTR is
 * repeated. All of these block. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads exactly n_bytes at offset_bytes. Errors: -EIO when the file ends before, else errno. */
int fd_pread_full(int fd, void *ret_data, size_t n_bytes, uint64_t offset_bytes);

/* Writes exactly n_bytes at offset_bytes. Errors: errno, -EIO when nothing can be written. */
int fd_pwrite_full(int fd, const void *data, size_t n_bytes, uint64_t offset_bytes);

/* Writes exactly n_bytes at the current position. Errors: as above. */
int fd_write_full(int fd, const void *data, size_t n_bytes);

/* The size in bytes of a regular file or a block device.
 * Errors: -ENOTBLK when it is neither, else errno. */
int fd_size_bytes(int fd, uint64_t *ret_size_bytes);

/* Reads a whole regular file of at most max_bytes below dir_fd (AT_FDCWD for a plain path).
 * *ret_data is new, has a NUL after its *ret_n_bytes.
 * Errors: -EFBIG when it is longer, -ENOMEM, errno of open and read. */
int fd_read_file(
        int dir_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_n_bytes);

/* Makes the folders that path lies in, below dir_fd (AT_FDCWD for a plain path), as far as they are
 * not there; those are not on the disk yet. Errors: -ENOMEM, errno of mkdir. */
int fd_make_parents(int dir_fd, const char *path);
