/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/hash-tree.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/fd-io.h"
#include "verity/block-walk.h"

/* A tree is built from below: the data is walked for level 0, then each written level for the one
 * above, until one block is left, whose digest is the root. It is verified from above: the root
 * vouches for the top level, each level for the one below, level 0 for the data. So the first block
 * that is found wrong lies below nothing but right ones, and is the wrong one itself.
 *
 * Between the walk and a level's blocks in the file stands a LevelBuffer, so that many small runs
 * of digests become few large reads and writes of whole blocks. */

#define LEVEL_BUFFER_BYTES ((size_t)256 * 1024)
#define PAGE_BYTES 4096

static_assert(LEVEL_BUFFER_BYTES % (BLOCK_WALK_CHUNK_BLOCKS * sizeof(Sha256)) == 0,
        "a walk's digests never straddle the buffer's end");

/* One level, or the one digest that is the root, in the order of its digests. */
typedef struct {
    VerityRegion region;
    uint64_t n_bytes_left; /* of the level, not yet read into or written from data */
    uint8_t *data;         /* LEVEL_BUFFER_BYTES, page-aligned */
    size_t n_bytes;        /* in data */
    size_t at_bytes;       /* verify: up to where data has been compared */
    char child_what[40];   /* what the digests are of, in words */
    uint64_t child_first_block;
} LevelBuffer;

static int level_buffer_init(LevelBuffer *level)
{
    *level = (LevelBuffer){.region.fd = -1};
    return posix_memalign((void **)&level->data, PAGE_BYTES, LEVEL_BUFFER_BYTES) == 0 ? 0 : -ENOMEM;
}

static void level_buffer_done(LevelBuffer *level)
{
    free(level->data);
}

int verity_layout_compute(const VerityParameters *parameters, VerityLayout *ret_layout)
{
    if (parameters->n_salt_bytes > VERITY_SALT_MAX_BYTES || parameters->n_data_blocks == 0 ||
            parameters->n_data_blocks > VERITY_DATA_BLOCKS_MAX)
        return -EINVAL;

    VerityLayout layout = {};
    uint64_t n_blocks = parameters->n_data_blocks;
    while (n_blocks > 1) {
        n_blocks = u64_div_round_up(n_blocks, VERITY_DIGESTS_PER_BLOCK);
        layout.n_level_blocks[layout.n_levels++] = n_blocks;
    }
    for (unsigned i = layout.n_levels; i-- > 0;) {
        layout.level_start_block[i] = layout.n_tree_blocks;
        layout.n_tree_blocks += layout.n_level_blocks[i];
    }
    *ret_layout = layout;
    return 0;
}

int verity_hash_blocks(
        const VerityParameters *parameters, const void *data, size_t n_blocks, Sha256 *ret_digests)
{
    if (parameters->n_salt_bytes > VERITY_SALT_MAX_BYTES)
        return -EINVAL;
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    int r = sha256_stream_new(&stream);
    if (r < 0)
        return r;
    block_walk_hash(stream, parameters, data, n_blocks, ret_digests);
    return 0;
}

/* Everything that building and verifying share. */
typedef struct {
    const VerityParameters *parameters;
    VerityLayout layout;
    VerityRegion data;
    VerityRegion tree;
    VerityRun data_run;  /* the caller's */
    VerityRun level_run; /* the same for reading the tree: no progress, no on_data */
    LevelBuffer level;
    Sha256 root;
    ErrorText *error;
} TreeWork;

/* Data and tree may share a file, but not a byte of it. */
static bool regions_are_apart(const TreeWork *work)
{
    uint64_t data_end, tree_end;
    if (!u64_mul(work->parameters->n_data_blocks, VERITY_BLOCK_BYTES, &data_end) ||
            !u64_add(data_end, work->data.offset_bytes, &data_end) ||
            !u64_mul(work->layout.n_tree_blocks, VERITY_BLOCK_BYTES, &tree_end) ||
            !u64_add(tree_end, work->tree.offset_bytes, &tree_end) || tree_end > INT64_MAX ||
            data_end > INT64_MAX)
        return false;
    return work->data.fd != work->tree.fd || data_end <= work->tree.offset_bytes ||
           tree_end <= work->data.offset_bytes;
}

static int tree_work_init(TreeWork *work, const VerityParameters *parameters, VerityRegion data,
        VerityRegion tree, const VerityRun *run, ErrorText *error)
{
    *work = (TreeWork){.parameters = parameters, .data = data, .tree = tree, .error = error};
    if (run) {
        work->data_run = *run;
        work->level_run.n_threads = run->n_threads;
        work->level_run.is_cancelled = run->is_cancelled;
    }
    int r = verity_layout_compute(parameters, &work->layout);
    if (r < 0)
        return error_say(error, r,
                "a hash tree over %" PRIu64 " blocks with a salt of %zu bytes"
                " is not possible",
                parameters->n_data_blocks, parameters->n_salt_bytes);
    if (!regions_are_apart(work))
        return error_say(error, -EINVAL, "hash tree and data overlap or end beyond any file");
    r = level_buffer_init(&work->level);
    return r < 0 ? error_say(error, r, "out of memory") : 0;
}

static void tree_work_done(TreeWork *work)
{
    level_buffer_done(&work->level);
}

static VerityRegion level_region(const TreeWork *work, unsigned level)
{
    return (VerityRegion){
            .fd = work->tree.fd,
            .offset_bytes = work->tree.offset_bytes +
                            work->layout.level_start_block[level] * VERITY_BLOCK_BYTES,
    };
}

/* Walks what step `step` hashes: the data for 0, level step - 1 of the tree above. Step n_levels
 * is a single block. */
static int walk_step(TreeWork *work, unsigned step, BlockWalkTaker take)
{
    LevelBuffer *level = &work->level;
    level->n_bytes = level->at_bytes = 0;
    level->n_bytes_left = 0;
    if (step < work->layout.n_levels) {
        level->region = level_region(work, step);
        level->n_bytes_left = work->layout.n_level_blocks[step] * VERITY_BLOCK_BYTES;
    }
    if (step == 0) {
        snprintf(level->child_what, sizeof(level->child_what), "the data");
        level->child_first_block = 0;
    } else {
        snprintf(
                level->child_what, sizeof(level->child_what), "the hash tree (level %u)", step - 1);
        level->child_first_block = work->layout.level_start_block[step - 1];
    }
    BlockWalk walk = {
            .parameters = work->parameters,
            .what = level->child_what,
            .region = step == 0 ? work->data : level_region(work, step - 1),
            .n_blocks = step == 0 ? work->parameters->n_data_blocks
                                  : work->layout.n_level_blocks[step - 1],
            .run = step == 0 ? &work->data_run : &work->level_run,
            .take = take,
            .userdata = work,
    };
    return block_walk(&walk, work->error);
}

static int take_root(uint64_t first_block, const Sha256 *digests, size_t n_digests, void *userdata,
        ErrorText *error)
{
    TreeWork *work = userdata;
    (void)first_block;
    (void)n_digests;
    (void)error;
    work->root = digests[0];
    return 0;
}

/* Writes what the buffer holds, filled up with zeros to a whole block. */
static int level_flush(LevelBuffer *level, ErrorText *error)
{
    size_t n_padded = u64_div_round_up(level->n_bytes, VERITY_BLOCK_BYTES) * VERITY_BLOCK_BYTES;
    memset(level->data + level->n_bytes, 0, n_padded - level->n_bytes);
    int r = fd_pwrite_full(level->region.fd, level->data, n_padded, level->region.offset_bytes);
    if (r < 0)
        return error_say(error, r, "cannot write the hash tree at byte %" PRIu64 ": %s",
                level->region.offset_bytes, strerror(-r));
    level->region.offset_bytes += n_padded;
    level->n_bytes = 0;
    return 0;
}

static int take_for_building(uint64_t first_block, const Sha256 *digests, size_t n_digests,
        void *userdata, ErrorText *error)
{
    LevelBuffer *level = &((TreeWork *)userdata)->level;
    (void)first_block;
    memcpy(level->data + level->n_bytes, digests, n_digests * sizeof(*digests));
    level->n_bytes += n_digests * sizeof(*digests);
    return level->n_bytes == LEVEL_BUFFER_BYTES ? level_flush(level, error) : 0;
}

/* From level `first` on. */
static int build_from(TreeWork *work, unsigned first)
{
    for (unsigned step = first; step < work->layout.n_levels; step++) {
        int r = walk_step(work, step, take_for_building);
        if (r < 0)
            return r;
        r = work->level.n_bytes > 0 ? level_flush(&work->level, work->error) : 0;
        if (r < 0)
            return r;
    }
    return walk_step(work, work->layout.n_levels, take_root);
}

int verity_tree_build(const VerityParameters *parameters, VerityRegion data, VerityRegion tree,
        const VerityRun *run, Sha256 *ret_root, ErrorText *error)
{
    _cleanup_(tree_work_done) TreeWork work;
    int r = tree_work_init(&work, parameters, data, tree, run, error);
    if (r < 0)
        return r;
    r = build_from(&work, 0);
    if (r < 0)
        return r;
    *ret_root = work.root;
    return 0;
}

/* Behind the last digest of the lowest level. */
static int clear_end(TreeWork *work)
{
    static const uint8_t zeros[VERITY_BLOCK_BYTES];
    uint64_t n_bytes = work->parameters->n_data_blocks * sizeof(Sha256);
    size_t n_clear = (size_t)(-n_bytes % VERITY_BLOCK_BYTES);
    uint64_t at_bytes = level_region(work, 0).offset_bytes + n_bytes;
    int r = fd_pwrite_full(work->tree.fd, zeros, n_clear, at_bytes);
    if (r < 0)
        return error_say(work->error, r, "cannot write the hash tree at byte %" PRIu64 ": %s",
                at_bytes, strerror(-r));
    return 0;
}

int verity_tree_build_above(const VerityParameters *parameters, VerityRegion tree,
        const VerityRun *run, Sha256 *ret_root, ErrorText *error)
{
    const VerityRegion no_data = {.fd = -1};
    _cleanup_(tree_work_done) TreeWork work;
    int r = tree_work_init(&work, parameters, no_data, tree, run, error);
    if (r == 0 && work.layout.n_levels == 0)
        r = error_say(error, -EINVAL, "the hash tree of a single block is made from the block");
    if (r == 0)
        r = clear_end(&work);
    if (r == 0)
        r = build_from(&work, 1);
    if (r < 0)
        return r;
    *ret_root = work.root;
    return 0;
}

/* Brings the next part of the level into the buffer. */
static int level_refill(LevelBuffer *level, ErrorText *error)
{
    size_t n_bytes = (size_t)MIN(level->n_bytes_left, (uint64_t)LEVEL_BUFFER_BYTES);
    int r = fd_pread_full(level->region.fd, level->data, n_bytes, level->region.offset_bytes);
    if (r < 0)
        return error_say(error, r, "cannot read the hash tree at byte %" PRIu64 ": %s",
                level->region.offset_bytes, strerror(-r));
    level->region.offset_bytes += n_bytes;
    level->n_bytes_left -= n_bytes;
    level->n_bytes = n_bytes;
    level->at_bytes = 0;
    return 0;
}

static int report_first_wrong(const LevelBuffer *level, uint64_t first_block,
        const Sha256 *expected, const Sha256 *digests, ErrorText *error)
{
    size_t i = 0;
    while (memcmp(&expected[i], &digests[i], sizeof(Sha256)) == 0)
        i++;
    return error_say(error, -EBADMSG, "block %" PRIu64 " of %s does not match its digest",
            level->child_first_block + first_block + i, level->child_what);
}

static int take_for_verifying(uint64_t first_block, const Sha256 *digests, size_t n_digests,
        void *userdata, ErrorText *error)
{
    LevelBuffer *level = &((TreeWork *)userdata)->level;
    if (level->at_bytes == level->n_bytes) {
        int r = level_refill(level, error);
        if (r < 0)
            return r;
    }
    const Sha256 *expected = (const Sha256 *)(level->data + level->at_bytes);
    size_t n_bytes = n_digests * sizeof(*digests);
    if (memcmp(expected, digests, n_bytes) != 0)
        return report_first_wrong(level, first_block, expected, digests, error);
    level->at_bytes += n_bytes;
    return 0;
}

/* One step held against the level above it, whose end must be zeros: the kernel would not mind, but
 * it is then not the tree that the data has. */
static int verify_step(TreeWork *work, unsigned step)
{
    int r = walk_step(work, step, take_for_verifying);
    if (r < 0)
        return r;
    const LevelBuffer *level = &work->level;
    if (!bytes_are_zero(level->data + level->at_bytes, level->n_bytes - level->at_bytes))
        return error_say(work->error, -EBADMSG,
                "block %" PRIu64 " of the hash tree has more in it than digests",
                work->layout.level_start_block[step] + work->layout.n_level_blocks[step] - 1);
    return 0;
}

static int verify(TreeWork *work, const Sha256 *root)
{
    int r = walk_step(work, work->layout.n_levels, take_root);
    if (r < 0)
        return r;
    if (!sha256_equal(&work->root, root))
        return error_say(work->error, -EBADMSG, "block 0 of %s does not match the root hash",
                work->level.child_what);
    for (unsigned step = work->layout.n_levels; step-- > 0;) {
        r = verify_step(work, step);
        if (r < 0)
            return r;
    }
    return 0;
}

int verity_tree_verify(const VerityParameters *parameters, VerityRegion data, VerityRegion tree,
        const Sha256 *root, const VerityRun *run, ErrorText *error)
{
    _cleanup_(tree_work_done) TreeWork work;
    int r = tree_work_init(&work, parameters, data, tree, run, error);
    if (r < 0)
        return r;
    return verify(&work, root);
}
