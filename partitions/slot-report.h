/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What slotctl prints about a disk: for a person, and as JSON. */

#include <stdbool.h>
#include <stddef.h>

#include "partitions/slot-disk.h"

typedef struct {
    const SlotDisk *disk; /* borrowed */
    const char *path;     /* of the disk; borrowed */
    size_t running;       /* index of the running slot, or SLOT_NONE */
    size_t only;          /* the one slot to print, or SLOT_NONE for all */
    size_t verified;      /* the slot that verdict is about, or SLOT_NONE */
    const char *verdict;  /* "good" or a line that says what is wrong; borrowed */
} SlotReport;

/* Prints the table of slots to stdout. Errors: -ENOMEM. */
int slot_report_print_text(const SlotReport *report);

/* Prints one JSON object to stdout: disk, sector_bytes, table ("good", "primary-damaged",
 * "backup-damaged", "copies-differ"), primary and backup ("valid" or what is wrong), next and
 * running (a label or null), slots (label, partuuid, partition, offset_bytes, size_bytes, priority,
 * tries, successful, content and content_label as libblkid knows them, "" when it does not, trailer
 * ("valid", "absent", or what is wrong with it), product and version as a valid one has them, else
 * "", and for the verified slot: verified, the verdict).
 * Errors: -ENOMEM. */
int slot_report_print_json(const SlotReport *report);

/* Prints label and PARTUUID of one slot. Errors: -ENOMEM. */
int slot_report_print_slot(const Slot *slot, bool as_json);
