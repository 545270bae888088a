/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The digests of data blocks, which are the leaves of a hash tree: as a tree has them, which is
 * quick and proves nothing, or by hashing the blocks; and into a tree. All block. */

#include <stdbool.h>

#include "verity/hash-tree.h"

/* Takes the digests of n_digests blocks, of which the first is first_block; called in block order,
 * by one thread at a time. A negative return ends the walk with it. */
typedef int (*VerityLeavesTaker)(
        uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata);

/* Out of the lowest level of a tree, of which nothing is checked. is_cancelled may be NULL.
 * Errors: -EINVAL (parameters out of range), -ENOMEM, -ECANCELED, errno of read, the taker's. */
int verity_leaves_read(const VerityParameters *parameters, VerityRegion tree,
        const atomic_bool *is_cancelled, VerityLeavesTaker take, void *userdata);

/* Puts digests of data blocks, of which the first is first_block, to their place in the lowest
 * level of a tree; the rest of that is left as it is. only_changes: hash blocks that hold them
 * already are read and not written. tree: a descriptor for reading and writing, not of O_DIRECT.
 * Several threads at once may write different digests; the level's end and those above are
 * verity_tree_build_above()'s. Errors: -EINVAL (parameters or blocks out of range), errno of read
 * and write. */
int verity_leaves_write(const VerityParameters *parameters, VerityRegion tree, uint64_t first_block,
        const Sha256 *digests, size_t n_digests, bool only_changes);

/* By hashing the data, with several threads. run may be NULL.
 * Errors: as above, with error. */
int verity_leaves_hash(const VerityParameters *parameters, VerityRegion data, const VerityRun *run,
        VerityLeavesTaker take, void *userdata, ErrorText *error);
