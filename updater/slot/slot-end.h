/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The last block of a slot: its trailer (partitions/slot-trailer.h), by which the boot chooser,
 * slotctl and a rollback know what the slot holds. An image that fills its slot brings it to its
 * place; the trailer of a shorter one is copied there; under an image without any the block must
 * not go on telling of what the slot held before. All calls block, and need a prepared target. */

#include <stdint.h>

#include "common/error-text.h"
#include "updater/slot/install-target.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"

/* Before the first byte of the slot changes: what it held is no longer whole. Errors: errno. */
int slot_end_clear(InstallTarget *target);

/* After all of the image was written: puts its trailer, or zeros, to the end of a slot that is
 * larger. Does not sync. Returns UPDATE_OK, UPDATE_ERROR_WRITE, UPDATE_ERROR_VERIFIER_IO (read),
 * UPDATE_ERROR_MANIFEST (the slot has no room for the trailer). */
UpdateError slot_end_write(
        InstallTarget *target, const PartitionUpdate *partition, ErrorText *error);

/* After the slot was synced and proven: reads the end back from the device. It must be the image's
 * trailer, say the same as the signed manifest (of format 2; format 1 says nothing), and have the
 * same hash tree; or none where the image has none. Returns UPDATE_OK, UPDATE_ERROR_VERIFIER_IO,
 * UPDATE_ERROR_MANIFEST. */
UpdateError slot_end_check(InstallTarget *target, const Manifest *manifest,
        const PartitionUpdate *partition, ErrorText *error);
