/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/superblock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/fd-io.h"

typedef struct __attribute__((packed)) {
    uint8_t signature[8];
    Le32 version;
    Le32 hash_type;
    uint8_t uuid[VERITY_UUID_BYTES];
    char algorithm[32]; /* filled up with NULs */
    Le32 data_block_bytes;
    Le32 hash_block_bytes;
    Le64 n_data_blocks;
    Le16 n_salt_bytes;
    uint8_t reserved1[6];
    uint8_t salt[256];
    uint8_t reserved2[168];
} Record;

static_assert(offsetof(Record, algorithm) == 32, "the format's offsets");
static_assert(offsetof(Record, n_data_blocks) == 72, "the format's offsets");
static_assert(offsetof(Record, salt) == 88, "the format's offsets");
static_assert(sizeof(Record) == 512, "the format's size");

static const uint8_t signature[8] = "verity\0";
static const char algorithm[32] = "sha256";

int verity_superblock_encode(const VeritySuperblock *superblock, void *ret_block)
{
    VerityLayout layout;
    const VerityParameters *parameters = &superblock->parameters;
    if (verity_layout_compute(parameters, &layout) < 0)
        return -EINVAL;

    Record record = {
            .version = le32(1),
            .hash_type = le32(1),
            .data_block_bytes = le32(VERITY_BLOCK_BYTES),
            .hash_block_bytes = le32(VERITY_BLOCK_BYTES),
            .n_data_blocks = le64(parameters->n_data_blocks),
            .n_salt_bytes = le16((uint16_t)parameters->n_salt_bytes),
    };
    memcpy(record.signature, signature, sizeof(signature));
    memcpy(record.uuid, superblock->uuid, sizeof(record.uuid));
    memcpy(record.algorithm, algorithm, sizeof(algorithm));
    memcpy(record.salt, parameters->salt, parameters->n_salt_bytes);
    memset(ret_block, 0, VERITY_SUPERBLOCK_BYTES);
    memcpy(ret_block, &record, sizeof(record));
    return 0;
}

/* What is not as our trees have it, in words, or NULL. */
static const char *find_fault(const Record *record)
{
    if (memcmp(record->signature, signature, sizeof(signature)) != 0)
        return "there is none here";
    if (le32_get(record->version) != 1)
        return "its version is not 1";
    if (le32_get(record->hash_type) != 1)
        return "its hash type is not 1";
    if (memcmp(record->algorithm, algorithm, sizeof(algorithm)) != 0)
        return "its algorithm is not sha256";
    if (le32_get(record->data_block_bytes) != VERITY_BLOCK_BYTES ||
            le32_get(record->hash_block_bytes) != VERITY_BLOCK_BYTES)
        return "its blocks are not 4096 bytes long";
    if (le16_get(record->n_salt_bytes) > VERITY_SALT_MAX_BYTES)
        return "its salt is longer than 32 bytes";
    uint64_t n_data_blocks = le64_get(record->n_data_blocks);
    if (n_data_blocks == 0 || n_data_blocks > VERITY_DATA_BLOCKS_MAX)
        return "its count of data blocks is impossible";
    return NULL;
}

int verity_superblock_parse(const void *block, VeritySuperblock *ret_superblock, ErrorText *error)
{
    Record record;
    memcpy(&record, block, sizeof(record));
    const char *fault = find_fault(&record);
    if (fault)
        return error_say(error, -EBADMSG, "verity superblock: %s", fault);

    VeritySuperblock superblock = {
            .parameters.n_data_blocks = le64_get(record.n_data_blocks),
            .parameters.n_salt_bytes = le16_get(record.n_salt_bytes),
    };
    memcpy(superblock.parameters.salt, record.salt, superblock.parameters.n_salt_bytes);
    memcpy(superblock.uuid, record.uuid, sizeof(superblock.uuid));
    *ret_superblock = superblock;
    return 0;
}

int verity_superblock_write(VerityRegion region, const VeritySuperblock *superblock)
{
    _cleanup_free_ void *block = aligned_alloc(VERITY_SUPERBLOCK_BYTES, VERITY_SUPERBLOCK_BYTES);
    if (!block)
        return -ENOMEM;
    int r = verity_superblock_encode(superblock, block);
    if (r < 0)
        return r;
    return fd_pwrite_full(region.fd, block, VERITY_SUPERBLOCK_BYTES, region.offset_bytes);
}

int verity_superblock_read(VerityRegion region, VeritySuperblock *ret_superblock, ErrorText *error)
{
    _cleanup_free_ void *block = aligned_alloc(VERITY_SUPERBLOCK_BYTES, VERITY_SUPERBLOCK_BYTES);
    if (!block)
        return -ENOMEM;
    int r = fd_pread_full(region.fd, block, VERITY_SUPERBLOCK_BYTES, region.offset_bytes);
    if (r < 0)
        return error_say(error, r, "cannot read the verity superblock: %s", strerror(-r));
    return verity_superblock_parse(block, ret_superblock, error);
}
