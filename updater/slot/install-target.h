/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The slot that is written: which one it is, that it never is the running one (promise 1), that
 * it is unbootable before its first byte changes (promise 2), and I/O that leaves no page cache
 * behind (promise 10). All calls block; worker threads only. */

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/slot-disk.h"
#include "updater/update-error.h"

typedef struct InstallTarget InstallTarget;

/* Finds the target on the disk, read-only. running_label: this slot is never the target; NULL
 * when none runs from the disk. target_label NULL: the one other slot. Strings are copied.
 * Returns UPDATE_OK, UPDATE_ERROR_OPEN_TARGET (no table, no such slot, the running one, several
 * would do, the running one is not marked good), UPDATE_ERROR_GENERIC (memory). */
UpdateError install_target_find(const char *disk_path, const char *running_label,
        const char *target_label, InstallTarget **ret_target, ErrorText *error);

/* Closes what is open; the target's bits stay as they are. */
void install_target_free(InstallTarget *target);
DEFINE_CLEANUP(InstallTarget *, install_target_free);

/* The slot as it was found, inside target. */
const Slot *install_target_slot(const InstallTarget *target);

/* Makes the slot unbootable, on the disk, and then opens it for writing. Finds it again first: the
 * table may have changed. Returns UPDATE_OK, UPDATE_ERROR_OPEN_TARGET (also: the slot is mounted or
 * otherwise in use), UPDATE_ERROR_WRITE (the table). */
UpdateError install_target_prepare(InstallTarget *target, ErrorText *error);

/* The calls below need a prepared target. Several threads at once may write and drop. */

/* Writes at offset_bytes of the slot. Errors: -ENOSPC beyond the slot's end, errno. */
int install_target_write(
        InstallTarget *target, uint64_t offset_bytes, const void *data, size_t n_bytes);

/* Makes a range read as zeros. Errors: as above. */
int install_target_zero(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes);

/* Lets the writing of a range to the device begin; hardly blocks. */
void install_target_write_behind(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes);

/* Waits until a range is written and drops it from the page cache. No promise about the device's
 * own cache: that is install_target_sync's. */
void install_target_drop(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes);

/* All that was written is on the device, its caches flushed, when this returns 0, and the slot is
 * dropped from the page cache. Once it has failed, it fails for good. Errors: errno of
 * fdatasync. */
int install_target_sync(InstallTarget *target);

/* Lets go of the slot after all was proven, so that it can be mounted; of the calls here, only
 * install_target_slot() and _free() may follow. */
void install_target_release(InstallTarget *target);

/* The descriptor for writing (inside target) and where the slot begins in it. */
int install_target_fd(const InstallTarget *target, uint64_t *ret_offset_bytes);

/* Opens the slot for reading past the page cache: O_DIRECT, or, where the file system has none,
 * ordinary reads after dropping the cache. After install_target_sync. *ret_fd is new.
 * Errors: errno. */
int install_target_open_direct(
        const InstallTarget *target, int *ret_fd, uint64_t *ret_offset_bytes, ErrorText *error);
