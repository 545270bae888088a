/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes a payload (updater/payload/payload-header.h) out of partition images. The same images,
 * names, keys and level give the same bytes, whatever the threads (RSA and Ed25519 signatures do
 * not depend on chance). Blobs are spooled to a file without a name beside the payload, so twice
 * the payload's size is taken on the disk; memory is bounded but for the manifest. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload-writer/signing-key.h"
#include "verity/hash-tree.h"

typedef struct PayloadWriter PayloadWriter;

typedef struct {
    unsigned format; /* 1, or 0 and 2; format 1 has no product, versions, tree and level */
    const char *product;
    const char *version;
    const char *min_version; /* "" or NULL: any running version may install it */
    /* Of a delta: what the old images hold; NULL: as their trailers say. */
    const char *source_version;
    unsigned n_threads;        /* 0: one per processor */
    int level;                 /* of zstd; 0: IMAGE_PACKER_LEVEL */
    size_t frame_target_bytes; /* of zstd's frames; 0: IMAGE_PACKER_FRAME_BYTES */
    size_t frame_prefix_bytes; /* before each, to which it may refer; 0: none */
    bool without_verity;       /* images come as they are and no tree is made */
    bool has_salt;             /* of the tree; else derived from product and partition */
    uint8_t salt[VERITY_SALT_MAX_BYTES];
    size_t n_salt_bytes;
    /* n_done of n_total bytes of partition `name` were read (each is read twice or thrice); called
     * by any thread, one at a time. May be NULL. */
    void (*on_progress)(const char *name, uint64_t n_done, uint64_t n_total, void *userdata);
    void *userdata;
} PayloadWriterOptions;

/* Opens the output. options, its texts and out_path are borrowed for the writer's life.
 * Errors: -EINVAL, -ENOMEM, errno. */
int payload_writer_new(const char *out_path, const PayloadWriterOptions *options,
        PayloadWriter **ret_writer, ErrorText *error);

/* Leaves nothing behind unless payload_writer_finish() succeeded. */
void payload_writer_free(PayloadWriter *writer);
DEFINE_CLEANUP(PayloadWriter *, payload_writer_free);

/* Signs with key (borrowed until the end), beside the other keys. Errors: -E2BIG, -EINVAL for an
 * Ed25519 key in format 1. */
int payload_writer_add_key(PayloadWriter *writer, const SigningKey *key, ErrorText *error);

/* Leaves room for a signature of n_bytes that `update-payload sign` puts in later.
 * Errors: -EINVAL, -E2BIG. */
int payload_writer_add_open_signature(PayloadWriter *writer, size_t n_bytes, ErrorText *error);

/* Packs an image (regular file or block device) as partition `name` (copied). old_path (NULL: none)
 * is the image that the partition holds on machines that are to install it: a delta. An image
 * that does not end on a block of 4096 bytes is padded with zeros; *ret_n_padded_bytes says by how
 * much. In format 1 nothing is padded, the slot's image is the first, and "KERNEL" and "PCR_POLICY"
 * may follow. Blocks.
 * Errors: -EINVAL (name, empty image, image that changed meanwhile, old image of another product or
 * version), -ENOMEM, errno. */
int payload_writer_add_partition(PayloadWriter *writer, const char *name, const char *image_path,
        const char *old_path, size_t *ret_n_padded_bytes, ErrorText *error);

/* Writes, signs and syncs the payload and puts it in its place. The writer can only be freed
 * afterwards. Blocks. Errors: -EINVAL (no partition, no signature, product, version), errno. */
int payload_writer_finish(PayloadWriter *writer, ErrorText *error);
