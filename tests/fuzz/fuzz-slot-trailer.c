/* SPDX-License-Identifier: Apache-2.0 */

/* The block that ends a slot, out of any bytes. Of what is accepted, every part lies in its order
 * inside the slot, and made again it is the same block.
 *
 * The first byte: bit 0 the checksum is made right first, so that what is behind it is reached; bit
 * 1 the magic as well. Eight bytes: the size of the slot, little-endian. The rest is the block,
 * with zeros behind. */

#include <stdlib.h>
#include <string.h>

#include "partitions/slot-trailer.h"
#include "tests/fuzz/fuzz.h"

#define HEAD_BYTES 9

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void seal(uint8_t *block)
{
    Sha256 sum = sha256_of(block, offsetof(SlotTrailerRaw, sha256));
    memcpy(block + offsetof(SlotTrailerRaw, sha256), sum.bytes, SHA256_BYTES);
}

/* The part lies between begin and end, on a block; *begin is then behind it. */
static void check_part(uint64_t *begin, uint64_t end, uint64_t offset, uint64_t n_bytes)
{
    require(offset % SLOT_TRAILER_ALIGNMENT == 0 && offset >= *begin && offset <= end);
    require(n_bytes <= end - offset);
    *begin = offset + n_bytes;
}

static void check_text(const char *text)
{
    size_t n = strnlen(text, SLOT_TRAILER_TEXT_BYTES);
    require(n > 0 && n < SLOT_TRAILER_TEXT_BYTES);
    for (size_t i = 0; i < n; i++)
        require(text[i] >= ' ' && text[i] <= '~');
}

static void check_accepted(const SlotTrailer *trailer, uint64_t slot_bytes)
{
    uint64_t begin = 0, end = slot_bytes - SLOT_TRAILER_BYTES;
    require(trailer->fs_bytes > 0);
    check_part(&begin, end, 0, trailer->fs_bytes);
    if (trailer->tree_bytes > 0)
        check_part(&begin, end, trailer->tree_offset, trailer->tree_bytes);
    if (trailer->uki_bytes > 0)
        check_part(&begin, end, trailer->uki_offset, trailer->uki_bytes);
    require(trailer->uki_bytes <= SLOT_TRAILER_UKI_MAX_BYTES);
    require(trailer->n_salt_bytes <= SLOT_TRAILER_SALT_MAX_BYTES);
    check_text(trailer->product);
    check_text(trailer->version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < HEAD_BYTES || n_bytes > HEAD_BYTES + SLOT_TRAILER_BYTES)
        return -1;
    uint8_t block[SLOT_TRAILER_BYTES] = {0}, again[SLOT_TRAILER_BYTES];
    SlotTrailer trailer, untouched;
    Le64 slot_bytes;
    memcpy(&slot_bytes, data + 1, sizeof(slot_bytes));
    memcpy(block, data + HEAD_BYTES, n_bytes - HEAD_BYTES);
    if (data[0] & 2)
        memcpy(block, "FlipsideSlot\r\n\x1a\n", 16);
    if (data[0] & 1)
        seal(block);
    memset(&trailer, 0xa5, sizeof(trailer));
    memcpy(&untouched, &trailer, sizeof(trailer));

    TrailerFault fault = slot_trailer_parse(block, le64_get(slot_bytes), &trailer);
    require(slot_trailer_fault_text(fault)[0]);
    if (fault != TRAILER_VALID) {
        require(memcmp(&trailer, &untouched, sizeof(trailer)) == 0);
        return 0;
    }
    check_accepted(&trailer, le64_get(slot_bytes));
    slot_trailer_make(&trailer, again);
    require(memcmp(block, again, sizeof(block)) == 0);
    return 0;
}
