/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/partition-digest.h"

#include <errno.h>

#include "common/fd-io.h"
#include "verity/block-index.h"

/* One pass of the verity code builds or checks the tree and hands out the data in order for the
 * partition's hash; the rest follows; the index is read out of the tree's lowest level. */
#define PIECE_BYTES ((size_t)256 * 1024)

typedef struct {
    const PartitionDigestOptions *options;
    Sha256Stream *hash;
    Sha256Stream *rest_hash; /* NULL before the rest */
} Job;

static void on_data(const void *data, size_t n_bytes, void *userdata)
{
    Job *job = userdata;
    sha256_stream_add(job->hash, data, n_bytes);
    if (job->rest_hash)
        sha256_stream_add(job->rest_hash, data, n_bytes);
    if (job->options->on_progress)
        job->options->on_progress(n_bytes, job->options->userdata);
}

/* Adds a region to the hash. */
static int add_region(Job *job, VerityRegion region, uint64_t n_bytes)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < n_bytes;) {
        size_t n = MIN(PIECE_BYTES, n_bytes - at);
        int r = fd_pread_full(region.fd, piece, n, region.offset_bytes + at);
        if (r < 0)
            return r;
        on_data(piece, n, job);
        at += n;
    }
    return 0;
}

/* Fills index from the digests of the data blocks in the tree. */
static int read_index(VerityRegion tree, const VerityLayout *layout, const Sha256 *root_hash,
        uint64_t n_blocks, uint8_t *index)
{
    if (layout->n_levels == 0) {
        block_index_fill(root_hash, 1, index);
        return 0;
    }
    Sha256 digests[VERITY_DIGESTS_PER_BLOCK];
    uint64_t at_bytes = tree.offset_bytes + layout->level_start_block[0] * VERITY_BLOCK_BYTES;
    for (uint64_t i = 0; i < n_blocks; i += VERITY_DIGESTS_PER_BLOCK) {
        int r = fd_pread_full(tree.fd, digests, sizeof(digests), at_bytes);
        if (r < 0)
            return r;
        block_index_fill(digests, MIN((uint64_t)VERITY_DIGESTS_PER_BLOCK, n_blocks - i),
                index + i * BLOCK_INDEX_ENTRY_BYTES);
        at_bytes += VERITY_BLOCK_BYTES;
    }
    return 0;
}

/* Writes the tree, or holds the one that is there against its root. */
static int walk_tree(
        Job *job, int data_fd, VerityRegion tree, PartitionDigest *digest, ErrorText *error)
{
    const PartitionDigestOptions *options = job->options;
    VerityRegion data = {data_fd, 0};
    VerityRun run = {.n_threads = options->n_threads, .on_data = on_data, .userdata = job};
    if (!options->root_hash)
        return verity_tree_build(options->verity, data, tree, &run, &digest->root_hash, error);
    digest->root_hash = *options->root_hash;
    return verity_tree_verify(options->verity, data, tree, options->root_hash, &run, error);
}

static int compute_with_tree(
        Job *job, int data_fd, VerityRegion tree, PartitionDigest *digest, ErrorText *error)
{
    const PartitionDigestOptions *options = job->options;
    VerityLayout layout;
    int r = verity_layout_compute(options->verity, &layout);
    if (r >= 0)
        r = walk_tree(job, data_fd, tree, digest, error);
    if (r < 0)
        return r;
    digest->n_tree_blocks = layout.n_tree_blocks;
    _cleanup_(sha256_stream_freep) Sha256Stream *rest_hash = NULL;
    r = sha256_stream_new(&rest_hash);
    if (r < 0)
        return r;
    job->rest_hash = rest_hash;
    VerityRegion rest = {data_fd, options->n_data_bytes};
    if (options->n_blocks > 0)
        r = add_region(job, rest, options->n_blocks * VERITY_BLOCK_BYTES - options->n_data_bytes);
    else
        r = add_region(job, tree, layout.n_tree_blocks * VERITY_BLOCK_BYTES);
    job->rest_hash = NULL;
    if (r < 0)
        return r;
    sha256_stream_finish(rest_hash, &digest->rest_hash);
    uint64_t n_data_blocks = options->verity->n_data_blocks;
    digest->block_index = calloc(n_data_blocks, BLOCK_INDEX_ENTRY_BYTES);
    if (!digest->block_index)
        return -ENOMEM;
    return read_index(tree, &layout, &digest->root_hash, n_data_blocks, digest->block_index);
}

int partition_digest_compute(const PartitionDigestOptions *options, int data_fd, VerityRegion tree,
        PartitionDigest *ret_digest, ErrorText *error)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *hash = NULL;
    _cleanup_(partition_digest_done) PartitionDigest digest = {0};
    int r = sha256_stream_new(&hash);
    if (r < 0)
        return r;
    Job job = {.options = options, .hash = hash};
    if (options->verity)
        r = compute_with_tree(&job, data_fd, tree, &digest, error);
    else
        r = add_region(&job, (VerityRegion){data_fd, 0}, options->n_data_bytes);
    if (r < 0)
        return r;
    sha256_stream_finish(hash, &digest.hash);
    *ret_digest = digest;
    digest.block_index = NULL;
    return 0;
}

void partition_digest_done(PartitionDigest *digest)
{
    free(TAKE_PTR(digest->block_index));
}
