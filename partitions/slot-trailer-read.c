/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-trailer-read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "partitions/slot-reader.h"

int slot_trailer_read_at(int fd, uint64_t offset_bytes, uint64_t slot_bytes,
        TrailerFault *ret_fault, SlotTrailer *ret_trailer)
{
    if (slot_bytes < SLOT_TRAILER_BYTES) {
        *ret_fault = TRAILER_ABSENT;
        return 0;
    }
    _cleanup_free_ void *block = aligned_alloc(SLOT_TRAILER_BYTES, SLOT_TRAILER_BYTES);
    if (!block)
        return -ENOMEM;
    int r = fd_pread_full(
            fd, block, SLOT_TRAILER_BYTES, offset_bytes + slot_bytes - SLOT_TRAILER_BYTES);
    if (r < 0)
        return r;
    *ret_fault = slot_trailer_parse(block, slot_bytes, ret_trailer);
    return 0;
}

int slot_trailer_read(const SlotDisk *disk, size_t slot, TrailerFault *ret_fault,
        SlotTrailer *ret_trailer, ErrorText *error)
{
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    size_t n_slots;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    int r = slot_reader_open(disk, slot, &fd, &offset_bytes, error);
    if (r < 0)
        return r;
    r = slot_trailer_read_at(fd, offset_bytes, slots[slot].size_bytes, ret_fault, ret_trailer);
    if (r < 0)
        return error_say(
                error, r, "the end of %s cannot be read: %s", slots[slot].label, strerror(-r));
    return 0;
}
