/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The manifest of a payload, read out of its protobuf (updater/payload/manifest.proto, AOSP's
 * update_metadata.proto with our fields from 1000 up) and checked as a whole: what a Manifest
 * says can be acted upon without further bounds checks. Everything is inside the object. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/update-error.h"
#include "verity/hash-tree.h"

#define MANIFEST_BLOCK_BYTES 4096
#define MANIFEST_FRAME_BYTES (16 * 1024)       /* of target per zstd frame */
#define MANIFEST_OPERATION_MAX_BYTES (8 << 20) /* of target, and of blob, per operation */
#define MANIFEST_PARTITIONS_MAX 16

typedef enum { /* the numbers of the format */
    OPERATION_REPLACE = 0,
    OPERATION_REPLACE_BZ = 1,
    OPERATION_SOURCE_COPY = 4,   /* of the partition's source, which is the slot that runs */
    OPERATION_SOURCE_BSDIFF = 5, /* the same, patched (bsdiff's BSDIFF40) */
    OPERATION_ZERO = 6,
    OPERATION_DISCARD = 7, /* reads back as zeros here: written as ZERO */
    OPERATION_REPLACE_XZ = 8,
    OPERATION_REPLACE_ZSTD = 14,
} OperationType;

typedef struct {
    uint64_t start_block;
    uint64_t n_blocks;
} Extent;

typedef struct {
    OperationType type;
    uint64_t data_offset_bytes; /* of the blob, from the first blob of the file */
    uint64_t n_data_bytes;      /* 0 for ZERO and DISCARD */
    Sha256 data_sha256;         /* of the blob; set where n_data_bytes is not 0 */
    const Extent *dst_extents;
    size_t n_dst_extents;
    uint64_t n_dst_bytes;      /* sum of the extents */
    const Extent *src_extents; /* of operations that read a source; else none */
    size_t n_src_extents;
    uint64_t n_src_bytes; /* sum of the extents */
    bool has_src_sha256;
    Sha256 src_sha256;           /* of what the source extents hold, one behind the other */
    const uint32_t *frame_bytes; /* REPLACE_ZSTD: compressed size of each frame; may be absent */
    size_t n_frames;
} Operation;

typedef struct {
    const char *name;
    uint64_t size_bytes; /* what hash covers: data, tree, what follows; multiple of 4096 */
    Sha256 hash;
    bool has_source;       /* a delta: operations may read what the slot that runs holds */
    uint64_t source_bytes; /* multiple of 4096 */
    Sha256 source_hash;
    const Operation *operations; /* data_offset_bytes ascends without gaps */
    size_t n_operations;
    bool has_verity;
    VerityParameters verity;   /* data is blocks [0, n_data_blocks) of the partition */
    uint64_t tree_start_block; /* the client builds the tree here */
    uint64_t n_tree_blocks;
    Sha256 root_hash;
    const uint8_t *block_index; /* 8 bytes a data block; NULL when absent */
} PartitionUpdate;

typedef struct Manifest {
    const char *product;     /* never empty */
    const char *version;     /* never empty */
    const char *min_version; /* oldest running version that may install this; "" for any */
    const PartitionUpdate *partitions;
    size_t n_partitions;
    uint64_t signatures_offset_bytes; /* of the payload signature, from the first blob */
    uint64_t n_signatures_bytes;
    uint64_t n_blob_bytes; /* all blobs with the payload signature: file size - metadata */
} Manifest;

/* Reads n_bytes at data (borrowed). Checks: block size, known operation types, blobs consecutive up
 * to signatures_offset, every blob with a hash, extents inside size_bytes, none empty, the tree's
 * extent behind the data, inside size_bytes and of the right size, every other block of the
 * partition written by exactly one operation, index length, frames that add up, names unique and
 * printable. Memory is bounded by a multiple of n_bytes and by n_bytes + 97 MiB.
 * Returns UPDATE_OK, UPDATE_ERROR_MANIFEST, UPDATE_ERROR_VERSION_REFUSED (minor version),
 * UPDATE_ERROR_NO_SIGNATURE, UPDATE_ERROR_NO_PARTITION_INFO, UPDATE_ERROR_OPERATION_HASH (a blob
 * without one), or UPDATE_ERROR_GENERIC for lack of memory. */
UpdateError manifest_parse(
        const uint8_t *data, size_t n_bytes, Manifest **ret_manifest, ErrorText *error);
void manifest_free(Manifest *manifest);
DEFINE_CLEANUP(Manifest *, manifest_free);
