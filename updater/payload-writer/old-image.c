/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/old-image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/payload-writer/image-trailer.h"
#include "updater/payload/manifest.h"

/* A block is known by the first 8 bytes of its SHA-256: in block order, to ask what a place holds,
 * and sorted, to ask where something is. */
#define PIECE_BLOCKS 256

typedef struct {
    uint64_t key;
    uint32_t block;
} Entry;

struct OldImage {
    int fd;
    struct stat st;
    uint64_t n_bytes; /* of the file */
    uint64_t n_blocks;
    Sha256 hash;
    uint64_t *keys; /* of each block */
    Entry *sorted;  /* by key, then by block */
    AnchorIndex *anchors;
    SlotTrailer trailer;
};

static uint64_t key_of(const Sha256 *hash)
{
    Le64 key;
    memcpy(&key, hash->bytes, sizeof(key));
    return le64_get(key);
}

static int compare_entries(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->block > y->block) - (x->block < y->block);
}

int old_image_read(const OldImage *old, uint64_t start_block, uint64_t n_blocks, uint8_t *ret_data)
{
    uint64_t at_bytes = start_block * MANIFEST_BLOCK_BYTES;
    size_t n_bytes = (size_t)(n_blocks * MANIFEST_BLOCK_BYTES);
    size_t n =
            at_bytes < old->n_bytes ? (size_t)MIN((uint64_t)n_bytes, old->n_bytes - at_bytes) : 0;
    memset(ret_data + n, 0, n_bytes - n);
    return n > 0 ? fd_pread_full(old->fd, ret_data, n, at_bytes) : 0;
}

static int read_all(OldImage *old)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BLOCKS * MANIFEST_BLOCK_BYTES);
    int r = sha256_stream_new(&stream);
    if (r < 0 || !piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < old->n_blocks; at += PIECE_BLOCKS) {
        size_t n = (size_t)MIN((uint64_t)PIECE_BLOCKS, old->n_blocks - at);
        r = old_image_read(old, at, n, piece);
        if (r < 0)
            return r;
        sha256_stream_add(stream, piece, n * MANIFEST_BLOCK_BYTES);
        r = anchor_index_add(old->anchors, piece, n * MANIFEST_BLOCK_BYTES);
        if (r < 0)
            return r;
        for (size_t i = 0; i < n; i++) {
            Sha256 hash = sha256_of(piece + i * MANIFEST_BLOCK_BYTES, MANIFEST_BLOCK_BYTES);
            old->keys[at + i] = key_of(&hash);
            old->sorted[at + i] = (Entry){key_of(&hash), (uint32_t)(at + i)};
        }
    }
    sha256_stream_finish(stream, &old->hash);
    anchor_index_finish(old->anchors);
    qsort(old->sorted, old->n_blocks, sizeof(*old->sorted), compare_entries);
    return 0;
}

static int read_trailer(OldImage *old, ErrorText *error)
{
    if (old->n_bytes % MANIFEST_BLOCK_BYTES != 0)
        return 0;
    int r = image_trailer_read(old->fd, old->n_bytes, &old->trailer, error);
    if (r <= 0)
        old->trailer = (SlotTrailer){0};
    return r < 0 ? r : 0;
}

static int load(OldImage *old, ErrorText *error)
{
    int r = fstat(old->fd, &old->st) < 0 ? -errno : fd_size_bytes(old->fd, &old->n_bytes);
    if (r < 0)
        return error_say(error, r, "it is neither a file nor a block device");
    old->n_blocks = u64_div_round_up(old->n_bytes, MANIFEST_BLOCK_BYTES);
    if (old->n_blocks == 0)
        return error_say(error, -EINVAL, "it is empty");
    if (old->n_blocks >= OLD_IMAGE_NONE)
        return error_say(error, -EFBIG, "it is too large");
    old->keys = calloc(old->n_blocks, sizeof(*old->keys));
    old->sorted = calloc(old->n_blocks, sizeof(*old->sorted));
    if (!old->keys || !old->sorted)
        return -ENOMEM;
    r = anchor_index_new(old->n_bytes, &old->anchors);
    if (r == 0)
        r = read_trailer(old, error);
    return r < 0 ? r : read_all(old);
}

int old_image_new(const char *path, OldImage **ret_old, ErrorText *error)
{
    _cleanup_(old_image_freep) OldImage *old = malloc(sizeof(*old));
    if (!old)
        return -ENOMEM;
    *old = (OldImage){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (old->fd < 0)
        return error_say(error, -errno, "%s cannot be opened: %s", path, strerror(errno));
    ErrorText reason = {0};
    int r = load(old, &reason);
    if (r < 0)
        return error_say(error, r, "%s cannot be what a delta begins with: %s", path,
                reason.line[0] ? reason.line : strerror(-r));
    *ret_old = TAKE_PTR(old);
    return 0;
}

void old_image_free(OldImage *old)
{
    if (!old)
        return;
    safe_close(old->fd);
    free(old->keys);
    free(old->sorted);
    anchor_index_free(old->anchors);
    free(old);
}

uint64_t old_image_n_blocks(const OldImage *old)
{
    return old->n_blocks;
}

const Sha256 *old_image_hash(const OldImage *old)
{
    return &old->hash;
}

const AnchorIndex *old_image_anchors(const OldImage *old)
{
    return old->anchors;
}

const char *old_image_product(const OldImage *old)
{
    return old->trailer.product;
}

const char *old_image_version(const OldImage *old)
{
    return old->trailer.version;
}

uint32_t old_image_find(const OldImage *old, const Sha256 *hash, uint64_t wanted)
{
    uint64_t key = key_of(hash);
    if (wanted < old->n_blocks && old->keys[wanted] == key)
        return (uint32_t)wanted;
    size_t low = 0, high = (size_t)old->n_blocks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (old->sorted[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < old->n_blocks && old->sorted[low].key == key;
    return is_there ? old->sorted[low].block : OLD_IMAGE_NONE;
}

bool old_image_is_unchanged(const OldImage *old)
{
    struct stat st;
    return fstat(old->fd, &st) == 0 && st.st_size == old->st.st_size &&
           st.st_mtim.tv_sec == old->st.st_mtim.tv_sec &&
           st.st_mtim.tv_nsec == old->st.st_mtim.tv_nsec;
}
