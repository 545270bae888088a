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

/* The default: measured on 200 MiB of a Debian's /usr in frames of 16 KiB that stand alone, one
 * core of the day, level 1 gives 92.5 MB at 220 MB/s, 3 gives 89.8 at 167, 5 gives 87.0 at 78, 9
 * gives 86.5 at 23, 12 gives 82.5 at 11 and 19 gives 81.5 at 4. Above 5 time grows faster than what
 * is saved.
 *
 * With a prefix, which is looked through anew for each frame, most of the time goes there. 64 MiB
 * of the same kind with prefixes of 128 KiB: 3 gives 24.5 MB at 107 MB/s, 5 gives 23.6 at 37, 7
 * gives 23.0 at 30, 9 gives 22.8 at 23, 10 gives 22.7 at 20; from 11 on, which keep it in trees,
 * the rate is 2 MB/s. */
#define IMAGE_PACKER_LEVEL 5

/* What create has for frames and prefixes, by tests/bench/frames: 256 MiB of ext4 with a Debian's
 * /usr, of which 5 % of the files were changed and the image made anew, at level 5; frames of 1 MiB
 * that stand alone give 76.9 MB.
 *
 *     frames, KiB               4     8    16    32    64   128   256
 *
 *     payload, MB            97.5  91.2  86.7  84.8  82.6  81.1  79.0
 *     prefix of 32 KiB       84.1  82.1  81.0  80.2  79.9  79.1  78.4
 *     prefix of 64 KiB       82.5  80.8  79.8  79.3  79.1  78.5  78.0
 *     prefix of 128 KiB      80.9  79.1  78.1  77.7  77.7  77.7  77.6
 *
 *     fetched, MB            5.93  5.72  5.78  6.30  7.25  8.89  11.2
 *     prefix of 128 KiB      5.15  5.12  5.31  5.87  6.89  8.59  11.0
 *     part of its payload    6.4%  6.5%  6.8%  7.5%  8.9%   11%   14%
 *
 * 16 KiB is the largest of which a machine fetches less than 7.5 % of the payload, the index
 * included; at level 9 the parts are the same. With 8 KiB the payload is 1 % larger, and 4 % less
 * of it is fetched. The prefix costs the machine nothing: it has what lies before a frame when it
 * comes to it. It costs time where the payload is made: at 128 KiB two to three times as much as
 * none. */
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
