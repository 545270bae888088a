/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The other direction of manifest_parse(): a manifest as protobuf. */

#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "updater/payload/manifest.h"

/* Checks the manifest (borrowed) and writes it; *ret_data is new. The same manifest gives the same
 * bytes. Errors: -EINVAL when manifest_check() refuses it, -ENOMEM. */
int manifest_write(
        const Manifest *manifest, uint8_t **ret_data, size_t *ret_n_bytes, ErrorText *error);

/* The same in format 1, of partitions that the image packer made: the slot's first, then kernel and
 * PCR policy. Names and versions are not in it. Errors: -EFBIG beyond 4 GiB of blobs, -ENOMEM. */
int manifest_write_v1(
        const Manifest *manifest, uint8_t **ret_data, size_t *ret_n_bytes, ErrorText *error);
