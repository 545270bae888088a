/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The block index: the first 8 bytes of every data block's digest, in block order. It travels in
 * the payload and says which blocks a client has already (DESIGN.md sections 4 and 5). A match is
 * a strong hint, not a proof: the tree's root is the proof. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"

#define BLOCK_INDEX_ENTRY_BYTES 8

/* Writes n_digests entries to ret_index. */
void block_index_fill(const Sha256 *digests, size_t n_digests, uint8_t *ret_index);

/* Whether the digest begins as entry i of index (which holds more than i entries) says. */
bool block_index_matches(const uint8_t *index, uint64_t i, const Sha256 *digest);
