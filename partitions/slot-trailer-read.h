/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The trailer of a slot, read from where it lies. All calls block. */

#include <stdint.h>

#include "common/error-text.h"
#include "partitions/slot-disk.h"
#include "partitions/slot-trailer.h"

/* Reads and checks the block that ends a slot, from the device and not from the page cache where
 * that can be. *ret_trailer is set for TRAILER_VALID. Errors: errno of open and read; in error. */
int slot_trailer_read(const SlotDisk *disk, size_t slot, TrailerFault *ret_fault,
        SlotTrailer *ret_trailer, ErrorText *error);

/* The same of a slot of slot_bytes that begins at offset_bytes of fd, which may be one for O_DIRECT
 * (slot-reader.h), and of an image that is shorter than its slot: its own trailer ends it.
 * Errors: -ENOMEM, errno of read. */
int slot_trailer_read_at(int fd, uint64_t offset_bytes, uint64_t slot_bytes,
        TrailerFault *ret_fault, SlotTrailer *ret_trailer);
