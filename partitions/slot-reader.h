/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading a slot from the device and not from the page cache (promise 3). All calls block. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"
#include "partitions/slot-disk.h"

/* Opens a slot with O_DIRECT, or, where that is refused (tmpfs, odd sector sizes), for ordinary
 * reads after its page cache was dropped. *ret_fd is new; the slot begins at *ret_offset_bytes.
 * Errors: errno. */
int slot_reader_open(const SlotDisk *disk, size_t slot, int *ret_fd, uint64_t *ret_offset_bytes,
        ErrorText *error);

/* Adds n_bytes at offset_bytes of fd to a running hash, in bounded memory. The block of 4096 bytes
 * in which they end is read whole; offset_bytes is a multiple of 4096 from where the slot begins.
 * n_bytes_done (may be NULL) advances; is_cancelled (may be NULL) is looked at every MiB.
 * Errors: -ECANCELED, -ENOMEM, errno of read. */
int slot_reader_hash(int fd, uint64_t offset_bytes, uint64_t n_bytes, Sha256Stream *stream,
        _Atomic uint64_t *n_bytes_done, const atomic_bool *is_cancelled);
