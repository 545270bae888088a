/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The proof before the flip (promise 3): the tree is built from what the device reads back, and
 * all of the slot is held against the signed manifest. And the proof before a rollback. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/slot/install-target.h"
#include "updater/slot/read-back.h"
#include "updater/payload/manifest.h"
#include "updater/update-error.h"
#include "verity/hash-tree.h"

/* Syncs the target, reads its data once past the page cache, builds and writes the verity tree
 * where the partition has one, syncs it, reads it back, and compares root and hash. read_back has
 * seen every operation, and so has read the data already; NULL: nobody has. n_bytes_done
 * advances up to partition->size_bytes. Blocks for as long as reading the slot takes.
 * Returns UPDATE_OK, UPDATE_ERROR_WRITE (sync), UPDATE_ERROR_VERIFIER_IO (read),
 * UPDATE_ERROR_VERITY (the tree cannot be built or its root is not the signed one),
 * UPDATE_ERROR_PARTITION_HASH, UPDATE_ERROR_CANCELLED, UPDATE_ERROR_GENERIC (memory). */
UpdateError slot_proof_build(InstallTarget *target, const PartitionUpdate *partition,
        const ReadBack *read_back, unsigned n_threads, _Atomic uint64_t *n_bytes_done,
        const atomic_bool *is_cancelled, ErrorText *error);

/* What a slot holds, as it was proven; kept so that a rollback can prove it again. */
typedef struct {
    char version[129];
    char product[129];
    uint64_t size_bytes; /* covered by sha256 */
    Sha256 sha256;       /* of the first size_bytes of the slot */
    bool has_verity;
    VerityParameters verity;
    uint64_t tree_start_block;
    Sha256 root_hash;
} SlotContent;

/* Proves that a slot holds what content says: hash, and the verity tree where it has one. Blocks;
 * for a worker thread. n_bytes_done and is_cancelled may be NULL.
 * Errors: -EBADMSG with the reason, -ECANCELED, errno. */
int slot_proof_check(const char *disk_path, const char *label, const SlotContent *content,
        _Atomic uint64_t *n_bytes_done, const atomic_bool *is_cancelled, ErrorText *error);
