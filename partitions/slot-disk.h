/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The slots of one disk, and the only ways in which this project changes a partition table.
 *
 * A slot is a partition of the slot type; its label names it (USR-A). The bits that choose it at
 * boot are the GPT attributes 48-51 (priority), 52-55 (tries), 56 (successful), 57-60 (starts).
 * Every change is written crash-safe (gpt-disk.h) and is on the disk when the call returns. All
 * calls block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/boot-choice.h" /* SLOT_NONE, SLOT_TRIES_MAX */
#include "partitions/gpt-disk.h"    /* TableHealth */
#include "partitions/guid.h"

#define SLOT_LABEL_BYTES GPT_LABEL_BYTES
#define SLOT_TRIES_DEFAULT 3 /* DESIGN.md section 3: BOOT_TRIES */

typedef struct {
    char label[SLOT_LABEL_BYTES]; /* unprintable characters as '?' */
    Guid unique;                  /* PARTUUID */
    uint32_t entry;               /* index in the table, from 0; the kernel's number is entry + 1 */
    uint64_t offset_bytes;        /* from the start of the disk */
    uint64_t size_bytes;
    unsigned priority; /* 0-15; 0 means: never boot */
    unsigned tries;    /* 0-15 */
    bool successful;
    unsigned starts; /* 0-15; of a successful slot, since it was last declared good */
} Slot;

typedef struct SlotDisk SlotDisk;

/* Opens a block device or an image file and reads its table. type NULL: GUID_TYPE_SLOT. For
 * writing, the disk is locked (flock LOCK_EX, as udev asks; at most 10 s of waiting) until
 * slot_disk_free; reading needs no lock. sector_bytes 0: the device's own; for an image 512 or
 * 4096, found out.
 * Errors: -ENOMEDIUM no valid table (error says of both copies why), -ENOTUNIQ two slots of one
 * label or one PARTUUID, -ENXIO no slot at all, -EBUSY another holds the lock, -ENOTBLK, else errno
 * of open and read. */
int slot_disk_open(const char *path, bool writable, const Guid *type, uint32_t sector_bytes,
        SlotDisk **ret_disk, ErrorText *error);

/* The same on a device of any kind, which is consumed on success only. Errors: as above. */
int slot_disk_new(BlockDevice *device, const Guid *type, SlotDisk **ret_disk, ErrorText *error);

void slot_disk_free(SlotDisk *disk);
DEFINE_CLEANUP(SlotDisk *, slot_disk_free);

/* The slots in table order, inside disk; changed by the calls below. */
const Slot *slot_disk_slots(const SlotDisk *disk, size_t *ret_n_slots);

/* The index of the slot of this label, or SLOT_NONE. */
size_t slot_disk_find(const SlotDisk *disk, const char *label);

/* The index of the slot of this PARTUUID, or SLOT_NONE. */
size_t slot_disk_find_unique(const SlotDisk *disk, const Guid *unique);

/* The index of the slot that begins at this byte of the disk, or SLOT_NONE. */
size_t slot_disk_find_offset(const SlotDisk *disk, uint64_t offset_bytes);

/* Whether path leads to this very block device or image file. */
bool slot_disk_is_at(const SlotDisk *disk, const char *path);

/* The device that the disk is on, inside disk. */
BlockDevice *slot_disk_device(const SlotDisk *disk);

/* As gpt_disk_health(). */
TableHealth slot_disk_health(const SlotDisk *disk);

/* What is wrong with one copy of the table, for gpt_fault_text(). */
GptFault slot_disk_primary_fault(const SlotDisk *disk);
GptFault slot_disk_backup_fault(const SlotDisk *disk);

/* The size of the disk's sectors. */
uint32_t slot_disk_sector_bytes(const SlotDisk *disk);

/* The slot that boots next, by DESIGN.md section 3, without spending a try; SLOT_NONE. */
size_t slot_disk_next(const SlotDisk *disk);

/* The changes. A damaged copy of the table is rebuilt by each of them. When one fails, the disk
 * holds the table from before or the one from after, and this object refuses further changes
 * (-EIO): only a newly opened one knows which.
 * Errors: errno of write and fsync; -EROFS when opened read-only; -EINVAL for a slot that is none
 * of slot_disk_slots() or tries outside 1-15; -ENOSPC no room for the backup copy. */

/* Rewrites what is damaged; nothing is written when TABLE_GOOD. */
int slot_disk_repair(SlotDisk *disk, ErrorText *error);

/* What a boot loader does: chooses (*ret_slot) and spends a try of it, where it has one, else
 * counts the start. Errors: -ENOENT no slot is usable; the table is then left alone. */
int slot_disk_spend_try(SlotDisk *disk, size_t *ret_slot, ErrorText *error);

/* The same for a slot that the caller chose. */
int slot_disk_spend_try_of(SlotDisk *disk, size_t slot, ErrorText *error);

/* priority = tries = successful = starts = 0: the slot can never be chosen (promise 2). */
int slot_disk_invalidate(SlotDisk *disk, size_t slot, ErrorText *error);

/* The flip: priority above all others (renumbered in their order where 15 is reached),
 * tries = tries (1-15), successful = starts = 0. */
int slot_disk_flip(SlotDisk *disk, size_t slot, unsigned tries, ErrorText *error);

/* Priority above all others; successful stays, and tries is set where it is not successful;
 * starts = 0. */
int slot_disk_prioritize(SlotDisk *disk, size_t slot, unsigned tries, ErrorText *error);

/* successful = 1, tries = starts = 0; priority 0 becomes 1. */
int slot_disk_mark_good(SlotDisk *disk, size_t slot, ErrorText *error);

/* As slot_disk_invalidate, under the name that a person gives it. Refuses (-EPERM) when no other
 * slot could boot. */
int slot_disk_mark_bad(SlotDisk *disk, size_t slot, ErrorText *error);

/* Opens the slot's content: *ret_fd is new, *ret_offset_bytes is where the slot begins in it. On
 * a block device that is the partition's own node (offset 0) where the kernel has one.
 * open_flags as for open(2), O_RDONLY or O_RDWR, O_DIRECT allowed.
 * Errors: -ESTALE when path leads to another disk by now, or the kernel has the partition
 * elsewhere than the table; errno. */
int slot_disk_open_slot(const SlotDisk *disk, size_t slot, int open_flags, int *ret_fd,
        uint64_t *ret_offset_bytes, ErrorText *error);
