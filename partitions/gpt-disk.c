/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/gpt-disk.h"

#include <errno.h>
#include <string.h>

/* The order of writes, which is the point of this file (DESIGN.md, promise 4):
 *
 *     flush | entries | flush | header | flush | entries | flush | header | flush
 *              \---- one copy ----/              \---- the other copy ----/
 *
 * A header holds its entries' checksum, so a copy is invalid from the first changed sector of its
 * entries until its new header is there; and it must not be both copies at once. So one copy is
 * whole on the medium before the other is touched. First comes the copy that is damaged, or does
 * not count; with two good ones the backup, as every reader prefers the primary: it keeps the old
 * table until the new one is safe. The flush in front is for a writer before us that was killed
 * between its write and its flush: what we read and judged as valid may be in the cache alone.
 *
 * A backup that is not in the last sector is found through the primary only. The primary may not
 * be rewritten on the strength of such a backup unless its header still leads there, and a single
 * sector changes as a whole; where the primary is good, a backup is first made at the end. */

typedef struct {
    GptFault fault;
    uint32_t bad_entry;   /* for faults of entries */
    bool is_header_valid; /* then `header` is set, whatever the entries are */
    GptHeader header;
    uint8_t *sector;  /* the header's */
    uint8_t *entries; /* whole sectors; NULL unless is_header_valid */
} Copy;

struct GptDisk {
    BlockDevice *device; /* borrowed */
    Copy primary;
    Copy backup;
    TableHealth health;
    bool is_changed;
    bool has_failed;
};

/* The copy that counts. */
static Copy *table_of(GptDisk *disk)
{
    return disk->primary.fault == GPT_VALID ? &disk->primary : &disk->backup;
}

static void copy_done(Copy *copy)
{
    free(copy->sector);
    free(copy->entries);
    *copy = (Copy){0};
}

static GptGeometry geometry_of(const BlockDevice *device)
{
    return (GptGeometry){.sector_bytes = device->sector_bytes, .n_sectors = device->n_sectors};
}

static Lba last_lba(const BlockDevice *device)
{
    return lba(device->n_sectors - 1);
}

/* Reads and checks the copy whose header is at `at`. Errors: -ENOMEM; all others are its fault. */
static int copy_read(BlockDevice *device, Lba at, Copy *ret_copy)
{
    GptGeometry geometry = geometry_of(device);
    *ret_copy = (Copy){.fault = GPT_UNREADABLE};
    ret_copy->sector = malloc(device->sector_bytes);
    if (!ret_copy->sector)
        return -ENOMEM;
    if (block_device_read(device, at, 1, ret_copy->sector) < 0)
        return 0;
    ret_copy->fault = gpt_header_parse(&geometry, at, ret_copy->sector, &ret_copy->header);
    if (ret_copy->fault != GPT_VALID)
        return 0;

    ret_copy->is_header_valid = true;
    size_t n_sectors = (size_t)gpt_entries_sectors(&ret_copy->header);
    ret_copy->entries = malloc(n_sectors * device->sector_bytes);
    if (!ret_copy->entries)
        return -ENOMEM;
    if (block_device_read(device, ret_copy->header.entries, n_sectors, ret_copy->entries) < 0)
        ret_copy->fault = GPT_UNREADABLE;
    else
        ret_copy->fault =
                gpt_entries_check(&ret_copy->header, ret_copy->entries, &ret_copy->bad_entry);
    return 0;
}

/* Reads the backup: from the last sector, or from where the primary says. */
static int read_backup(GptDisk *disk)
{
    Lba last = last_lba(disk->device);
    int r = copy_read(disk->device, last, &disk->backup);
    if (r < 0 || disk->backup.fault == GPT_VALID)
        return r;
    if (!disk->primary.is_header_valid || disk->primary.header.alternate.n == last.n)
        return 0;

    Copy misplaced;
    r = copy_read(disk->device, disk->primary.header.alternate, &misplaced);
    if (r < 0 || misplaced.fault != GPT_VALID) {
        copy_done(&misplaced);
        return r;
    }
    copy_done(&disk->backup);
    disk->backup = misplaced;
    disk->backup.fault = GPT_MISPLACED;
    return 0;
}

/* Whether both copies, each valid, say the same and point at one another. */
static bool copies_agree(const Copy *primary, const Copy *backup)
{
    uint8_t expected[GPT_SECTOR_MAX_BYTES];
    const GptHeader *p = &primary->header, *b = &backup->header;
    if (p->alternate.n != b->my.n || p->header_bytes != b->header_bytes ||
            gpt_entries_bytes(p) != gpt_entries_bytes(b) ||
            memcmp(primary->entries, backup->entries, gpt_entries_bytes(p)) != 0)
        return false;
    gpt_header_make(p, primary->sector, b->my, p->my, b->entries, primary->entries, expected);
    return memcmp(expected, backup->sector, p->header_bytes) == 0;
}

static int judge(GptDisk *disk, ErrorText *error)
{
    bool is_primary_valid = disk->primary.fault == GPT_VALID;
    bool is_backup_valid = disk->backup.fault == GPT_VALID || disk->backup.fault == GPT_MISPLACED;

    if (!is_primary_valid && !is_backup_valid) {
        bool is_unread =
                disk->primary.fault == GPT_UNREADABLE || disk->backup.fault == GPT_UNREADABLE;
        return error_say(error, is_unread ? -EIO : -ENOMEDIUM,
                "%s holds no valid GPT: the primary copy %s, the backup copy %s; is it the right "
                "disk?",
                disk->device->name, gpt_fault_text(disk->primary.fault),
                gpt_fault_text(disk->backup.fault));
    }
    if (!is_primary_valid)
        disk->health = TABLE_PRIMARY_BAD;
    else if (disk->backup.fault != GPT_VALID)
        disk->health = TABLE_BACKUP_BAD;
    else if (!copies_agree(&disk->primary, &disk->backup))
        disk->health = TABLE_COPIES_DIFFER;
    else
        disk->health = TABLE_GOOD;
    return 0;
}

int gpt_disk_new(BlockDevice *device, GptDisk **ret_disk, ErrorText *error)
{
    if (device->n_sectors <= GPT_PRIMARY_LBA + 1)
        return error_say(error, -ENOMEDIUM, "%s is too small for a GPT", device->name);
    _cleanup_(gpt_disk_freep) GptDisk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return error_say(error, -ENOMEM, "out of memory");
    disk->device = device;
    int r = copy_read(device, lba(GPT_PRIMARY_LBA), &disk->primary);
    if (r >= 0)
        r = read_backup(disk);
    if (r < 0)
        return error_say(error, r, "out of memory");
    r = judge(disk, error);
    if (r < 0)
        return r;
    *ret_disk = TAKE_PTR(disk);
    return 0;
}

void gpt_disk_free(GptDisk *disk)
{
    if (!disk)
        return;
    copy_done(&disk->primary);
    copy_done(&disk->backup);
    free(disk);
}

TableHealth gpt_disk_health(const GptDisk *disk)
{
    return disk->health;
}

const char *gpt_disk_health_text(TableHealth health)
{
    switch (health) {
    case TABLE_GOOD:
        return "good";
    case TABLE_PRIMARY_BAD:
        return "primary-damaged";
    case TABLE_BACKUP_BAD:
        return "backup-damaged";
    case TABLE_COPIES_DIFFER:
        return "copies-differ";
    case TABLE_UNREADABLE:
        return "unreadable";
    }
    return "damaged";
}

GptFault gpt_disk_primary_fault(const GptDisk *disk)
{
    return disk->primary.fault;
}

GptFault gpt_disk_backup_fault(const GptDisk *disk)
{
    return disk->backup.fault;
}

const GptHeader *gpt_disk_header(const GptDisk *disk)
{
    return &table_of((GptDisk *)disk)->header;
}

const GptEntry *gpt_disk_entry(const GptDisk *disk, uint32_t index)
{
    const Copy *table = table_of((GptDisk *)disk);
    return gpt_entry(&table->header, table->entries, index);
}

void gpt_disk_set_attributes(GptDisk *disk, uint32_t index, uint64_t attributes)
{
    if (le64_get(gpt_disk_entry(disk, index)->attributes) == attributes)
        return;
    Copy *table = table_of(disk);
    gpt_entry_set_attributes(&table->header, table->entries, index, attributes);
    disk->is_changed = true;
}

/* Whether the table's entries, as its header's checksum has them, are on the disk at this place. */
static bool entries_are_at(GptDisk *disk, Lba place)
{
    const GptHeader *header = gpt_disk_header(disk);
    if (!gpt_entries_fit(header, lba(GPT_PRIMARY_LBA), place))
        return false;
    size_t n_sectors = (size_t)gpt_entries_sectors(header);
    _cleanup_free_ uint8_t *entries = malloc(n_sectors * disk->device->sector_bytes);
    return entries && block_device_read(disk->device, place, n_sectors, entries) >= 0 &&
           gpt_crc32(entries, gpt_entries_bytes(header)) == header->entries_crc;
}

/* Where the primary's entries belong. Usually that is sector 2, but boards whose boot loader lies
 * there have them elsewhere, and a lost header does not say so: then they are looked for. */
static Lba place_of_primary_entries(GptDisk *disk)
{
    const GptHeader *table = gpt_disk_header(disk);
    Lba usual = lba(GPT_PRIMARY_LBA + 1);
    Lba before_usable = lba(table->first_usable.n - gpt_entries_sectors(table));
    if (disk->primary.is_header_valid &&
            gpt_entries_fit(table, lba(GPT_PRIMARY_LBA), disk->primary.header.entries))
        return disk->primary.header.entries;
    if (!entries_are_at(disk, usual) && entries_are_at(disk, before_usable))
        return before_usable;
    return usual;
}

/* Where the backup's entries belong: where a valid backup has them, else before its header. */
static Lba place_of_backup_entries(const GptDisk *disk)
{
    const GptHeader *table = gpt_disk_header(disk);
    Lba last = last_lba(disk->device);
    if (disk->backup.fault == GPT_VALID &&
            gpt_entries_fit(table, last, disk->backup.header.entries))
        return disk->backup.header.entries;
    return lba(last.n - gpt_entries_sectors(table));
}

static int write_copy(GptDisk *disk, Lba my, Lba alternate, Lba entries)
{
    BlockDevice *device = disk->device;
    const Copy *table = table_of(disk);
    uint8_t sector[GPT_SECTOR_MAX_BYTES];

    gpt_header_make(&table->header, table->sector, my, alternate, entries, table->entries, sector);
    int r = block_device_write(
            device, entries, (size_t)gpt_entries_sectors(&table->header), table->entries);
    if (r >= 0)
        r = block_device_flush(device);
    if (r >= 0)
        r = block_device_write(device, my, 1, sector);
    if (r >= 0)
        r = block_device_flush(device);
    return r;
}

static int write_both(GptDisk *disk, Lba primary_entries, Lba backup_entries)
{
    Lba first = lba(GPT_PRIMARY_LBA), last = last_lba(disk->device);
    bool is_primary_first = disk->health == TABLE_PRIMARY_BAD;

    int r = block_device_flush(disk->device);
    if (r >= 0 && is_primary_first)
        r = write_copy(disk, first, last, primary_entries);
    if (r >= 0)
        r = write_copy(disk, last, first, backup_entries);
    if (r >= 0 && !is_primary_first)
        r = write_copy(disk, first, last, primary_entries);
    return r;
}

/* After a write both copies on the disk must be the table in memory. */
static int read_back(GptDisk *disk)
{
    _cleanup_(gpt_disk_freep) GptDisk *written = NULL;
    int r = gpt_disk_new(disk->device, &written, NULL);
    if (r < 0)
        return r;
    const Copy *meant = table_of(disk);
    size_t n_bytes = gpt_entries_bytes(&meant->header);
    if (written->health != TABLE_GOOD || gpt_entries_bytes(&written->primary.header) != n_bytes ||
            memcmp(written->primary.entries, meant->entries, n_bytes) != 0)
        return -EIO;
    GptDisk before = *disk;
    *disk = *written;
    *written = before;
    return 0;
}

int gpt_disk_write(GptDisk *disk, ErrorText *error)
{
    const char *name = disk->device->name;
    const GptHeader *table = gpt_disk_header(disk);
    if (!disk->device->is_writable)
        return error_say(error, -EROFS, "%s was opened for reading only", name);
    if (disk->has_failed)
        return error_say(error, -EIO,
                "%s: an earlier write failed; open the disk again to see what it holds", name);

    disk->has_failed = true; /* unless all goes well: read_back() makes disk anew */
    if (!disk->is_changed && disk->health == TABLE_GOOD) {
        int r = block_device_flush(disk->device);
        disk->has_failed = r < 0;
        return r < 0 ? error_say(error, r, "%s: flushing failed: %s", name, strerror(-r)) : 0;
    }
    Lba primary_entries = place_of_primary_entries(disk);
    Lba backup_entries = place_of_backup_entries(disk);
    if (!gpt_entries_fit(table, lba(GPT_PRIMARY_LBA), primary_entries) ||
            !gpt_entries_fit(table, last_lba(disk->device), backup_entries))
        return error_say(error, -ENOSPC,
                "%s: the last usable sector leaves no room for the second copy of the partition "
                "table",
                name);

    int r = write_both(disk, primary_entries, backup_entries);
    if (r < 0)
        return error_say(
                error, r, "%s: writing the partition table failed: %s", name, strerror(-r));
    r = read_back(disk);
    if (r < 0)
        return error_say(error, r,
                "%s: the partition table was written, but does not read back as it should", name);
    return 0;
}
