/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A slot describes itself: the last 4096 bytes of its partition say what is before them.
 *
 *     | file system | hash tree | UKI (optional) | nothing | trailer |
 *
 * Little-endian; the struct below is the format. The trailer vouches for nothing by itself: its
 * checksum finds damage, not malice. An update's trailer is part of the signed image; the kernel's
 * command line, which is part of the signed UKI, has the root hash that counts at boot.
 *
 * Pure: no input or output, no memory of its own, nothing of libc but memcpy, memset, memcmp; the
 * boot chooser is made of the same code. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/sha256.h"

#define SLOT_TRAILER_BYTES 4096
#define SLOT_TRAILER_ALIGNMENT 4096 /* of every offset, and of file system and tree sizes */
#define SLOT_TRAILER_SALT_MAX_BYTES 32
#define SLOT_TRAILER_TEXT_BYTES 128           /* with at least one NUL */
#define SLOT_TRAILER_UKI_MAX_BYTES (1U << 30) /* what a chooser would load into memory */

typedef struct __attribute__((packed)) {
    uint8_t magic[16]; /* "FlipsideSlot\r\n\x1a\n" */
    Le32 format;       /* 1 */
    Le32 n_salt_bytes;
    Le64 fs_bytes; /* the file system lies at offset 0; what the tree hashes */
    Le64 tree_offset;
    Le64 tree_bytes; /* 0: no tree, and tree_offset, root_hash and salt are zero */
    Le64 uki_offset;
    Le64 uki_bytes; /* 0: no UKI, and uki_offset and uki_sha256 are zero */
    uint8_t salt[SLOT_TRAILER_SALT_MAX_BYTES];
    uint8_t root_hash[SHA256_BYTES]; /* of dm-verity, format 1, sha256, blocks of 4096 bytes */
    uint8_t uki_sha256[SHA256_BYTES];
    char product[SLOT_TRAILER_TEXT_BYTES];
    char version[SLOT_TRAILER_TEXT_BYTES];
    uint8_t reserved[3648];       /* zero */
    uint8_t sha256[SHA256_BYTES]; /* of all before */
} SlotTrailerRaw;
static_assert(sizeof(SlotTrailerRaw) == SLOT_TRAILER_BYTES, "one block");
static_assert(offsetof(SlotTrailerRaw, salt) == 64, "the format");
static_assert(offsetof(SlotTrailerRaw, product) == 160, "the format");
static_assert(offsetof(SlotTrailerRaw, sha256) == 4064, "the format");

/* A trailer in which everything holds: the parts are in order, aligned, do not overlap, and end
 * before the trailer. Offsets and sizes in bytes from the start of the slot. */
typedef struct {
    uint64_t fs_bytes;
    uint64_t tree_offset, tree_bytes;
    uint64_t uki_offset, uki_bytes;
    uint8_t salt[SLOT_TRAILER_SALT_MAX_BYTES];
    size_t n_salt_bytes;
    Sha256 root_hash;
    Sha256 uki_sha256;
    char product[SLOT_TRAILER_TEXT_BYTES]; /* printable ASCII, not empty */
    char version[SLOT_TRAILER_TEXT_BYTES]; /* printable ASCII, not empty */
} SlotTrailer;

/* What is wrong with a trailer, in the order in which it is looked for. */
typedef enum {
    TRAILER_VALID,
    TRAILER_ABSENT, /* no magic: a slot of another kind, not a fault */
    TRAILER_BAD_CHECKSUM,
    TRAILER_BAD_FORMAT, /* a number that we do not know */
    TRAILER_BAD_TREE,   /* the file system's or the tree's size or place, or the salt */
    TRAILER_BAD_UKI,
    TRAILER_BAD_TEXT,
    TRAILER_BAD_RESERVED,
} TrailerFault;

/* Half a line that follows "its trailer ...": "has a wrong checksum"; static. */
const char *slot_trailer_fault_text(TrailerFault fault);

/* Checks the block (SLOT_TRAILER_BYTES, borrowed) that ends a slot of slot_bytes. The tree's size
 * must be what dm-verity's layout makes of fs_bytes. *ret_trailer is set for TRAILER_VALID. */
TrailerFault slot_trailer_parse(const void *block, uint64_t slot_bytes, SlotTrailer *ret_trailer);

/* Writes SLOT_TRAILER_BYTES to ret_block. What it makes, slot_trailer_parse() takes, for every slot
 * of at least *trailer's parts and itself; the caller sees to that by parsing it. */
void slot_trailer_make(const SlotTrailer *trailer, void *ret_block);
