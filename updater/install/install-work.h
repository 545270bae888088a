/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The blocking steps of an install, one after another in worker threads: what they know of each
 * other is in InstallWork. While a step runs, nobody else touches the fields; between steps, the
 * loop may. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "updater/install/checkpoint.h"
#include "updater/install/delta-v1.h"
#include "updater/install/install-files.h"
#include "updater/install/install-source.h"
#include "updater/slot/install-target.h"
#include "updater/install/install.h"
#include "updater/install/metadata-check.h"
#include "updater/install/payload-digest.h"
#include "updater/slot/read-back.h"
#include "updater/slot/slot-seed.h"

typedef struct {
    const InstallOptions *options;   /* borrowed */
    const atomic_bool *is_cancelled; /* borrowed */
    InstallTarget *target;
    KeyRing *keys;
    int file_fd; /* the payload, when it is a local file; else -1 */
    uint64_t n_file_bytes;

    uint8_t *raw; /* header, manifest and metadata signature as they came; NULL: to be fetched */
    size_t n_raw_bytes;
    bool is_raw_kept; /* raw is from the state folder, not from the source */
    PayloadMetadata metadata;
    SlotContent content; /* what the slot is to hold */

    Checkpoint checkpoint; /* the last that was saved or found */
    bool is_resumed;       /* it counts for this target and this payload */
    bool *is_done;         /* of each operation */

    InstallPlan plan;
    SlotSeedOptions seed_options;
    SlotSeed *seed;      /* what is here is not fetched; NULL: all is */
    ReadBack *read_back; /* goes along with the writing; NULL: all is read back in the end */

    InstallFiles *files; /* beside the slot */
    uint8_t *policy;     /* of PCRs, for the server that waits for it; NULL: none. When proven */
    size_t n_policy_bytes;
    DeltaV1 *delta_v1;     /* of a delta of format 1; NULL */
    InstallSource *source; /* what a delta begins with; NULL: a full payload */
    bool are_files_placed;
    bool may_be_flipped; /* postinst was begun: the table may say so without our flip */

    PayloadDigest *digest; /* NULL: the payload is not read from its first byte to its last */
    uint8_t *signature;    /* the payload signature; n_signatures_bytes of the manifest */
    _Atomic uint64_t n_bytes_proven;
    ErrorText warning; /* what went wrong without stopping the install; "" */
} InstallWork;

void install_work_init(
        InstallWork *work, const InstallOptions *options, const atomic_bool *is_cancelled);
void install_work_done(InstallWork *work);

/* Whether the digest goes on over interruptions. In format 1 nothing but the payload signature
 * vouches for the metadata, so it is verified after a resume, too. After install_work_check(). */
bool install_work_keeps_digest(const InstallWork *work);

/* Each returns UPDATE_OK or the code with the reason in error. */

/* Finds the target, loads the keys, looks for a checkpoint, and reads the metadata where it is at
 * hand: out of the local payload, or as an earlier install kept it. */
UpdateError install_work_load(InstallWork *work, ErrorText *error);

/* Checks raw as metadata_check does, that slot and folders have room, and that what runs is what a
 * delta begins with; all before the target is touched. Kept metadata that does not pass is no
 * error: raw is NULL afterwards, and must be fetched. */
UpdateError install_work_check(InstallWork *work, ErrorText *error);

/* Makes the target unbootable, opens it, and finds out which operations are done in it already.
 * Frees raw. */
UpdateError install_work_prepare(InstallWork *work, ErrorText *error);

/* Whether it may be that not all of the payload is fetched, so that its metadata comes alone. */
bool install_work_may_fetch_less(const InstallWork *work);

/* Everything was applied: checks the digests of the stream where it was seen whole, builds the
 * tree, reads the slot and the files back. */
UpdateError install_work_prove(InstallWork *work, ErrorText *error);

/* Puts the files in their places, lets go of the target, and runs the image's postinst. */
UpdateError install_work_postinst(InstallWork *work, ErrorText *error);

/* When an install fails or is given up after that: takes back what the program did to the slot's
 * bits. Always UPDATE_OK; that it failed is logged. */
UpdateError install_work_undo(InstallWork *work, ErrorText *error);

/* Puts the files in their places, if that was not done; then the flip. */
UpdateError install_work_commit(InstallWork *work, ErrorText *error);

/* Removes checkpoint and kept metadata: the next install begins anew. Always UPDATE_OK. */
UpdateError install_work_forget(InstallWork *work, ErrorText *error);
