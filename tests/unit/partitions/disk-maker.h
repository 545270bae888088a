/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Disks for tests, made in memory by code that shares nothing with what is tested: any sector
 * size, any size and count of entries, and any damage. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "partitions/guid.h"

typedef struct {
    const char *label; /* ASCII */
    unsigned priority, tries;
    bool successful;
    bool is_other_type;  /* no slot */
    uint64_t attributes; /* further bits */
    uint64_t n_sectors;  /* 0: 16; they follow one another from the first usable sector on */
} DiskPart;

typedef struct {
    uint32_t sector_bytes;        /* 0: 512 */
    uint64_t n_sectors;           /* 0: 240 */
    uint32_t n_entries;           /* 0: 128 */
    uint32_t entry_bytes;         /* 0: 128 */
    uint32_t header_bytes;        /* 0: 92; the rest is filled with a pattern */
    uint64_t primary_entries_lba; /* 0: 2 */
    DiskPart parts[20];           /* ends with a NULL label */
} DiskPlan;

typedef struct {
    DiskPlan plan;
    uint8_t *data;
    size_t n_bytes;
} MadeDisk;

/* Makes the disk; disk_unmake() frees it. Unused entries and fields hold no zeros where the
 * standard leaves room for others' bits. */
void disk_make(const DiskPlan *plan, MadeDisk *ret_disk);
void disk_unmake(MadeDisk *disk);

/* The sector of a header, and of the first entry. */
uint64_t disk_header_lba(const MadeDisk *disk, bool is_backup);
uint64_t disk_entries_lba(const MadeDisk *disk, bool is_backup);

/* Into the bytes of a copy. */
uint8_t *disk_header(MadeDisk *disk, bool is_backup);
uint8_t *disk_entry(MadeDisk *disk, bool is_backup, uint32_t index);

/* Makes the checksums of a copy right again after a test changed its bytes. */
void disk_seal(MadeDisk *disk, bool is_backup);

/* Turns some of its bits. */
void disk_damage_header(MadeDisk *disk, bool is_backup);
void disk_damage_entries(MadeDisk *disk, bool is_backup);

void disk_put32(uint8_t *at, uint32_t value);
void disk_put64(uint8_t *at, uint64_t value);

/* Writes it to a new file in a new folder; the path is static until the next call. */
const char *disk_save(const MadeDisk *disk);
