/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What one slot holds (BOOT.md, partitions/slot-trailer.h), made of a file system:
 *
 *     | file system | hash tree | kernel image (UKI) | nothing | trailer |
 *
 * The root hash of the tree goes into the kernel's command line as flipside.usrhash=. */

#include <stdbool.h>

#include "common/error-text.h"
#include "updater/image/uki.h"
#include "verity/hash-tree.h"

/* Paths and texts are borrowed. */
typedef struct {
    const char *fs_path; /* a regular file or a block device */
    const char *product; /* printable ASCII */
    const char *version;
    bool has_salt; /* of the tree; else derived from the product */
    uint8_t salt[VERITY_SALT_MAX_BYTES];
    size_t n_salt_bytes;
    bool has_uki;
    UkiOptions uki;      /* product and version are set by slot_image_make() */
    const char *cmdline; /* of the kernel, without the root hash; "" allowed */
    uint64_t size_bytes; /* of the image, which ends with the trailer; 0: what is needed */
    unsigned n_threads;  /* 0: one per processor */
} SlotImageOptions;

typedef struct {
    Sha256 root_hash;
    uint64_t size_bytes;
    size_t n_padded_bytes; /* zeros that were added to the file system */
} SlotImageReport;

/* Makes the image and puts it at out_path as a whole. Blocks. Errors: -EINVAL an option, or the
 * file system is empty; -ENOSPC size_bytes is not enough; as uki_make(), errno. */
int slot_image_make(const SlotImageOptions *options, const char *out_path,
        SlotImageReport *ret_report, ErrorText *error);
