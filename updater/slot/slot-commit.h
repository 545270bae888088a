/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commit point: after this one call, and not before, the machine boots the new slot. */

#include "common/error-text.h"
#include "partitions/slot-disk.h"

/* Flips the disk to the slot, which has been proven: the last write of an install (promise 3).
 * slot is as install_target_slot says. may_be_flipped: somebody who was asked to (postinst.h) may
 * have done the same already. Blocks until the table is on the disk.
 * Errors: -ESTALE when the table's slot of this PARTUUID is no longer the one that was written, or
 * is bootable and may not be; errno of the table's writes. */
int slot_commit(const char *disk_path, const Slot *slot, unsigned tries, bool may_be_flipped,
        ErrorText *error);

/* Makes the slot unbootable again, where somebody has made it bootable. Blocks.
 * Errors: -ESTALE as above, errno of the table's writes. Returns 1 when there was something to take
 * back, else 0. */
int slot_commit_undo(const char *disk_path, const Slot *slot, ErrorText *error);
