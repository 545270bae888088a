/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One copy of a GUID partition table (UEFI 2.10 section 5.3): checked, read and made in memory.
 * Pure: no input or output, no memory of its own, nothing of libc but memcpy, memset and memcmp;
 * the boot chooser is made of the same code. */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "partitions/guid.h"
#include "partitions/lba.h"

#define GPT_PRIMARY_LBA 1
#define GPT_ENTRY_MIN_BYTES 128
#define GPT_ENTRY_MAX_BYTES 4096
#define GPT_ENTRIES_MAX_BYTES (1024 * 1024) /* ours: 64 times what is usual */
#define GPT_SECTOR_MAX_BYTES 4096
#define GPT_NAME_UNITS 36
#define GPT_LABEL_BYTES 109 /* a name as UTF-8, and a NUL */

typedef struct __attribute__((packed)) {
    uint8_t signature[8]; /* "EFI PART" */
    Le32 revision;
    Le32 header_bytes;
    Le32 header_crc; /* of header_bytes, itself as zero */
    Le32 reserved;
    Le64 my_lba;
    Le64 alternate_lba; /* of the other copy's header */
    Le64 first_usable_lba;
    Le64 last_usable_lba;
    Guid disk;
    Le64 entries_lba;
    Le32 n_entries;
    Le32 entry_bytes;
    Le32 entries_crc;
} GptRawHeader;
static_assert(sizeof(GptRawHeader) == 92, "UEFI 2.10 table 5.5");
static_assert(offsetof(GptRawHeader, my_lba) == 24, "UEFI 2.10 table 5.5");
static_assert(offsetof(GptRawHeader, disk) == 56, "UEFI 2.10 table 5.5");
static_assert(offsetof(GptRawHeader, entries_crc) == 88, "UEFI 2.10 table 5.5");

typedef struct __attribute__((packed)) {
    Guid type; /* zero: the entry is not used */
    Guid unique;
    Le64 first_lba;
    Le64 last_lba; /* inclusive */
    Le64 attributes;
    Le16 name[GPT_NAME_UNITS]; /* UTF-16 */
} GptEntry;
static_assert(sizeof(GptEntry) == 128, "UEFI 2.10 table 5.6");
static_assert(offsetof(GptEntry, attributes) == 48, "UEFI 2.10 table 5.6");
static_assert(offsetof(GptEntry, name) == 56, "UEFI 2.10 table 5.6");

/* What is wrong with a copy, in the order in which it is looked for. */
typedef enum {
    GPT_VALID,
    GPT_UNREADABLE, /* for those who read: the device failed */
    GPT_NO_SIGNATURE,
    GPT_BAD_REVISION,
    GPT_BAD_HEADER_SIZE,
    GPT_BAD_HEADER_CRC,
    GPT_BAD_MY_LBA,
    GPT_BAD_ALTERNATE_LBA,
    GPT_BAD_USABLE_LBAS,
    GPT_BAD_ENTRY_SIZE,
    GPT_BAD_ENTRY_COUNT,
    GPT_BAD_ENTRIES_LBA,
    GPT_BAD_ENTRIES_CRC,
    GPT_ENTRY_OUTSIDE,
    GPT_ENTRIES_OVERLAP,
    GPT_MISPLACED, /* for those who read: valid, but not in the disk's last sector */
} GptFault;

typedef struct {
    uint32_t sector_bytes; /* 512 to GPT_SECTOR_MAX_BYTES, a power of two */
    uint64_t n_sectors;
} GptGeometry;

/* A header whose every field holds, but for the CRC of the entries. */
typedef struct {
    GptGeometry geometry;
    Lba my, alternate;
    Lba first_usable, last_usable;
    Lba entries;
    uint32_t header_bytes;
    uint32_t n_entries;
    uint32_t entry_bytes;
    uint32_t entries_crc;
    Guid disk;
} GptHeader;

/* Half a line that follows "the copy ...": "has a wrong checksum"; static. */
const char *gpt_fault_text(GptFault fault);

/* CRC-32 of ISO 3309, as the GPT uses it. */
uint32_t gpt_crc32(const void *data, size_t n_bytes);

/* Checks the header in sector (geometry.sector_bytes, borrowed), which was read at `at`:
 * GPT_PRIMARY_LBA for the primary, anything else is a backup. *ret_header is set for GPT_VALID. */
GptFault gpt_header_parse(
        const GptGeometry *geometry, Lba at, const void *sector, GptHeader *ret_header);

/* The size of the array of entries: in bytes, and in the sectors that hold it. */
size_t gpt_entries_bytes(const GptHeader *header);
uint64_t gpt_entries_sectors(const GptHeader *header);

/* Checks the array (gpt_entries_bytes(), borrowed). *ret_entry is the index of the entry that is
 * at fault, for GPT_ENTRY_OUTSIDE and GPT_ENTRIES_OVERLAP. */
GptFault gpt_entries_check(const GptHeader *header, const void *entries, uint32_t *ret_entry);

/* The entry of an index below n_entries, inside entries. */
const GptEntry *gpt_entry(const GptHeader *header, const void *entries, uint32_t index);

bool gpt_entry_is_used(const GptEntry *entry);

/* The name as UTF-8; '?' stands for what is not printable or no UTF-16. */
void gpt_entry_label(const GptEntry *entry, char ret_label[static GPT_LABEL_BYTES]);

/* Puts the attributes of an entry; every other byte stays. The header must be made anew. */
void gpt_entry_set_attributes(
        const GptHeader *header, void *entries, uint32_t index, uint64_t attributes);

/* Whether an array of `header`'s size at `entries` lies where that copy's must: between the
 * primary header and the first usable sector, or between the last one and the backup header. */
bool gpt_entries_fit(const GptHeader *header, Lba my, Lba entries);

/* Makes a header sector out of a valid one (`sector`, of either copy): everything as there, but its
 * own place, the other copy's and the entries' as given, and the checksums of `entries` and of
 * itself. */
void gpt_header_make(const GptHeader *header, const void *sector, Lba my, Lba alternate,
        Lba entries_lba, const void *entries, void *ret_sector);
