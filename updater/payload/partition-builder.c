/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/partition-builder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/payload/image-packer.h"
#include "updater/payload/output-file.h"
#include "updater/payload/partition-digest.h"

/* The image is read twice: packed, then hashed. One that changes between the passes would make a
 * payload that contradicts itself, so its times are held against each other. */
#define PIECE_BYTES ((size_t)256 * 1024)

struct PartitionBuilder {
    PartitionUpdate partition;
    char *name;
    PackedImage *image;
    PartitionDigest digest;
    size_t n_padded_bytes;
};

/* What the passes share. */
typedef struct {
    const PayloadWriterOptions *options;
    PartitionBuilder *builder;
    const char *scratch_path;
    int image_fd;
    uint64_t n_blocks;
    uint64_t n_done_bytes; /* of both passes */
} Job;

static void on_progress(uint64_t n_bytes, void *userdata)
{
    Job *job = userdata;
    job->n_done_bytes += n_bytes;
    if (job->options->on_progress)
        job->options->on_progress(job->builder->name, job->n_done_bytes,
                2 * job->n_blocks * MANIFEST_BLOCK_BYTES, job->options->userdata);
}

/* The same partition of the same product keeps its salt from version to version: a client can then
 * look its own blocks up in the tree that it runs from instead of hashing them. */
static void choose_salt(const Job *job, VerityParameters *parameters)
{
    if (job->options->has_salt) {
        memcpy(parameters->salt, job->options->salt, job->options->n_salt_bytes);
        parameters->n_salt_bytes = job->options->n_salt_bytes;
        return;
    }
    char text[1024];
    int n = snprintf(text, sizeof(text), "flipside verity salt\n%s\n%s\n", job->options->product,
            job->builder->name);
    Sha256 digest = sha256_of(text, MIN((size_t)n, sizeof(text) - 1));
    memcpy(parameters->salt, digest.bytes, SHA256_BYTES);
    parameters->n_salt_bytes = SHA256_BYTES;
}

static int hash_image(Job *job, ErrorText *error)
{
    PartitionUpdate *partition = &job->builder->partition;
    _cleanup_close_ int tree_fd = -1;
    if (!job->options->without_verity) {
        partition->verity.n_data_blocks = job->n_blocks;
        choose_salt(job, &partition->verity);
        tree_fd = output_file_open_scratch(job->scratch_path, error);
        if (tree_fd < 0)
            return tree_fd;
    }
    PartitionDigestOptions options = {
            .n_data_blocks = job->n_blocks,
            .verity = job->options->without_verity ? NULL : &partition->verity,
            .n_threads = job->options->n_threads,
            .on_progress = on_progress,
            .userdata = job,
    };
    PartitionDigest *digest = &job->builder->digest;
    int r = partition_digest_compute(
            &options, job->image_fd, (VerityRegion){tree_fd, 0}, digest, error);
    if (r < 0)
        return r;
    partition->size_bytes = (job->n_blocks + digest->n_tree_blocks) * MANIFEST_BLOCK_BYTES;
    partition->hash = digest->hash;
    if (job->options->without_verity)
        return 0;
    partition->has_verity = true;
    partition->tree_start_block = job->n_blocks;
    partition->n_tree_blocks = digest->n_tree_blocks;
    partition->root_hash = digest->root_hash;
    partition->block_index = digest->block_index;
    return 0;
}

/* A copy of the image that ends on a block, without a name. Returns the descriptor. */
static int copy_padded(Job *job, uint64_t n_bytes, ErrorText *error)
{
    _cleanup_close_ int copy_fd = output_file_open_scratch(job->scratch_path, error);
    if (copy_fd < 0)
        return copy_fd;
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < n_bytes;) {
        size_t n = MIN(PIECE_BYTES, n_bytes - at);
        int r = fd_pread_full(job->image_fd, piece, n, at);
        if (r >= 0)
            r = fd_pwrite_full(copy_fd, piece, n, at);
        if (r < 0)
            return r;
        at += n;
    }
    if (ftruncate(copy_fd, (off_t)(job->n_blocks * MANIFEST_BLOCK_BYTES)) < 0)
        return -errno;
    return TAKE_FD(copy_fd);
}

static bool has_changed(const struct stat *a, const struct stat *b)
{
    return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
           a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static int pack_and_hash(Job *job, int blob_fd, uint64_t *n_blob_bytes, ErrorText *error)
{
    ImagePackerOptions options = {
            .n_threads = job->options->n_threads,
            .level = job->options->level,
            .on_progress = on_progress,
            .userdata = job,
    };
    int r = image_packer_run(&options, job->image_fd, job->n_blocks, blob_fd, n_blob_bytes,
            &job->builder->image, error);
    if (r < 0)
        return r;
    PartitionUpdate *partition = &job->builder->partition;
    partition->operations = packed_image_operations(job->builder->image, &partition->n_operations);
    return hash_image(job, error);
}

static int build(
        Job *job, const char *image_path, int blob_fd, uint64_t *n_blob_bytes, ErrorText *error)
{
    _cleanup_close_ int fd = open(image_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno, "%s cannot be opened: %s", image_path, strerror(errno));
    uint64_t n_bytes;
    struct stat before, after;
    int r = fstat(fd, &before) < 0 ? -errno : fd_size_bytes(fd, &n_bytes);
    if (r < 0)
        return error_say(
                error, r, "%s is no image: it is neither a file nor a block device", image_path);
    if (n_bytes == 0)
        return error_say(error, -EINVAL, "%s is empty", image_path);

    job->n_blocks = u64_div_round_up(n_bytes, MANIFEST_BLOCK_BYTES);
    job->builder->n_padded_bytes = (size_t)(job->n_blocks * MANIFEST_BLOCK_BYTES - n_bytes);
    job->image_fd = fd;
    _cleanup_close_ int copy_fd = -1;
    if (job->builder->n_padded_bytes > 0) {
        copy_fd = copy_padded(job, n_bytes, error);
        if (copy_fd < 0)
            return copy_fd;
        job->image_fd = copy_fd;
    }
    r = pack_and_hash(job, blob_fd, n_blob_bytes, error);
    if (r >= 0 && (fstat(fd, &after) < 0 || has_changed(&before, &after)))
        r = error_say(error, -EINVAL, "%s changed while it was read: start again", image_path);
    return r;
}

int partition_builder_run(const PayloadWriterOptions *options, const char *name,
        const char *image_path, const char *scratch_path, int blob_fd, uint64_t *n_blob_bytes,
        PartitionBuilder **ret_builder, ErrorText *error)
{
    _cleanup_(partition_builder_freep) PartitionBuilder *builder = calloc(1, sizeof(*builder));
    if (!builder)
        return -ENOMEM;
    builder->name = strdup(name);
    if (!builder->name)
        return -ENOMEM;
    builder->partition.name = builder->name;
    Job job = {
            .options = options,
            .builder = builder,
            .scratch_path = scratch_path,
            .image_fd = -1,
    };
    int r = build(&job, image_path, blob_fd, n_blob_bytes, error);
    if (r < 0)
        return r;
    *ret_builder = TAKE_PTR(builder);
    return 0;
}

void partition_builder_free(PartitionBuilder *builder)
{
    if (!builder)
        return;
    packed_image_free(builder->image);
    partition_digest_done(&builder->digest);
    free(builder->name);
    free(builder);
}

const PartitionUpdate *partition_builder_partition(const PartitionBuilder *builder)
{
    return &builder->partition;
}

size_t partition_builder_n_padded_bytes(const PartitionBuilder *builder)
{
    return builder->n_padded_bytes;
}
