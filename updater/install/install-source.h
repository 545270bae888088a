/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The slot that runs, as what a delta begins with. Opened for reading only (promise 1). All calls
 * block; worker threads only. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"

typedef struct InstallSource InstallSource;

/* What runs. */
typedef struct {
    const char *disk_path;
    const char *label;   /* of the slot; NULL: none runs */
    const char *version; /* NULL: not known */
} RunningSlot;

/* Opens what runs (borrowed during the call) for a delta of a partition, and sees whether it may be
 * what the delta begins with: its version, its size. source_version: the manifest's, "" when it
 * does not say.
 * Returns UPDATE_OK, UPDATE_ERROR_SOURCE (another version, nothing runs, cannot be opened),
 * UPDATE_ERROR_GENERIC (memory). */
UpdateError install_source_new(const RunningSlot *running, const PartitionUpdate *partition,
        const char *source_version, InstallSource **ret_source, ErrorText *error);
/* The same for a file that a delta begins with: the kernel of the slot that runs.
 * Returns UPDATE_OK, UPDATE_ERROR_SOURCE (cannot be opened, another size), UPDATE_ERROR_GENERIC. */
UpdateError install_source_new_file(const char *path, const PartitionUpdate *partition,
        InstallSource **ret_source, ErrorText *error);
void install_source_free(InstallSource *source);
DEFINE_CLEANUP(InstallSource *, install_source_free);

/* Reads all that the delta begins with, past the page cache, and holds it against its hash.
 * Returns UPDATE_OK, UPDATE_ERROR_SOURCE, UPDATE_ERROR_CANCELLED, UPDATE_ERROR_GENERIC (memory). */
UpdateError install_source_check(
        InstallSource *source, const atomic_bool *is_cancelled, ErrorText *error);

/* Reads n_bytes at offset_bytes, both of whole blocks; several threads at once may. Behind a file's
 * end, its last block is zeros. Errors: -EINVAL beyond what the delta begins with, errno. */
int install_source_read(
        const InstallSource *source, uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes);

/* Drops a range that was read from the page cache (promise 10). */
void install_source_drop(const InstallSource *source, uint64_t offset_bytes, uint64_t n_bytes);
