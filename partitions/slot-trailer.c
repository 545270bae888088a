/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-trailer.h"

#include <string.h>

#define FORMAT 1
#define DIGESTS_PER_BLOCK (SLOT_TRAILER_ALIGNMENT / SHA256_BYTES)

static const uint8_t magic[16] = {
        'F', 'l', 'i', 'p', 's', 'i', 'd', 'e', 'S', 'l', 'o', 't', '\r', '\n', 0x1a, '\n'};

const char *slot_trailer_fault_text(TrailerFault fault)
{
    switch (fault) {
    case TRAILER_VALID:
        return "is valid";
    case TRAILER_ABSENT:
        return "is not there";
    case TRAILER_BAD_CHECKSUM:
        return "has a wrong checksum";
    case TRAILER_BAD_FORMAT:
        return "is of an unknown format";
    case TRAILER_BAD_TREE:
        return "describes a file system or hash tree that cannot be";
    case TRAILER_BAD_UKI:
        return "describes a kernel image that cannot be";
    case TRAILER_BAD_TEXT:
        return "has no proper product and version";
    case TRAILER_BAD_RESERVED:
        return "holds something where it must be empty";
    }
    return "is damaged";
}

/* The bytes of a hash tree over n_blocks (the kernel's Documentation/admin-guide/device-mapper/
 * verity.rst): level by level up to a single block; none over a single block of data. */
static uint64_t tree_bytes_of(uint64_t n_blocks)
{
    uint64_t n_tree_blocks = 0;
    while (n_blocks > 1) {
        n_blocks = u64_div_round_up(n_blocks, DIGESTS_PER_BLOCK);
        n_tree_blocks += n_blocks;
    }
    return n_tree_blocks * SLOT_TRAILER_ALIGNMENT;
}

static bool is_aligned(uint64_t n)
{
    return n % SLOT_TRAILER_ALIGNMENT == 0;
}

/* content_bytes: of the slot, without the trailer. Sets *ret_end to the end of the parts. */
static bool check_tree(const SlotTrailerRaw *raw, uint64_t content_bytes, uint64_t *ret_end)
{
    uint64_t fs = le64_get(raw->fs_bytes), at = le64_get(raw->tree_offset);
    uint64_t n = le64_get(raw->tree_bytes);
    size_t n_salt = le32_get(raw->n_salt_bytes);
    if (fs == 0 || !is_aligned(fs) || fs > content_bytes || n_salt > sizeof(raw->salt) ||
            !bytes_are_zero(raw->salt + n_salt, sizeof(raw->salt) - n_salt))
        return false;
    if (n == 0) {
        *ret_end = fs;
        return at == 0 && n_salt == 0 && bytes_are_zero(raw->root_hash, sizeof(raw->root_hash));
    }
    if (!is_aligned(at) || at < fs || n != tree_bytes_of(fs / SLOT_TRAILER_ALIGNMENT))
        return false;
    return u64_add(at, n, ret_end) && *ret_end <= content_bytes;
}

static bool check_uki(const SlotTrailerRaw *raw, uint64_t content_bytes, uint64_t parts_end)
{
    uint64_t at = le64_get(raw->uki_offset), n = le64_get(raw->uki_bytes), end;
    if (n == 0)
        return at == 0 && bytes_are_zero(raw->uki_sha256, sizeof(raw->uki_sha256));
    return is_aligned(at) && at >= parts_end && n <= SLOT_TRAILER_UKI_MAX_BYTES &&
           u64_add(at, n, &end) && end <= content_bytes;
}

/* Printable ASCII, ended by zeros alone: it is shown on consoles and in messages as it is. */
static bool check_text(const char *text)
{
    size_t n = 0;
    while (n < SLOT_TRAILER_TEXT_BYTES && text[n] >= 0x20 && text[n] <= 0x7e)
        n++;
    return n > 0 && n < SLOT_TRAILER_TEXT_BYTES &&
           bytes_are_zero(text + n, SLOT_TRAILER_TEXT_BYTES - n);
}

TrailerFault slot_trailer_parse(const void *block, uint64_t slot_bytes, SlotTrailer *ret_trailer)
{
    const SlotTrailerRaw *raw = block;
    Sha256 sum = sha256_of(block, offsetof(SlotTrailerRaw, sha256));
    uint64_t parts_end;

    if (slot_bytes < SLOT_TRAILER_BYTES || memcmp(raw->magic, magic, sizeof(magic)) != 0)
        return TRAILER_ABSENT;
    if (memcmp(sum.bytes, raw->sha256, sizeof(raw->sha256)) != 0)
        return TRAILER_BAD_CHECKSUM;
    if (le32_get(raw->format) != FORMAT)
        return TRAILER_BAD_FORMAT;
    uint64_t content_bytes = slot_bytes - SLOT_TRAILER_BYTES;
    if (!check_tree(raw, content_bytes, &parts_end))
        return TRAILER_BAD_TREE;
    if (!check_uki(raw, content_bytes, parts_end))
        return TRAILER_BAD_UKI;
    if (!check_text(raw->product) || !check_text(raw->version))
        return TRAILER_BAD_TEXT;
    if (!bytes_are_zero(raw->reserved, sizeof(raw->reserved)))
        return TRAILER_BAD_RESERVED;

    SlotTrailer trailer = {
            .fs_bytes = le64_get(raw->fs_bytes),
            .tree_offset = le64_get(raw->tree_offset),
            .tree_bytes = le64_get(raw->tree_bytes),
            .uki_offset = le64_get(raw->uki_offset),
            .uki_bytes = le64_get(raw->uki_bytes),
            .n_salt_bytes = le32_get(raw->n_salt_bytes),
    };
    memcpy(trailer.salt, raw->salt, sizeof(trailer.salt));
    memcpy(trailer.root_hash.bytes, raw->root_hash, sizeof(raw->root_hash));
    memcpy(trailer.uki_sha256.bytes, raw->uki_sha256, sizeof(raw->uki_sha256));
    memcpy(trailer.product, raw->product, sizeof(trailer.product));
    memcpy(trailer.version, raw->version, sizeof(trailer.version));
    *ret_trailer = trailer;
    return TRAILER_VALID;
}

void slot_trailer_make(const SlotTrailer *trailer, void *ret_block)
{
    SlotTrailerRaw raw;
    memset(&raw, 0, sizeof(raw));
    memcpy(raw.magic, magic, sizeof(magic));
    raw.format = le32(FORMAT);
    raw.n_salt_bytes = le32((uint32_t)trailer->n_salt_bytes);
    raw.fs_bytes = le64(trailer->fs_bytes);
    raw.tree_offset = le64(trailer->tree_offset);
    raw.tree_bytes = le64(trailer->tree_bytes);
    raw.uki_offset = le64(trailer->uki_offset);
    raw.uki_bytes = le64(trailer->uki_bytes);
    memcpy(raw.salt, trailer->salt, sizeof(raw.salt));
    memcpy(raw.root_hash, trailer->root_hash.bytes, sizeof(raw.root_hash));
    memcpy(raw.uki_sha256, trailer->uki_sha256.bytes, sizeof(raw.uki_sha256));
    memcpy(raw.product, trailer->product, sizeof(raw.product));
    memcpy(raw.version, trailer->version, sizeof(raw.version));
    Sha256 sum = sha256_of(&raw, offsetof(SlotTrailerRaw, sha256));
    memcpy(raw.sha256, sum.bytes, sizeof(raw.sha256));
    memcpy(ret_block, &raw, sizeof(raw));
}
