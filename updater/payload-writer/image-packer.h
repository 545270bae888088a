/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An image cut into chunks of 1 MiB of target, compressed by worker threads, the blobs laid one
 * behind the other. A chunk is one operation; in a delta it is up to three: zeros, copies of the
 * old image, and what is new, as a patch or compressed, whatever is smallest. The same images and
 * level give the same bytes, however many threads. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload-writer/block-map.h"
#include "updater/payload/manifest.h"

#define IMAGE_PACKER_OPERATION_BYTES (1 << 20) /* of target */

/* The default: measured on 200 MiB of a Debian's /usr in frames of 16 KiB, one core of the day,
 * level 1 gives 92.5 MB at 220 MB/s, 3 gives 89.8 at 167, 5 gives 87.0 at 78, 9 gives 86.5 at 23,
 * 12 gives 82.5 at 11 and 19 gives 81.5 at 4. Above 5 time grows faster than what is saved. */
#define IMAGE_PACKER_LEVEL 5

/* The default of what a frame holds, by tests/bench/frames: 256 MiB of ext4 with a Debian's /usr,
 * of which 5 % of the files were changed and the image made anew, at level 5:
 *
 *     KiB             4     8    16    32    64   128   256    (1024)
 *     payload, MB  89.4  83.9  80.0  78.4  76.6  75.0  73.5    (70.3)
 *     fetched, MB  5.24  5.18  5.52  6.61  8.57  12.2  18.0
 *     part of it   5.9%  6.2%  6.9%  8.4%   11%   16%   24%
 *
 * 16 KiB is the largest of which a machine fetches less than 7.5 % of the payload, the index
 * included; at the levels 3, 9 and 12 the parts are the same. With 8 KiB the payload is 5 % larger,
 * and 6 % less of it is fetched; with 4 KiB the larger lists of frames take even that away. No size
 * is both fetched so and within 8 % of the payload of 1 MiB frames: that would take frames that
 * refer to what lies before them. */
#define IMAGE_PACKER_FRAME_BYTES (16 * 1024)
#define IMAGE_PACKER_FRAME_PREFIX_BYTES (128 * 1024)

typedef struct {
    unsigned n_threads;        /* 0: one per processor, at most 32 */
    int level;                 /* of zstd; 0: IMAGE_PACKER_LEVEL */
    size_t frame_target_bytes; /* of zstd's frames; 0: IMAGE_PACKER_FRAME_BYTES */
    size_t frame_prefix_bytes; /* before each, to which it may refer; 0: none */
    bool is_bzip2;             /* for format 1: bzip2 at its best, and no zeros that are not data */
    const BlockMap *map;       /* of this image, borrowed: a delta; NULL */
    uint64_t n_image_bytes;    /* where the image ends, perhaps inside the last block */
    /* Called by one thread at a time with the bytes read since the last call; may be NULL. */
    void (*on_progress)(uint64_t n_bytes, void *userdata);
    void *userdata;
} ImagePackerOptions;

/* Operations whose arrays are inside the object. */
typedef struct PackedImage PackedImage;
void packed_image_free(PackedImage *image);
DEFINE_CLEANUP(PackedImage *, packed_image_free);
const Operation *packed_image_operations(const PackedImage *image, size_t *ret_n_operations);

/* Packs the blocks of image_fd that lie in the parts; no operation holds blocks of two parts. Blobs
 * are appended to blob_fd at *n_blob_bytes, which is advanced; operations' offsets count from 0 of
 * that file. Memory is about 5 MiB a thread, of a delta 40. Blocks.
 * Errors: -EINVAL for a level that zstd does not have or frames that the manifest does not know,
 * -ENOMEM, errno of read, write and thread; *n_blob_bytes is then anywhere. */
int image_packer_run(const ImagePackerOptions *options, int image_fd, const Extent *parts,
        size_t n_parts, int blob_fd, uint64_t *n_blob_bytes, PackedImage **ret_image,
        ErrorText *error);
