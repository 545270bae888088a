/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Both copies of a disk's partition table: which one counts, what is wrong with the other, and the
 * write after which, whenever the power goes, one of them is whole. The protective MBR is neither
 * read nor written. All calls block. */

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/block-device.h"
#include "partitions/gpt-table.h"

typedef enum {
    TABLE_GOOD,
    TABLE_PRIMARY_BAD,   /* read from the backup */
    TABLE_BACKUP_BAD,    /* read from the primary */
    TABLE_COPIES_DIFFER, /* both are valid but not the same: the primary counts */
    TABLE_UNREADABLE,    /* for those who open a disk: there is no GptDisk to be had of it */
} TableHealth;

typedef struct GptDisk GptDisk;

/* Reads both copies. The backup is looked for in the last sector; when there is none, where the
 * primary's header says (an image that grew): then it counts as a backup that is bad, because
 * without the primary nobody would find it. device is borrowed and must outlive the disk.
 * Errors: -ENOMEDIUM neither copy is valid (error says of both why), -EIO when neither is and one
 * could not be read, -ENOMEM. */
int gpt_disk_new(BlockDevice *device, GptDisk **ret_disk, ErrorText *error);
void gpt_disk_free(GptDisk *disk);
DEFINE_CLEANUP(GptDisk *, gpt_disk_free);

/* How the copies were found when they were read, or written last. */
TableHealth gpt_disk_health(const GptDisk *disk);

/* "good", "primary-damaged", "backup-damaged", "copies-differ", "unreadable"; static. */
const char *gpt_disk_health_text(TableHealth health);

/* What is wrong with one copy. GPT_VALID for both when they differ. */
GptFault gpt_disk_primary_fault(const GptDisk *disk);
GptFault gpt_disk_backup_fault(const GptDisk *disk);

/* The table that counts, changes that are not written yet included. */
const GptHeader *gpt_disk_header(const GptDisk *disk);
const GptEntry *gpt_disk_entry(const GptDisk *disk, uint32_t index);

/* Changes an entry's attributes in memory. */
void gpt_disk_set_attributes(GptDisk *disk, uint32_t index, uint64_t attributes);

/* Brings the table in memory to the disk, both copies. Where there is nothing to change or to
 * repair it only flushes: what was read may not have been on the medium yet.
 * After a failure the disk holds the old table or the new one, and this object refuses to write
 * again: what is on the medium has to be read anew.
 * Errors: -EROFS, -ENOSPC no room for the backup at the disk's end, -EIO after an earlier failure,
 * errno of write and flush. */
int gpt_disk_write(GptDisk *disk, ErrorText *error);
