/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 (FIPS 180-4) in little code, for the boot chooser, which has no OpenSSL. */

#include <stddef.h>

#include "common/sha256.h"

/* The digest of n bytes at data (borrowed). */
Sha256 small_sha256(const void *data, size_t n_bytes);
