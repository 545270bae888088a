/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/partitions/disk-maker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

enum {
    AT_HEADER_BYTES = 12,
    AT_HEADER_CRC = 16,
    AT_MY_LBA = 24,
    AT_ALTERNATE_LBA = 32,
    AT_FIRST_USABLE = 40,
    AT_LAST_USABLE = 48,
    AT_DISK_GUID = 56,
    AT_ENTRIES_LBA = 72,
    AT_N_ENTRIES = 80,
    AT_ENTRY_BYTES = 84,
    AT_ENTRIES_CRC = 88,
};

static const uint8_t OTHER_TYPE[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79,
        0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}; /* Linux data */

void disk_put32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

void disk_put64(uint8_t *at, uint64_t value)
{
    disk_put32(at, (uint32_t)value);
    disk_put32(at + 4, (uint32_t)(value >> 32));
}

/* By the book, bit by bit. */
static uint32_t crc(const uint8_t *data, size_t n_bytes)
{
    uint32_t remainder = UINT32_MAX;
    for (size_t i = 0; i < n_bytes; i++) {
        remainder ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            remainder = remainder & 1 ? remainder >> 1 ^ 0xedb88320 : remainder >> 1;
    }
    return ~remainder;
}

static uint64_t entries_sectors(const DiskPlan *plan)
{
    uint64_t n_bytes = (uint64_t)plan->n_entries * plan->entry_bytes;
    return (n_bytes + plan->sector_bytes - 1) / plan->sector_bytes;
}

static uint64_t first_usable(const DiskPlan *plan)
{
    return plan->primary_entries_lba + entries_sectors(plan);
}

static uint64_t last_usable(const DiskPlan *plan)
{
    return plan->n_sectors - 2 - entries_sectors(plan);
}

uint64_t disk_header_lba(const MadeDisk *disk, bool is_backup)
{
    return is_backup ? disk->plan.n_sectors - 1 : 1;
}

uint64_t disk_entries_lba(const MadeDisk *disk, bool is_backup)
{
    return is_backup ? last_usable(&disk->plan) + 1 : disk->plan.primary_entries_lba;
}

uint8_t *disk_header(MadeDisk *disk, bool is_backup)
{
    return disk->data + disk_header_lba(disk, is_backup) * disk->plan.sector_bytes;
}

uint8_t *disk_entry(MadeDisk *disk, bool is_backup, uint32_t index)
{
    return disk->data + disk_entries_lba(disk, is_backup) * disk->plan.sector_bytes +
           (size_t)index * disk->plan.entry_bytes;
}

void disk_seal(MadeDisk *disk, bool is_backup)
{
    const DiskPlan *plan = &disk->plan;
    uint8_t *header = disk_header(disk, is_backup);
    disk_put32(header + AT_ENTRIES_CRC,
            crc(disk_entry(disk, is_backup, 0), (size_t)plan->n_entries * plan->entry_bytes));
    disk_put32(header + AT_HEADER_CRC, 0);
    disk_put32(header + AT_HEADER_CRC, crc(header, plan->header_bytes));
}

static void make_entry(MadeDisk *disk, bool is_backup, uint32_t index, uint64_t first)
{
    const DiskPart *part = &disk->plan.parts[index];
    uint8_t *entry = disk_entry(disk, is_backup, index);
    memset(entry, 0, 128);
    memcpy(entry, part->is_other_type ? OTHER_TYPE : GUID_TYPE_SLOT.bytes, 16);
    memset(entry + 16, 0x40 + (int)index, 16);
    disk_put64(entry + 32, first);
    disk_put64(entry + 40, first + part->n_sectors - 1);
    disk_put64(entry + 48, part->attributes | (uint64_t)part->priority << 48 |
                                   (uint64_t)part->tries << 52 | (uint64_t)part->successful << 56);
    for (size_t i = 0; part->label[i]; i++)
        entry[56 + 2 * i] = (uint8_t)part->label[i];
}

static void make_copy(MadeDisk *disk, bool is_backup)
{
    const DiskPlan *plan = &disk->plan;
    uint8_t *header = disk_header(disk, is_backup);
    memset(header, 0x5a, plan->header_bytes);
    memcpy(header, "EFI PART", 8);
    disk_put32(header + 8, 0x00010000);
    disk_put32(header + AT_HEADER_BYTES, plan->header_bytes);
    disk_put32(header + 20, 0);
    disk_put64(header + AT_MY_LBA, disk_header_lba(disk, is_backup));
    disk_put64(header + AT_ALTERNATE_LBA, disk_header_lba(disk, !is_backup));
    disk_put64(header + AT_FIRST_USABLE, first_usable(plan));
    disk_put64(header + AT_LAST_USABLE, last_usable(plan));
    memset(header + AT_DISK_GUID, 0x77, 16);
    disk_put64(header + AT_ENTRIES_LBA, disk_entries_lba(disk, is_backup));
    disk_put32(header + AT_N_ENTRIES, plan->n_entries);
    disk_put32(header + AT_ENTRY_BYTES, plan->entry_bytes);

    uint64_t first = first_usable(plan);
    for (uint32_t i = 0; i < plan->n_entries; i++) {
        uint8_t *entry = disk_entry(disk, is_backup, i);
        if (i < ELEMENTS(plan->parts) && plan->parts[i].label) {
            make_entry(disk, is_backup, i, first);
            first += plan->parts[i].n_sectors;
        } else if (i + 1 == plan->n_entries) {
            memset(entry + 16, 0xee, 40); /* not used, and not empty either */
        }
        memset(entry + 128, 0xa0 + (int)i % 16, plan->entry_bytes - 128);
    }
    disk_seal(disk, is_backup);
}

void disk_make(const DiskPlan *plan, MadeDisk *ret_disk)
{
    MadeDisk disk = {.plan = *plan};
    DiskPlan *p = &disk.plan;
    p->sector_bytes = p->sector_bytes ? p->sector_bytes : 512;
    p->n_sectors = p->n_sectors ? p->n_sectors : 240;
    p->n_entries = p->n_entries ? p->n_entries : 128;
    p->entry_bytes = p->entry_bytes ? p->entry_bytes : 128;
    p->header_bytes = p->header_bytes ? p->header_bytes : 92;
    p->primary_entries_lba = p->primary_entries_lba ? p->primary_entries_lba : 2;
    for (size_t i = 0; i < ELEMENTS(p->parts) && p->parts[i].label; i++)
        p->parts[i].n_sectors = p->parts[i].n_sectors ? p->parts[i].n_sectors : 16;

    disk.n_bytes = p->n_sectors * p->sector_bytes;
    disk.data = calloc(1, disk.n_bytes);
    ck_assert_ptr_nonnull(disk.data);
    uint8_t *mbr = disk.data + 446;
    memcpy(mbr, (uint8_t[]){0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0}, 12);
    disk_put32(mbr + 12, (uint32_t)p->n_sectors - 1);
    memcpy(disk.data + 510, (uint8_t[]){0x55, 0xaa}, 2);
    make_copy(&disk, false);
    make_copy(&disk, true);
    *ret_disk = disk;
}

void disk_unmake(MadeDisk *disk)
{
    free(disk->data);
    *disk = (MadeDisk){0};
}

void disk_damage_header(MadeDisk *disk, bool is_backup)
{
    disk_header(disk, is_backup)[AT_DISK_GUID] ^= 0x81;
}

void disk_damage_entries(MadeDisk *disk, bool is_backup)
{
    disk_entry(disk, is_backup, 0)[60] ^= 0x18;
}

const char *disk_save(const MadeDisk *disk)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/disk.img", unit_temp_dir());
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fd_write_full(fd, disk->data, disk->n_bytes), 0);
    return path;
}
