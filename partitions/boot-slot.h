/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The slot that was started, among the disks of a machine of which nothing else runs yet: neither
 * udev nor a mount is needed. Read-only; blocks on /sys, /dev and the disks. */

#include <stdbool.h>

#include "common/error-text.h"
#include "partitions/boot-request.h"
#include "partitions/partition-node.h"
#include "partitions/slot-disk.h"
#include "partitions/slot-trailer.h"

typedef struct {
    char label[SLOT_LABEL_BYTES];
    Guid unique;
    char device_path[PARTITION_NODE_BYTES]; /* the partition's node */
    TrailerFault trailer_fault;
    SlotTrailer trailer; /* for TRAILER_VALID */
} BootSlot;

/* Looks at the partition table of every disk for the slot of this PARTUUID and reads its trailer.
 * root: prefix of /sys and /dev, and of the path returned; type NULL: GUID_TYPE_SLOT.
 * Errors: -ENODEV no disk has it, or the kernel does not know the partition: it may come yet;
 * -ENOTUNIQ two disks have it; -ESTALE the kernel has another place for it than the table;
 * errno of reading. */
int boot_slot_find(const char *root, const Guid *type, const Guid *unique, BootSlot *ret_slot,
        ErrorText *error);

/* Whether what the slot says of itself is what the kernel was told to trust. *ret_is_verified: the
 * slot has a tree, and its root hash is that of the command line; else neither has one.
 * Errors: -EBADMSG a damaged trailer, or a root hash that only one of them has, or another. */
int boot_slot_check(
        const BootSlot *slot, const BootRequest *request, bool *ret_is_verified, ErrorText *error);
