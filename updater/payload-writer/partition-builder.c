/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/partition-builder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/payload-writer/image-packer.h"
#include "updater/payload-writer/image-trailer.h"
#include "updater/payload/manifest-v1.h"
#include "updater/payload-writer/output-file.h"
#include "updater/payload/partition-digest.h"
#include "updater/payload-writer/tree-salt.h"

/* The image is read twice: packed, then hashed; for a delta, its blocks are looked up in the old
 * image before that. One that changes between the passes would make a payload that contradicts
 * itself, so its times are held against each other. A delta has no block index: the index serves
 * clients that fetch what they lack of a full payload, and would be most of a small delta. */
#define PIECE_BYTES ((size_t)256 * 1024)

struct PartitionBuilder {
    PartitionUpdate partition;
    char *name;
    PackedImage *image;
    PartitionDigest digest;
    size_t n_padded_bytes;
    char source_version[SLOT_TRAILER_TEXT_BYTES];
};

/* What the passes share. */
typedef struct {
    const PayloadWriterOptions *options;
    PartitionBuilder *builder;
    const PartitionPaths *paths;
    int image_fd;
    uint64_t n_image_bytes; /* of what is packed */
    uint64_t n_blocks;
    bool has_trailer;
    SlotTrailer trailer;
    uint64_t n_done_bytes; /* of all passes */
    uint64_t n_total_bytes;
} Job;

static bool is_v1(const Job *job)
{
    return job->options->format == 1;
}

static void on_progress(uint64_t n_bytes, void *userdata)
{
    Job *job = userdata;
    job->n_done_bytes += n_bytes;
    if (job->options->on_progress)
        job->options->on_progress(
                job->builder->name, job->n_done_bytes, job->n_total_bytes, job->options->userdata);
}

static void choose_salt(const Job *job, VerityParameters *parameters)
{
    if (!job->options->has_salt) {
        tree_salt_derive(job->options->product, job->builder->name, parameters);
        return;
    }
    memcpy(parameters->salt, job->options->salt, job->options->n_salt_bytes);
    parameters->n_salt_bytes = job->options->n_salt_bytes;
}

/* What the manifest says of the tree, but for a root that is computed. */
static int plan_tree(const Job *job, PartitionUpdate *partition)
{
    partition->size_bytes = is_v1(job) ? job->n_image_bytes : job->n_blocks * MANIFEST_BLOCK_BYTES;
    if (!partition->has_verity)
        return 0;
    VerityParameters *verity = &partition->verity;
    if (job->has_trailer) {
        verity->n_data_blocks = job->trailer.fs_bytes / MANIFEST_BLOCK_BYTES;
        verity->n_salt_bytes = job->trailer.n_salt_bytes;
        memcpy(verity->salt, job->trailer.salt, sizeof(verity->salt));
        partition->tree_start_block = job->trailer.tree_offset / MANIFEST_BLOCK_BYTES;
    } else {
        verity->n_data_blocks = partition->tree_start_block = job->n_blocks;
        choose_salt(job, verity);
    }
    VerityLayout layout;
    int r = verity_layout_compute(verity, &layout);
    if (r < 0)
        return r;
    partition->n_tree_blocks = layout.n_tree_blocks;
    if (!job->has_trailer)
        partition->size_bytes += layout.n_tree_blocks * MANIFEST_BLOCK_BYTES;
    return 0;
}

static int hash_image(Job *job, ErrorText *error)
{
    PartitionUpdate *partition = &job->builder->partition;
    bool is_tree_there = partition->has_verity && job->has_trailer;
    PartitionDigestOptions options = {
            .n_data_bytes = partition->has_verity
                                    ? partition->verity.n_data_blocks * MANIFEST_BLOCK_BYTES
                                    : partition->size_bytes,
            .verity = partition->has_verity ? &partition->verity : NULL,
            .root_hash = is_tree_there ? &job->trailer.root_hash : NULL,
            .n_blocks = is_tree_there ? job->n_blocks : 0,
            .n_threads = job->options->n_threads,
            .on_progress = on_progress,
            .userdata = job,
    };
    _cleanup_close_ int scratch_fd = -1;
    VerityRegion tree = {job->image_fd, partition->tree_start_block * MANIFEST_BLOCK_BYTES};
    if (partition->has_verity && !is_tree_there) {
        scratch_fd = output_file_open_scratch(job->paths->scratch, error);
        if (scratch_fd < 0)
            return scratch_fd;
        tree = (VerityRegion){scratch_fd, 0};
    }
    PartitionDigest *digest = &job->builder->digest;
    int r = partition_digest_compute(&options, job->image_fd, tree, digest, error);
    if (r < 0)
        return r;
    partition->hash = digest->hash;
    partition->root_hash = digest->root_hash;
    partition->has_rest_hash = partition->has_verity;
    partition->rest_hash = digest->rest_hash;
    partition->block_index = partition->has_source ? NULL : digest->block_index;
    return 0;
}

static int refuse_changed(const char *path, ErrorText *error)
{
    return error_say(error, -EINVAL, "%s changed while it was read: start again", path);
}

/* An old image that says what it is must be of this product, and of the version that was said. */
static int check_old(Job *job, const OldImage *old, ErrorText *error)
{
    const PayloadWriterOptions *options = job->options;
    const char *product = old_image_product(old), *version = old_image_version(old);
    if (product[0] && strcmp(product, options->product) != 0)
        return error_say(error, -EINVAL, "%s is of the product %s, not %s", job->paths->old,
                product, options->product);
    if (version[0] && options->source_version && strcmp(version, options->source_version) != 0)
        return error_say(error, -EINVAL, "%s is of the version %s, not %s", job->paths->old,
                version, options->source_version);
    snprintf(job->builder->source_version, sizeof(job->builder->source_version), "%s", version);
    return 0;
}

/* Reads the old image, and looks the new one's blocks up in it. */
static int look_up(Job *job, OldImage **ret_old, BlockMap **ret_map, ErrorText *error)
{
    PartitionUpdate *partition = &job->builder->partition;
    _cleanup_(old_image_freep) OldImage *old = NULL;
    int r = old_image_new(job->paths->old, &old, error);
    if (r >= 0)
        r = check_old(job, old, error);
    if (r < 0)
        return r;
    partition->has_source = true;
    partition->source_bytes = old_image_n_blocks(old) * MANIFEST_BLOCK_BYTES;
    partition->source_hash = *old_image_hash(old);
    job->n_total_bytes += job->n_image_bytes;
    r = block_map_new(
            old, job->image_fd, job->n_image_bytes, job->n_blocks, on_progress, job, ret_map);
    if (r >= 0)
        *ret_old = TAKE_PTR(old);
    return r;
}

/* Everything but a tree that is there: the client builds that one. */
static int pack_image(Job *job, int blob_fd, uint64_t *n_blob_bytes, ErrorText *error)
{
    PartitionUpdate *partition = &job->builder->partition;
    enum { N_PARTS = 3 };
    Extent parts[N_PARTS] = {{0, job->n_blocks}};
    if (partition->has_verity && job->has_trailer) {
        uint64_t data_end = partition->verity.n_data_blocks;
        uint64_t tree_end = partition->tree_start_block + partition->n_tree_blocks;
        parts[0].n_blocks = data_end;
        parts[1] = (Extent){data_end, partition->tree_start_block - data_end};
        parts[2] = (Extent){tree_end, job->n_blocks - tree_end};
    }
    job->n_total_bytes = partition->size_bytes;
    for (size_t i = 0; i < N_PARTS; i++)
        job->n_total_bytes += parts[i].n_blocks * MANIFEST_BLOCK_BYTES;
    _cleanup_(old_image_freep) OldImage *old = NULL;
    _cleanup_(block_map_freep) BlockMap *map = NULL;
    int r = job->paths->old ? look_up(job, &old, &map, error) : 0;
    if (r < 0)
        return r;
    ImagePackerOptions options = {
            .n_threads = job->options->n_threads,
            .level = job->options->level,
            .frame_target_bytes = job->options->frame_target_bytes,
            .frame_prefix_bytes = is_v1(job) ? 0 : job->options->frame_prefix_bytes,
            .is_bzip2 = is_v1(job),
            .map = map,
            .n_image_bytes = job->n_image_bytes,
            .on_progress = on_progress,
            .userdata = job,
    };
    r = image_packer_run(&options, job->image_fd, parts, N_PARTS, blob_fd, n_blob_bytes,
            &job->builder->image, error);
    if (r < 0)
        return r;
    if (old && !old_image_is_unchanged(old))
        return refuse_changed(job->paths->old, error);
    partition->operations = packed_image_operations(job->builder->image, &partition->n_operations);
    return 0;
}

/* A copy of the image that ends on a block, without a name. Returns the descriptor. */
static int copy_padded(Job *job, ErrorText *error)
{
    uint64_t n_bytes = job->n_image_bytes;
    _cleanup_close_ int copy_fd = output_file_open_scratch(job->paths->scratch, error);
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

/* Takes over what the image says of itself, where it does. */
static int read_trailer(Job *job, const char *image_path, ErrorText *error)
{
    const PayloadWriterOptions *options = job->options;
    ErrorText reason = {0};
    int r = image_trailer_read(
            job->image_fd, job->n_blocks * MANIFEST_BLOCK_BYTES, &job->trailer, &reason);
    if (r > 0)
        r = image_trailer_check(&job->trailer, options, &reason);
    if (r < 0)
        return reason.line[0] ? error_say(error, r, "%s: %s", image_path, reason.line) : r;
    job->has_trailer = r > 0;
    job->builder->partition.has_verity =
            !options->without_verity && (!job->has_trailer || job->trailer.tree_bytes > 0);
    return 0;
}

static int pack_and_hash(Job *job, int blob_fd, uint64_t *n_blob_bytes, ErrorText *error)
{
    int r = plan_tree(job, &job->builder->partition);
    if (r >= 0)
        r = pack_image(job, blob_fd, n_blob_bytes, error);
    return r < 0 ? r : hash_image(job, error);
}

/* Format 2 has whole blocks, and a tree. */
static int prepare_v2(Job *job, const char *image_path, int *ret_copy_fd, ErrorText *error)
{
    uint64_t n_bytes = job->n_blocks * MANIFEST_BLOCK_BYTES;
    job->builder->n_padded_bytes = (size_t)(n_bytes - job->n_image_bytes);
    if (job->builder->n_padded_bytes > 0) {
        int fd = copy_padded(job, error);
        if (fd < 0)
            return fd;
        *ret_copy_fd = job->image_fd = fd;
        job->n_image_bytes = n_bytes;
    }
    return read_trailer(job, image_path, error);
}

static int build(Job *job, int blob_fd, uint64_t *n_blob_bytes, ErrorText *error)
{
    const char *image_path = job->paths->image;
    _cleanup_close_ int fd = open(image_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno, "%s cannot be opened: %s", image_path, strerror(errno));
    struct stat before, after;
    int r = fstat(fd, &before) < 0 ? -errno : fd_size_bytes(fd, &job->n_image_bytes);
    if (r < 0)
        return error_say(
                error, r, "%s is no image: it is neither a file nor a block device", image_path);
    if (job->n_image_bytes == 0)
        return error_say(error, -EINVAL, "%s is empty", image_path);

    job->n_blocks = u64_div_round_up(job->n_image_bytes, MANIFEST_BLOCK_BYTES);
    job->image_fd = fd;
    _cleanup_close_ int copy_fd = -1;
    if (!is_v1(job))
        r = prepare_v2(job, image_path, &copy_fd, error);
    if (r >= 0)
        r = pack_and_hash(job, blob_fd, n_blob_bytes, error);
    if (r >= 0 && (fstat(fd, &after) < 0 || has_changed(&before, &after)))
        r = refuse_changed(image_path, error);
    return r;
}

int partition_builder_run(const PayloadWriterOptions *options, const char *name,
        const PartitionPaths *paths, int blob_fd, uint64_t *n_blob_bytes,
        PartitionBuilder **ret_builder, ErrorText *error)
{
    _cleanup_(partition_builder_freep) PartitionBuilder *builder = calloc(1, sizeof(*builder));
    if (!builder)
        return -ENOMEM;
    builder->name = strdup(name);
    if (!builder->name)
        return -ENOMEM;
    builder->partition.name = builder->name;
    builder->partition.kind = options->format == 1 ? manifest_v1_kind_of(name) : PARTITION_SLOT;
    Job job = {
            .options = options,
            .builder = builder,
            .paths = paths,
            .image_fd = -1,
    };
    int r = build(&job, blob_fd, n_blob_bytes, error);
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

const char *partition_builder_source_version(const PartitionBuilder *builder)
{
    return builder->source_version;
}

size_t partition_builder_n_padded_bytes(const PartitionBuilder *builder)
{
    return builder->n_padded_bytes;
}
