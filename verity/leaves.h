/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The digests of data blocks, which are the leaves of a hash tree: as a tree has them, which is
 * quick and proves nothing, or by hashing the blocks. Both block. */

#include "verity/hash-tree.h"

/* Takes the digests of n_digests blocks, of which the first is first_block; called in block order,
 * by one thread at a time. A negative return ends the walk with it. */
typedef int (*VerityLeavesTaker)(
        uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata);

/* Out of the lowest level of a tree, of which nothing is checked. is_cancelled may be NULL.
 * Errors: -EINVAL (parameters out of range), -ENOMEM, -ECANCELED, errno of read, the taker's. */
int verity_leaves_read(const VerityParameters *parameters, VerityRegion tree,
        const atomic_bool *is_cancelled, VerityLeavesTaker take, void *userdata);

/* By hashing the data, with several threads. run may be NULL.
 * Errors: as above, with error. */
int verity_leaves_hash(const VerityParameters *parameters, VerityRegion data, const VerityRun *run,
        VerityLeavesTaker take, void *userdata, ErrorText *error);
