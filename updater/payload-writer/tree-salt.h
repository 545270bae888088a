/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The salt of a hash tree for which nobody has named one. */

#include "verity/hash-tree.h"

/* Sets salt and its length. The same partition of the same product keeps its salt from version to
 * version: a client can then look its own blocks up in the tree that it runs from instead of
 * hashing them. Pure. */
void tree_salt_derive(const char *product, const char *partition, VerityParameters *ret_parameters);
