/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/image-packer.h"

#include <bzlib.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <zstd.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "common/processors.h"

/* Each worker takes the next chunk, compresses it into a slot of a ring, and whoever completes the
 * ring's head writes what has become consecutive. So the order of the blobs is that of the image,
 * a slow chunk does not stop the others, and memory is the ring's. */
#define CHUNK_BYTES ((size_t)IMAGE_PACKER_OPERATION_BYTES)
#define CHUNK_BLOCKS (CHUNK_BYTES / MANIFEST_BLOCK_BYTES)
#define FRAMES_PER_CHUNK (CHUNK_BYTES / MANIFEST_FRAME_BYTES)
#define THREADS_MAX 32
#define BZIP2_BLOCK_SIZE 9 /* of 100 kB */

/* A slot has room for a chunk and one frame more: compression is given up beyond the chunk. */
#define SLOT_BYTES (CHUNK_BYTES + ZSTD_COMPRESSBOUND(MANIFEST_FRAME_BYTES))

/* An operation and the arrays that it points to. */
typedef struct {
    Operation operation;
    Extent extent;
    uint32_t frame_bytes[FRAMES_PER_CHUNK];
} PackedOperation;

struct PackedImage {
    PackedOperation *packed;
    Operation *operations;
    size_t n_operations;
};

typedef struct {
    uint8_t *data; /* SLOT_BYTES */
    bool is_done;
} Slot;

typedef struct {
    const ImagePackerOptions *options;
    int level;
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
    ZSTD_CCtx *zstd;
    uint8_t *chunk; /* CHUNK_BYTES */
    ErrorText error;
} Desk;

void packed_image_free(PackedImage *image)
{
    if (!image)
        return;
    free(image->operations);
    free(image->packed);
    free(image);
}

const Operation *packed_image_operations(const PackedImage *image, size_t *ret_n_operations)
{
    *ret_n_operations = image->n_operations;
    return image->operations;
}

/* As delta_generator does, byte for byte. False when it would not be smaller. */
static bool compress_bzip2(
        Desk *desk, Operation *operation, size_t n_chunk_bytes, uint8_t *ret_data, int *ret_error)
{
    unsigned n_bytes = (unsigned)n_chunk_bytes;
    int bz = BZ2_bzBuffToBuffCompress((char *)ret_data, &n_bytes, (char *)desk->chunk,
            (unsigned)n_chunk_bytes, BZIP2_BLOCK_SIZE, 0, 0);
    if (bz == BZ_MEM_ERROR)
        *ret_error = -ENOMEM;
    if (bz != BZ_OK || n_bytes >= n_chunk_bytes)
        return false;
    operation->type = OPERATION_REPLACE_BZ;
    operation->n_data_bytes = n_bytes;
    return true;
}

/* Compresses the chunk frame by frame. False when it would not be smaller. */
static bool compress_zstd(Desk *desk, PackedOperation *packed, size_t n_chunk_bytes,
        uint8_t *ret_data, int *ret_error)
{
    Operation *operation = &packed->operation;
    size_t n_bytes = 0;
    size_t n_frames = 0;
    for (size_t at = 0; at < n_chunk_bytes; at += MANIFEST_FRAME_BYTES) {
        size_t n = ZSTD_compress2(desk->zstd, ret_data + n_bytes, SLOT_BYTES - n_bytes,
                desk->chunk + at, MIN((size_t)MANIFEST_FRAME_BYTES, n_chunk_bytes - at));
        if (ZSTD_isError(n)) {
            *ret_error = -ENOMEM;
            return false;
        }
        packed->frame_bytes[n_frames++] = (uint32_t)n;
        n_bytes += n;
        if (n_bytes >= n_chunk_bytes)
            return false;
    }
    operation->type = OPERATION_REPLACE_ZSTD;
    operation->n_data_bytes = n_bytes;
    operation->n_frames = n_frames;
    return true;
}

/* Makes operation i with its blob in ret_data; where the blob lies is not known yet. */
static int pack_chunk(Packer *packer, Desk *desk, size_t i, uint8_t *ret_data)
{
    PackedOperation *packed = &packer->image->packed[i];
    uint64_t at_bytes = packed->extent.start_block * MANIFEST_BLOCK_BYTES;
    size_t n_dst_bytes = (size_t)packed->extent.n_blocks * MANIFEST_BLOCK_BYTES;
    size_t n_bytes = MIN(n_dst_bytes, packer->options->n_image_bytes - at_bytes);
    int r = fd_pread_full(packer->image_fd, desk->chunk, n_bytes, at_bytes);
    if (r < 0)
        return error_say(&desk->error, r, "the image cannot be read: %s", strerror(-r));

    Operation *operation = &packed->operation;
    *operation = (Operation){
            .type = OPERATION_ZERO,
            .dst_extents = &packed->extent,
            .n_dst_extents = 1,
            .n_dst_bytes = n_dst_bytes,
            .frame_bytes = packed->frame_bytes,
    };
    bool is_bzip2 = packer->options->is_bzip2;
    if (!is_bzip2 && bytes_are_zero(desk->chunk, n_bytes))
        return 0;
    bool is_smaller = is_bzip2 ? compress_bzip2(desk, operation, n_bytes, ret_data, &r)
                               : compress_zstd(desk, packed, n_bytes, ret_data, &r);
    if (!is_smaller) {
        if (r < 0)
            return r;
        operation->type = OPERATION_REPLACE;
        operation->n_data_bytes = n_bytes;
        memcpy(ret_data, desk->chunk, n_bytes);
    }
    operation->data_sha256 = sha256_of(ret_data, (size_t)operation->n_data_bytes);
    return 0;
}

/* Writes the slots that have become consecutive. The mutex is held. */
static int write_head(Packer *packer, ErrorText *error)
{
    while (packer->next_written < packer->next_taken) {
        Slot *slot = &packer->slots[packer->next_written % packer->n_slots];
        if (!slot->is_done)
            return 0;
        Operation *operation = &packer->image->packed[packer->next_written].operation;
        if (operation->n_data_bytes > 0)
            operation->data_offset_bytes = packer->n_blob_bytes;
        int r = fd_pwrite_full(
                packer->blob_fd, slot->data, (size_t)operation->n_data_bytes, packer->n_blob_bytes);
        if (r < 0)
            return error_say(error, r, "the payload cannot be written: %s", strerror(-r));
        packer->n_blob_bytes += operation->n_data_bytes;
        slot->is_done = false;
        packer->next_written++;
        if (packer->options->on_progress)
            packer->options->on_progress(operation->n_dst_bytes, packer->options->userdata);
    }
    return 0;
}

/* Waits for a slot; false when there is nothing left to do. The mutex is held. */
static bool take_chunk(Packer *packer, size_t *ret_i)
{
    while (packer->failure == 0 && packer->next_taken < packer->image->n_operations &&
            packer->next_taken >= packer->next_written + packer->n_slots)
        pthread_cond_wait(&packer->has_room, &packer->mutex);
    if (packer->failure < 0 || packer->next_taken == packer->image->n_operations)
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

static void *worker_main(void *userdata)
{
    Packer *packer = userdata;
    Desk desk = {.zstd = ZSTD_createCCtx(), .chunk = malloc(CHUNK_BYTES)};
    if (desk.zstd && desk.chunk) {
        ZSTD_CCtx_setParameter(desk.zstd, ZSTD_c_compressionLevel, packer->level);
        work(packer, &desk);
    } else {
        pthread_mutex_lock(&packer->mutex);
        packer->failure = -ENOMEM;
        pthread_cond_broadcast(&packer->has_room);
        pthread_mutex_unlock(&packer->mutex);
    }
    free(desk.chunk);
    ZSTD_freeCCtx(desk.zstd);
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

static void cut_into_operations(const Extent *parts, size_t n_parts, PackedOperation *packed)
{
    for (size_t i = 0; i < n_parts; i++)
        for (uint64_t at = 0; at < parts[i].n_blocks; at += CHUNK_BLOCKS)
            (packed++)->extent = (Extent){
                    .start_block = parts[i].start_block + at,
                    .n_blocks = MIN(CHUNK_BLOCKS, parts[i].n_blocks - at),
            };
}

static int new_image(const Extent *parts, size_t n_parts, PackedImage **ret_image)
{
    _cleanup_(packed_image_freep) PackedImage *image = calloc(1, sizeof(*image));
    if (!image)
        return -ENOMEM;
    for (size_t i = 0; i < n_parts; i++)
        image->n_operations += (size_t)u64_div_round_up(parts[i].n_blocks, CHUNK_BLOCKS);
    image->packed = calloc(image->n_operations, sizeof(*image->packed));
    image->operations = calloc(image->n_operations, sizeof(*image->operations));
    if (!image->packed || !image->operations)
        return -ENOMEM;
    cut_into_operations(parts, n_parts, image->packed);
    *ret_image = TAKE_PTR(image);
    return 0;
}

int image_packer_run(const ImagePackerOptions *options, int image_fd, const Extent *parts,
        size_t n_parts, int blob_fd, uint64_t *n_blob_bytes, PackedImage **ret_image,
        ErrorText *error)
{
    int level = options->level == 0 ? IMAGE_PACKER_LEVEL : options->level;
    if (level < 1 || level > ZSTD_maxCLevel())
        return error_say(error, -EINVAL, "level %d is not one of 1 to %d", level, ZSTD_maxCLevel());
    _cleanup_(packed_image_freep) PackedImage *image = NULL;
    int r = new_image(parts, n_parts, &image);
    if (r < 0)
        return r;
    Packer packer = {
            .options = options,
            .level = level,
            .image_fd = image_fd,
            .blob_fd = blob_fd,
            .image = image,
            .mutex = PTHREAD_MUTEX_INITIALIZER,
            .has_room = PTHREAD_COND_INITIALIZER,
            .n_blob_bytes = *n_blob_bytes,
    };
    unsigned n_threads = count_threads(options, image->n_operations);
    r = make_slots(&packer, n_threads);
    if (r >= 0)
        r = run_workers(&packer, n_threads);
    free_slots(&packer);
    if (r < 0)
        return packer.error.line[0] ? error_say(error, r, "%s", packer.error.line) : r;
    for (size_t i = 0; i < image->n_operations; i++)
        image->operations[i] = image->packed[i].operation;
    *n_blob_bytes = packer.n_blob_bytes;
    *ret_image = TAKE_PTR(image);
    return 0;
}
