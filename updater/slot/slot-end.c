/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-end.h"

#include <stdalign.h>
#include <string.h>

#include "common/fd-io.h"
#include "partitions/slot-trailer.h"
#include "verity/hash-tree.h"

int slot_end_clear(InstallTarget *target)
{
    uint64_t slot_bytes = install_target_slot(target)->size_bytes;
    if (slot_bytes < SLOT_TRAILER_BYTES)
        return 0;
    return install_target_zero(target, slot_bytes - SLOT_TRAILER_BYTES, SLOT_TRAILER_BYTES);
}

static UpdateError cannot_read(int r, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_VERIFIER_IO, "the slot's end cannot be read back: %s",
            strerror(-r));
}

/* The block that ends at end_bytes of the slot; zeros where there is none. Reads in whole blocks of
 * the slot, as O_DIRECT wants it. */
static int read_block(
        int fd, uint64_t offset_bytes, uint64_t end_bytes, uint8_t ret_block[SLOT_TRAILER_BYTES])
{
    alignas(SLOT_TRAILER_BYTES) uint8_t blocks[2 * SLOT_TRAILER_BYTES];
    if (end_bytes < SLOT_TRAILER_BYTES) {
        memset(ret_block, 0, SLOT_TRAILER_BYTES);
        return 0;
    }
    size_t n_over = end_bytes % SLOT_TRAILER_BYTES;
    uint64_t from_bytes = end_bytes - SLOT_TRAILER_BYTES - n_over;
    size_t n_bytes = n_over > 0 ? sizeof(blocks) : SLOT_TRAILER_BYTES;
    int r = fd_pread_full(fd, blocks, n_bytes, offset_bytes + from_bytes);
    if (r == 0)
        memcpy(ret_block, blocks + n_over, SLOT_TRAILER_BYTES);
    return r;
}

UpdateError slot_end_write(
        InstallTarget *target, const PartitionUpdate *partition, ErrorText *error)
{
    uint8_t block[SLOT_TRAILER_BYTES];
    uint64_t slot_bytes = install_target_slot(target)->size_bytes, offset_bytes;
    uint64_t n_room = slot_bytes - partition->size_bytes; /* it was checked to fit */
    int fd = install_target_fd(target, &offset_bytes);
    SlotTrailer trailer;
    if (n_room == 0)
        return UPDATE_OK;
    int r = read_block(fd, offset_bytes, partition->size_bytes, block);
    if (r < 0)
        return cannot_read(r, error);
    bool has_trailer = slot_trailer_parse(block, slot_bytes, &trailer) != TRAILER_ABSENT;
    if (!has_trailer && n_room < SLOT_TRAILER_BYTES)
        return UPDATE_OK; /* the image itself has overwritten the old one */
    if (n_room < SLOT_TRAILER_BYTES)
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "%s has no room for the trailer behind the image: it has to be as large as the "
                "image, or by %d bytes larger",
                install_target_slot(target)->label, SLOT_TRAILER_BYTES);
    if (!has_trailer)
        memset(block, 0, sizeof(block));
    r = install_target_write(target, slot_bytes - sizeof(block), block, sizeof(block));
    return r == 0 ? UPDATE_OK
                  : error_say(error, UPDATE_ERROR_WRITE, "the slot's end cannot be written: %s",
                            strerror(-r));
}

static bool has_tree_of(const SlotTrailer *trailer, const PartitionUpdate *partition)
{
    const VerityParameters *verity = &partition->verity;
    return trailer->fs_bytes == verity->n_data_blocks * VERITY_BLOCK_BYTES &&
           trailer->tree_offset == partition->tree_start_block * VERITY_BLOCK_BYTES &&
           trailer->n_salt_bytes == verity->n_salt_bytes &&
           memcmp(trailer->salt, verity->salt, verity->n_salt_bytes) == 0 &&
           sha256_equal(&trailer->root_hash, &partition->root_hash);
}

static UpdateError check_trailer(const SlotTrailer *trailer, const Manifest *manifest,
        const PartitionUpdate *partition, ErrorText *error)
{
    if (manifest->format != 1 && (strcmp(trailer->product, manifest->product) != 0 ||
                                         strcmp(trailer->version, manifest->version) != 0))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload says that it is %s %s, and the trailer of its image says %s %s",
                manifest->product, manifest->version, trailer->product, trailer->version);
    if (partition->has_verity && !has_tree_of(trailer, partition))
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload and the trailer of its image describe different hash trees");
    return UPDATE_OK;
}

UpdateError slot_end_check(InstallTarget *target, const Manifest *manifest,
        const PartitionUpdate *partition, ErrorText *error)
{
    uint8_t of_image[SLOT_TRAILER_BYTES], of_slot[SLOT_TRAILER_BYTES];
    uint64_t slot_bytes = install_target_slot(target)->size_bytes, offset_bytes;
    _cleanup_close_ int fd = -1;
    SlotTrailer trailer;
    ErrorText reason = {0};
    if (install_target_open_direct(target, &fd, &offset_bytes, &reason) < 0)
        return error_say(error, UPDATE_ERROR_VERIFIER_IO, "%s", reason.line);
    int r = read_block(fd, offset_bytes, partition->size_bytes, of_image);
    if (r == 0)
        r = read_block(fd, offset_bytes, slot_bytes, of_slot);
    if (r < 0)
        return cannot_read(r, error);
    switch (slot_trailer_parse(of_image, slot_bytes, &trailer)) {
    case TRAILER_VALID:
        if (memcmp(of_image, of_slot, sizeof(of_slot)) != 0)
            return error_say(error, UPDATE_ERROR_VERIFIER_IO,
                    "the trailer at the slot's end reads back as something else");
        return check_trailer(&trailer, manifest, partition, error);
    case TRAILER_ABSENT:
        if (slot_trailer_parse(of_slot, slot_bytes, &trailer) != TRAILER_ABSENT)
            return error_say(error, UPDATE_ERROR_VERIFIER_IO,
                    "the slot's end still reads back as the trailer of what it held before");
        return UPDATE_OK;
    case TRAILER_BAD_CHECKSUM:
    case TRAILER_BAD_FORMAT:
    case TRAILER_BAD_TREE:
    case TRAILER_BAD_UKI:
    case TRAILER_BAD_TEXT:
    case TRAILER_BAD_RESERVED:
        break;
    }
    return error_say(error, UPDATE_ERROR_MANIFEST,
            "what the payload holds cannot boot: the trailer at its end is damaged");
}
