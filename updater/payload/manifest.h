/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The manifest of a payload, read out of its protobuf and checked as a whole: what a Manifest says
 * can be acted upon without further bounds checks. Format 2 is AOSP's update_metadata.proto with
 * our fields from 1000 up (updater/payload/manifest.proto), format 1 is CoreOS's
 * (updater/payload/manifest-v1.proto). Everything is inside the object. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/update-error.h"
#include "verity/hash-tree.h"

#define MANIFEST_BLOCK_BYTES 4096
#define MANIFEST_FRAME_BYTES (16 * 1024)      /* of target per zstd frame, where none is said */
#define MANIFEST_FRAME_MAX_BYTES (256 * 1024) /* the least is a block */
#define MANIFEST_FRAME_PREFIX_MAX_BYTES (128 * 1024)
#define MANIFEST_OPERATION_MAX_BYTES (8 << 20) /* of target, of blob and of source, per operation */
#define MANIFEST_V1_BLOB_MAX_BYTES (32 << 20)  /* format 1: of blob; of target there is no bound */
#define MANIFEST_FILE_MAX_BYTES (1 << 30)      /* of what a procedure of format 1 installs */
#define MANIFEST_PARTITIONS_MAX 16

/* AOSP's minor versions of format 2: what operations a delta may have. 1, in place, is not known;
 * from 7 on a payload may leave out partitions. */
#define MANIFEST_MINOR_FULL 0
#define MANIFEST_MINOR_SOURCE 2 /* the first with SOURCE_COPY and SOURCE_BSDIFF */
#define MANIFEST_MINOR_VERITY 6 /* with hash trees that the client makes; of what is written here */

typedef enum { /* the numbers of the formats */
    OPERATION_REPLACE = 0,
    OPERATION_REPLACE_BZ = 1,
    OPERATION_MOVE = 2,        /* format 1: within the target; all is read before any is written */
    OPERATION_BSDIFF = 3,      /* format 1: the same, patched (bsdiff's BSDIFF40) */
    OPERATION_SOURCE_COPY = 4, /* of the partition's source, which is the slot that runs */
    OPERATION_SOURCE_BSDIFF = 5, /* the same, patched (bsdiff's BSDIFF40) */
    OPERATION_ZERO = 6,
    OPERATION_DISCARD = 7, /* reads back as zeros here: written as ZERO */
    OPERATION_REPLACE_XZ = 8,
    OPERATION_REPLACE_ZSTD = 14,
    OPERATION_REPLACE_ZSTD_PREFIX = 1000, /* of frames that refer to what lies before them */
} OperationType;

#define EXTENT_HOLE UINT64_MAX /* start_block of blocks that are nowhere; in format 1 alone */

typedef struct {
    uint64_t start_block;
    uint64_t n_blocks;
} Extent;

typedef struct {
    OperationType type;
    size_t partition;           /* its index */
    uint64_t data_offset_bytes; /* of the blob, from the first blob of the file */
    uint64_t n_data_bytes;      /* 0 for ZERO and DISCARD */
    Sha256 data_sha256;         /* of the blob; set where n_data_bytes is not 0 */
    const Extent *dst_extents;
    size_t n_dst_extents;
    uint64_t n_dst_bytes;      /* sum of the extents */
    uint64_t n_short_bytes;    /* by so much may the data yield less; 0 in format 2 */
    const Extent *src_extents; /* of operations that read a source; else none */
    size_t n_src_extents;
    uint64_t n_src_bytes; /* sum of the extents; BSDIFF may end before, in the last block */
    bool has_src_sha256;
    Sha256 src_sha256;           /* of what the source extents hold, one behind the other */
    const uint32_t *frame_bytes; /* REPLACE_ZSTD: compressed size of each frame; may be absent.
                                    REPLACE_ZSTD_PREFIX: the same; never absent */
    size_t n_frames;
    uint32_t frame_target_bytes; /* of REPLACE_ZSTD_PREFIX, as the manifest says both: of each frame
                                    but the last, */
    uint32_t frame_prefix_bytes; /* and before it, to which it may refer */
} Operation;

typedef enum {
    PARTITION_SLOT,
    PARTITION_KERNEL,     /* a file, in format 1 */
    PARTITION_PCR_POLICY, /* the same */
    PARTITION_UNKNOWN,    /* a procedure of format 1 that is not known here: of no effect */
} PartitionKind;

typedef struct {
    const char *name;
    PartitionKind kind;
    uint64_t size_bytes; /* what hash covers: data, tree, what follows; in format 2 a multiple of
                            4096 */
    Sha256 hash;
    bool has_source;       /* a delta: operations may read what the slot that runs holds */
    uint64_t source_bytes; /* multiple of 4096 */
    Sha256 source_hash;
    const Operation *operations; /* of the manifest's, those of this partition */
    size_t n_operations;
    bool has_verity;
    VerityParameters verity;   /* data is blocks [0, n_data_blocks) of the partition */
    uint64_t tree_start_block; /* the client builds the tree here */
    uint64_t n_tree_blocks;
    Sha256 root_hash;
    bool has_rest_hash;
    Sha256 rest_hash;           /* of [data, size_bytes): the tree and what follows */
    const uint8_t *block_index; /* 8 bytes a data block; NULL when absent */
} PartitionUpdate;

typedef struct Manifest {
    unsigned format;            /* 1 or 2 */
    unsigned minor_version;     /* of format 2: MANIFEST_MINOR_FULL, else it is a delta */
    const char *product;        /* "" in format 1, which does not say, and only there */
    const char *version;        /* the same */
    const char *min_version;    /* oldest running version that may install this; "" for any */
    const char *source_version; /* of a delta: what holds its sources; "" when it does not say */
    size_t frame_target_bytes;  /* of each zstd frame but an operation's last: a power of 2 from
                                   MANIFEST_BLOCK_BYTES to MANIFEST_FRAME_MAX_BYTES */
    size_t frame_prefix_bytes;  /* 0, or a multiple of MANIFEST_BLOCK_BYTES up to
                                   MANIFEST_FRAME_PREFIX_MAX_BYTES */
    const PartitionUpdate *partitions;
    size_t n_partitions;
    const Operation *operations; /* of all; data_offset_bytes ascends without gaps */
    size_t n_operations;
    uint64_t signatures_offset_bytes; /* of the payload signature, from the first blob */
    uint64_t n_signatures_bytes;
    uint64_t n_blob_bytes; /* all blobs with the payload signature: file size - metadata */
} Manifest;

/* Reads n_bytes at data (borrowed) of a payload of this format.
 *
 * Format 2 is checked for: block size, known operation types, blobs consecutive up
 * to signatures_offset, every blob with a hash, extents inside size_bytes, none empty, the tree's
 * extent behind the data, inside size_bytes and of the right size, every other block of the
 * partition written by exactly one operation, index length, frames of a size that is known, which
 * add up and refer to no more than is said, names unique and printable; of a delta also that
 * operations read inside source_bytes and say the hash of what they read, and that a full payload
 * reads nothing.
 *
 * Format 1 is checked for: block size, known operation types, blobs consecutive up to
 * signatures_offset, every blob with a hash, extents and lengths that no arithmetic can overflow,
 * a partition and at most one kernel and one PCR policy with size and hash. The first partition is
 * the slot's.
 *
 * Memory is bounded by a multiple of n_bytes and by n_bytes + 97 MiB.
 * Returns UPDATE_OK, UPDATE_ERROR_MANIFEST, UPDATE_ERROR_VERSION_REFUSED (minor version),
 * UPDATE_ERROR_NO_SIGNATURE, UPDATE_ERROR_NO_PARTITION_INFO, UPDATE_ERROR_OPERATION_HASH (a blob
 * without one), or UPDATE_ERROR_GENERIC for lack of memory. */
UpdateError manifest_parse(unsigned format, const uint8_t *data, size_t n_bytes,
        Manifest **ret_manifest, ErrorText *error);
void manifest_free(Manifest *manifest);
DEFINE_CLEANUP(Manifest *, manifest_free);
