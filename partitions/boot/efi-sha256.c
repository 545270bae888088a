/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"
#include "partitions/boot/small-sha256.h"

Sha256 sha256_of(const void *data, size_t n_bytes)
{
    return small_sha256(data, n_bytes);
}
