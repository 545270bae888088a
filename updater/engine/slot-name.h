/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a slot holds, as far as it is known: by its own trailer; where it has none, by what was
 * recorded when it was installed; and of the slot that runs, by the system's release file. */

#include "partitions/slot-disk.h"
#include "updater/slot/slot-proof.h"

typedef struct {
    char product[129]; /* "" while not known */
    char version[129];
} SlotName;

/* recorded and running_version (of the slot that runs) may be NULL. Blocks on the slot's last
 * block. */
void slot_name_find(const SlotDisk *disk, size_t slot, const SlotContent *recorded,
        const char *running_version, SlotName *ret_name);
