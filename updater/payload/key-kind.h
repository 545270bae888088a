/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which keys sign payloads: RSA of 2048 to 4096 bits, and Ed25519. */

#include <openssl/evp.h>

#include "common/error-text.h"

/* Looks at a public or private key (borrowed); path is for the text.
 * Errors, with error: -EINVAL when it is another kind or has too few or too many bits. */
int key_kind_check(const EVP_PKEY *key, const char *path, ErrorText *error);
