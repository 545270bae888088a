/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a slot begins with, as libblkid knows it: for a person who looks at a disk, and to
 * tell mount(2) the type; never for a decision. */

#include "partitions/slot-disk.h"

typedef struct {
    char type[32];  /* "ext4", "squashfs", ...; "" when nothing is recognised */
    char label[65]; /* the file system's; "" when it has none */
} SlotContentKind;

/* Probes the first bytes of a slot. Blocks. Errors: -ENOMEM, errno of open and read; a slot that
 * holds nothing known, or several things at once, is success with "" for its type. */
int slot_content_probe(const SlotDisk *disk, size_t slot, SlotContentKind *ret_kind);
