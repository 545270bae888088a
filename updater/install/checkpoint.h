/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a killed install leaves for the next one: how far the target is written, and the metadata
 * that says with what. Two files in the state folder. All calls block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"
#include "partitions/guid.h"
#include "updater/install/payload-digest.h"

/* What must be the same for a checkpoint to count, and what it then says. One that is untouched
 * only says that the payload was looked at: its metadata is kept, and the install begins anew. */
typedef struct {
    Sha256 metadata;         /* of the payload's signed metadata (header and manifest) */
    Sha256 source;           /* of what named the payload: its digest, or else its URLs */
    Sha256 disk;             /* of the disk's path */
    Guid target;             /* PARTUUID of the slot */
    uint64_t next_operation; /* all before it are in the target and on the disk */
    bool is_untouched;       /* the target is not written, and as bootable as before */
    bool lacks_ranges; /* the payload's server does not answer requests for a part of a file */
    bool has_digest;
    PayloadDigestState digest; /* over the payload up to next_operation */
} Checkpoint;

/* Replaces the checkpoint. The data that it vouches for has been synced before.
 * Errors: errno; the old one then stays. */
int checkpoint_save(int state_fd, const Checkpoint *checkpoint);

/* Errors: -ENOENT, -EBADMSG when it is not whole, errno. */
int checkpoint_load(int state_fd, Checkpoint *ret_checkpoint);

/* What names a payload whose digest was told, as an Omaha answer does: a checkpoint's source. */
Sha256 checkpoint_source_of(const Sha256 *payload);

/* Whether an install of that payload has begun to write, and left something to go on with. */
bool checkpoint_has_begun(int state_fd, const Sha256 *payload);

/* Keeps the metadata of a payload as it came: header, manifest, signature. Errors: errno. */
int checkpoint_save_metadata(int state_fd, const uint8_t *data, size_t n_bytes);

/* *ret_data is new; nothing of it has been checked. Errors: -ENOENT, -EFBIG, -ENOMEM, errno. */
int checkpoint_load_metadata(int state_fd, uint8_t **ret_data, size_t *ret_n_bytes);

/* Removes both files; the checkpoint first. Errors: errno. */
int checkpoint_remove(int state_fd);
