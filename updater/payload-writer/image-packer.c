/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/image-packer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <zstd.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "common/processors.h"
#include "updater/payload-writer/delta-chunk.h"
#include "updater/payload-writer/operation-encoder.h"
#include "updater/payload/manifest-check.h"

/* Each worker takes the next chunk, compresses it into a slot of a ring, and whoever completes the
 * ring's head writes what has become consecutive. So the order of the blobs is that of the image,
 * a slow chunk does not stop the others, and memory is the ring's. */
#define CHUNK_BYTES ((size_t)IMAGE_PACKER_OPERATION_BYTES)
#define CHUNK_BLOCKS (CHUNK_BYTES / MANIFEST_BLOCK_BYTES)
#define THREADS_MAX 32
#define SLOT_BYTES OPERATION_ENCODER_ROOM_BYTES

static_assert(CHUNK_BYTES <= OPERATION_ENCODER_MAX_BYTES, "a chunk is one blob");
static_assert(CHUNK_BLOCKS <= DELTA_CHUNK_BLOCKS, "the same");

/* A chunk of the target: one operation, in a delta up to three, and the arrays that they point to.
 * No more than one of them has a blob. */
#define OPERATIONS_PER_CHUNK 3

typedef struct {
    Extent extent;
    Operation operations[OPERATIONS_PER_CHUNK];
    size_t n_operations;
    Extent *extents; /* of a delta */
    size_t n_extents;
    uint32_t frame_bytes[OPERATION_ENCODER_FRAMES_MAX];
} PackedChunk;

struct PackedImage {
    PackedChunk *chunks;
    size_t n_chunks;
    Operation *operations; /* of all chunks */
    size_t n_operations;
};

typedef struct {
    uint8_t *data; /* SLOT_BYTES */
    bool is_done;
} Slot;

typedef struct {
    const ImagePackerOptions *options;
    EncodeFrames frames;
    int image_fd;
    int blob_fd;
    PackedImage *image;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t has_room;
    Slot *slots;
    size_t n_slots;
    size_t next_taken;
    size_t next_written;
    uint64_t n_blob_bytes;
    int failure; /* the first one; everybody stops */
    ErrorText error;
} Packer;

/* What one worker needs. */
typedef struct {
    OperationEncoder *encoder;
    DeltaChunk *delta; /* NULL: full */
    uint8_t *chunk;    /* CHUNK_BYTES */
    uint8_t *patch;    /* the same, of a delta */
    ErrorText error;
} Desk;

void packed_image_free(PackedImage *image)
{
    if (!image)
        return;
    for (size_t i = 0; i < image->n_chunks; i++)
        free(image->chunks[i].extents);
    free(image->operations);
    free(image->chunks);
    free(image);
}

const Operation *packed_image_operations(const PackedImage *image, size_t *ret_n_operations)
{
    *ret_n_operations = image->n_operations;
    return image->operations;
}

/* The one operation of a full payload. */
static int pack_whole(
        Packer *packer, Desk *desk, PackedChunk *packed, size_t n_bytes, uint8_t *ret_data)
{
    Operation *operation = &packed->operations[0];
    *operation = (Operation){
            .type = OPERATION_ZERO,
            .dst_extents = &packed->extent,
            .n_dst_extents = 1,
            .n_dst_bytes = packed->extent.n_blocks * MANIFEST_BLOCK_BYTES,
    };
    packed->n_operations = 1;
    bool is_bzip2 = packer->options->is_bzip2;
    if (!is_bzip2 && bytes_are_zero(desk->chunk, n_bytes))
        return 0;
    int r = operation_encode(desk->encoder, is_bzip2 ? ENCODE_BZIP2 : ENCODE_ZSTD, desk->chunk,
            n_bytes, ret_data, packed->frame_bytes, operation);
    if (r == 0)
        operation->data_sha256 = sha256_of(ret_data, (size_t)operation->n_data_bytes);
    return r;
}

/* Another operation; its extents are copied behind those that the chunk has. */
static Operation *add_operation(
        PackedChunk *packed, OperationType type, const DeltaExtents *dst, const DeltaExtents *src)
{
    Operation *operation = &packed->operations[packed->n_operations++];
    Extent *extents = packed->extents + packed->n_extents;
    *operation = (Operation){
            .type = type,
            .dst_extents = extents,
            .n_dst_extents = dst->n_extents,
            .n_dst_bytes = dst->n_blocks * MANIFEST_BLOCK_BYTES,
    };
    memcpy(extents, dst->extents, dst->n_extents * sizeof(*extents));
    packed->n_extents += dst->n_extents;
    if (!src)
        return operation;
    extents += dst->n_extents;
    operation->src_extents = extents;
    operation->n_src_extents = src->n_extents;
    operation->n_src_bytes = src->n_blocks * MANIFEST_BLOCK_BYTES;
    operation->has_src_sha256 = true;
    memcpy(extents, src->extents, src->n_extents * sizeof(*extents));
    packed->n_extents += src->n_extents;
    return operation;
}

/* What xz gains over zstd's frames at most, in what is found in images: it is slow, and not tried
 * where a patch is better by far. */
#define XZ_GAIN 4

/* Makes both, the patch in desk->patch, the other in ret_data. *ret_n_patch_bytes: 0 where what
 * replaces is the smaller. */
static int encode_rest(Desk *desk, PackedChunk *packed, uint8_t *ret_data, Operation *replacing,
        size_t *ret_n_patch_bytes)
{
    size_t n_bytes = (size_t)desk->delta->rest.n_blocks * MANIFEST_BLOCK_BYTES;
    int r = operation_encode(desk->encoder, ENCODE_ZSTD, desk->chunk, n_bytes, ret_data,
            packed->frame_bytes, replacing);
    if (r < 0)
        return r;
    size_t n_patch_bytes = 0;
    r = delta_chunk_patch(desk->delta, desk->chunk, desk->patch,
            (size_t)replacing->n_data_bytes - 1, &n_patch_bytes);
    if (r < 0 && r != -ENOSPC)
        return r;
    if (r == 0 && n_patch_bytes * XZ_GAIN < replacing->n_data_bytes) {
        *ret_n_patch_bytes = n_patch_bytes;
        return 0;
    }
    r = operation_encode_smaller(desk->encoder, desk->chunk, n_bytes, ret_data, replacing);
    *ret_n_patch_bytes = n_patch_bytes < replacing->n_data_bytes ? n_patch_bytes : 0;
    return r;
}

static int pack_rest(Desk *desk, PackedChunk *packed, uint8_t *ret_data)
{
    DeltaChunk *delta = desk->delta;
    Operation replacing = {0}, *operation;
    size_t n_patch_bytes;
    int r = encode_rest(desk, packed, ret_data, &replacing, &n_patch_bytes);
    if (r < 0)
        return r;
    if (n_patch_bytes > 0) {
        operation = add_operation(packed, OPERATION_SOURCE_BSDIFF, &delta->rest, &delta->window);
        operation->src_sha256 = delta->window_hash;
        operation->n_data_bytes = n_patch_bytes;
        memcpy(ret_data, desk->patch, n_patch_bytes);
    } else {
        operation = add_operation(packed, replacing.type, &delta->rest, NULL);
        operation->n_data_bytes = replacing.n_data_bytes;
        operation->frame_bytes = replacing.frame_bytes;
        operation->n_frames = replacing.n_frames;
        operation->frame_target_bytes = replacing.frame_target_bytes;
        operation->frame_prefix_bytes = replacing.frame_prefix_bytes;
    }
    operation->data_sha256 = sha256_of(ret_data, (size_t)operation->n_data_bytes);
    return 0;
}

/* Up to three operations: zeros, copies, and what is new. */
static int pack_delta(Desk *desk, PackedChunk *packed, uint8_t *ret_data)
{
    DeltaChunk *delta = desk->delta;
    int r = delta_chunk_divide(
            delta, packed->extent.start_block, (size_t)packed->extent.n_blocks, desk->chunk);
    if (r < 0)
        return error_say(
                &desk->error, r, "what the delta begins with cannot be read: %s", strerror(-r));
    size_t n_extents_max = delta->zeros.n_extents + delta->copies.n_extents +
                           delta->copy_sources.n_extents + delta->rest.n_extents +
                           DELTA_CHUNK_BLOCKS;
    packed->extents = calloc(n_extents_max, sizeof(*packed->extents));
    if (!packed->extents)
        return -ENOMEM;
    if (delta->zeros.n_blocks > 0)
        add_operation(packed, OPERATION_ZERO, &delta->zeros, NULL);
    if (delta->copies.n_blocks > 0)
        add_operation(packed, OPERATION_SOURCE_COPY, &delta->copies, &delta->copy_sources)
                ->src_sha256 = delta->copy_hash;
    return delta->rest.n_blocks > 0 ? pack_rest(desk, packed, ret_data) : 0;
}

/* Makes the operations of chunk i with their one blob in ret_data; where it lies is not known
 * yet. */
static int pack_chunk(Packer *packer, Desk *desk, size_t i, uint8_t *ret_data)
{
    PackedChunk *packed = &packer->image->chunks[i];
    uint64_t at_bytes = packed->extent.start_block * MANIFEST_BLOCK_BYTES;
    size_t n_dst_bytes = (size_t)packed->extent.n_blocks * MANIFEST_BLOCK_BYTES;
    size_t n_bytes = MIN(n_dst_bytes, packer->options->n_image_bytes - at_bytes);
    int r = fd_pread_full(packer->image_fd, desk->chunk, n_bytes, at_bytes);
    if (r < 0)
        return error_say(&desk->error, r, "the image cannot be read: %s", strerror(-r));
    if (!desk->delta)
        return pack_whole(packer, desk, packed, n_bytes, ret_data);
    memset(desk->chunk + n_bytes, 0, n_dst_bytes - n_bytes);
    return pack_delta(desk, packed, ret_data);
}

/* The mutex is held. */
static int write_blob(Packer *packer, PackedChunk *packed, const uint8_t *data)
{
    for (size_t i = 0; i < packed->n_operations; i++) {
        Operation *operation = &packed->operations[i];
        if (operation->n_data_bytes == 0)
            continue;
        operation->data_offset_bytes = packer->n_blob_bytes;
        int r = fd_pwrite_full(
                packer->blob_fd, data, (size_t)operation->n_data_bytes, packer->n_blob_bytes);
        if (r < 0)
            return r;
        packer->n_blob_bytes += operation->n_data_bytes;
    }
    return 0;
}

/* Writes the slots that have become consecutive. The mutex is held. */
static int write_head(Packer *packer, ErrorText *error)
{
    while (packer->next_written < packer->next_taken) {
        Slot *slot = &packer->slots[packer->next_written % packer->n_slots];
        if (!slot->is_done)
            return 0;
        PackedChunk *packed = &packer->image->chunks[packer->next_written];
        int r = write_blob(packer, packed, slot->data);
        if (r < 0)
            return error_say(error, r, "the payload cannot be written: %s", strerror(-r));
        slot->is_done = false;
        packer->next_written++;
        if (packer->options->on_progress)
            packer->options->on_progress(
                    packed->extent.n_blocks * MANIFEST_BLOCK_BYTES, packer->options->userdata);
    }
    return 0;
}

/* Waits for a slot; false when there is nothing left to do. The mutex is held. */
static bool take_chunk(Packer *packer, size_t *ret_i)
{
    while (packer->failure == 0 && packer->next_taken < packer->image->n_chunks &&
            packer->next_taken >= packer->next_written + packer->n_slots)
        pthread_cond_wait(&packer->has_room, &packer->mutex);
    if (packer->failure < 0 || packer->next_taken == packer->image->n_chunks)
        return false;
    *ret_i = packer->next_taken++;
    return true;
}

static void work(Packer *packer, Desk *desk)
{
    size_t i;
    pthread_mutex_lock(&packer->mutex);
    while (take_chunk(packer, &i)) {
        Slot *slot = &packer->slots[i % packer->n_slots];
        pthread_mutex_unlock(&packer->mutex);
        int r = pack_chunk(packer, desk, i, slot->data);
        pthread_mutex_lock(&packer->mutex);
        slot->is_done = true;
        if (r >= 0)
            r = write_head(packer, &desk->error);
        if (r < 0 && packer->failure == 0) {
            packer->failure = r;
            packer->error = desk->error;
        }
        pthread_cond_broadcast(&packer->has_room);
    }
    pthread_mutex_unlock(&packer->mutex);
}

static int desk_init(Desk *desk, const Packer *packer)
{
    const BlockMap *map = packer->options->map;
    int r = operation_encoder_new(&packer->frames, &desk->encoder);
    if (r == 0 && map)
        r = delta_chunk_new(map, &desk->delta);
    if (r < 0)
        return r;
    desk->chunk = malloc(CHUNK_BYTES);
    desk->patch = map ? malloc(CHUNK_BYTES) : NULL;
    return desk->chunk && (desk->patch || !map) ? 0 : -ENOMEM;
}

static void desk_done(Desk *desk)
{
    operation_encoder_free(desk->encoder);
    delta_chunk_free(desk->delta);
    free(desk->chunk);
    free(desk->patch);
}

static void *worker_main(void *userdata)
{
    Packer *packer = userdata;
    Desk desk = {0};
    if (desk_init(&desk, packer) == 0) {
        work(packer, &desk);
    } else {
        pthread_mutex_lock(&packer->mutex);
        packer->failure = -ENOMEM;
        pthread_cond_broadcast(&packer->has_room);
        pthread_mutex_unlock(&packer->mutex);
    }
    desk_done(&desk);
    return NULL;
}

static unsigned count_threads(const ImagePackerOptions *options, size_t n_chunks)
{
    unsigned n = options->n_threads > 0 ? options->n_threads : processors_usable();
    n = MIN(n, (unsigned)THREADS_MAX);
    return (unsigned)MIN((size_t)n, MAX(n_chunks, (size_t)1));
}

static int run_workers(Packer *packer, unsigned n_threads)
{
    pthread_t threads[THREADS_MAX];
    unsigned n_started = 0;
    int r = 0;
    for (; n_started < n_threads && r == 0; n_started += r == 0)
        r = -pthread_create(&threads[n_started], NULL, worker_main, packer);
    if (n_started > 0)
        r = 0; /* fewer threads do the same work */
    for (unsigned i = 0; i < n_started; i++)
        pthread_join(threads[i], NULL);
    return r < 0 ? r : packer->failure;
}

static int make_slots(Packer *packer, unsigned n_threads)
{
    size_t n_slots = 2 * (size_t)n_threads;
    packer->slots = calloc(n_slots, sizeof(*packer->slots));
    if (!packer->slots)
        return -ENOMEM;
    for (; packer->n_slots < n_slots; packer->n_slots++) {
        packer->slots[packer->n_slots].data = malloc(SLOT_BYTES);
        if (!packer->slots[packer->n_slots].data)
            return -ENOMEM;
    }
    return 0;
}

static void free_slots(Packer *packer)
{
    for (size_t i = 0; i < packer->n_slots; i++)
        free(packer->slots[i].data);
    free(packer->slots);
}

static void cut_into_chunks(const Extent *parts, size_t n_parts, PackedChunk *chunks)
{
    for (size_t i = 0; i < n_parts; i++)
        for (uint64_t at = 0; at < parts[i].n_blocks; at += CHUNK_BLOCKS)
            (chunks++)->extent = (Extent){
                    .start_block = parts[i].start_block + at,
                    .n_blocks = MIN(CHUNK_BLOCKS, parts[i].n_blocks - at),
            };
}

static int new_image(const Extent *parts, size_t n_parts, PackedImage **ret_image)
{
    _cleanup_(packed_image_freep) PackedImage *image = calloc(1, sizeof(*image));
    if (!image)
        return -ENOMEM;
    size_t n_chunks = 0;
    for (size_t i = 0; i < n_parts; i++)
        n_chunks += (size_t)u64_div_round_up(parts[i].n_blocks, CHUNK_BLOCKS);
    image->chunks = calloc(n_chunks, sizeof(*image->chunks));
    if (!image->chunks)
        return -ENOMEM;
    image->n_chunks = n_chunks;
    cut_into_chunks(parts, n_parts, image->chunks);
    *ret_image = TAKE_PTR(image);
    return 0;
}

/* One list of all chunks' operations. */
static int gather_operations(PackedImage *image)
{
    for (size_t i = 0; i < image->n_chunks; i++)
        image->n_operations += image->chunks[i].n_operations;
    image->operations = calloc(image->n_operations + 1, sizeof(*image->operations));
    if (!image->operations)
        return -ENOMEM;
    Operation *next = image->operations;
    for (size_t i = 0; i < image->n_chunks; i++)
        for (size_t j = 0; j < image->chunks[i].n_operations; j++)
            *next++ = image->chunks[i].operations[j];
    return 0;
}

static int choose_frames(
        const ImagePackerOptions *options, EncodeFrames *ret_frames, ErrorText *error)
{
    EncodeFrames frames = {
            .level = options->level ? options->level : IMAGE_PACKER_LEVEL,
            .target_bytes = options->frame_target_bytes ? options->frame_target_bytes
                                                        : IMAGE_PACKER_FRAME_BYTES,
            .prefix_bytes = options->frame_prefix_bytes,
    };
    if (frames.level < 1 || frames.level > ZSTD_maxCLevel())
        return error_say(
                error, -EINVAL, "level %d is not one of 1 to %d", frames.level, ZSTD_maxCLevel());
    if (!manifest_is_frame_size(frames.target_bytes))
        return error_say(error, -EINVAL, "frames of %zu bytes are not made", frames.target_bytes);
    if (frames.prefix_bytes != 0 && !manifest_is_frame_prefix(frames.prefix_bytes))
        return error_say(error, -EINVAL, "frames that refer to %zu bytes before them are not made",
                frames.prefix_bytes);
    *ret_frames = frames;
    return 0;
}

int image_packer_run(const ImagePackerOptions *options, int image_fd, const Extent *parts,
        size_t n_parts, int blob_fd, uint64_t *n_blob_bytes, PackedImage **ret_image,
        ErrorText *error)
{
    _cleanup_(packed_image_freep) PackedImage *image = NULL;
    EncodeFrames frames;
    int r = choose_frames(options, &frames, error);
    if (r >= 0)
        r = new_image(parts, n_parts, &image);
    if (r < 0)
        return r;
    Packer packer = {
            .options = options,
            .frames = frames,
            .image_fd = image_fd,
            .blob_fd = blob_fd,
            .image = image,
            .mutex = PTHREAD_MUTEX_INITIALIZER,
            .has_room = PTHREAD_COND_INITIALIZER,
            .n_blob_bytes = *n_blob_bytes,
    };
    unsigned n_threads = count_threads(options, image->n_chunks);
    r = make_slots(&packer, n_threads);
    if (r >= 0)
        r = run_workers(&packer, n_threads);
    free_slots(&packer);
    if (r < 0)
        return packer.error.line[0] ? error_say(error, r, "%s", packer.error.line) : r;
    r = gather_operations(image);
    if (r < 0)
        return r;
    *n_blob_bytes = packer.n_blob_bytes;
    *ret_image = TAKE_PTR(image);
    return 0;
}
