/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a slot holds what its own trailer says. The one file of partitions/ that stands on
 * verity/: a library of its own, so that the boot chooser and the others need no threads. All calls
 * block, and read at offset_bytes of fd, where the slot begins: one of slot_reader_open(). */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "partitions/slot-trailer.h"
#include "verity/hash-tree.h"

/* What the trailer's tree is made from. */
VerityParameters slot_verify_parameters(const SlotTrailer *trailer);

/* Holds file system and hash tree against the trailer's root hash; without a tree there is nothing
 * to hold against and this is a success. run may be NULL.
 * Errors: -EBADMSG with the first wrong block in error; else as verity_tree_verify(). */
int slot_verify_tree(int fd, uint64_t offset_bytes, const SlotTrailer *trailer,
        const VerityRun *run, ErrorText *error);

/* Holds the UKI against the trailer's digest, where there is one. is_cancelled may be NULL.
 * Errors: -EBADMSG, -ECANCELED, -ENOMEM, errno of read; in error. */
int slot_verify_uki(int fd, uint64_t offset_bytes, const SlotTrailer *trailer,
        const atomic_bool *is_cancelled, ErrorText *error);
