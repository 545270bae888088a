/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"
#include "updater/adaptive/adaptive-plan.h"
#include "updater/adaptive/adaptive-run.h"
#include "updater/payload-writer/image-packer.h"
#include "verity/block-index.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_BYTES)
#define N_BLOCKS 700
#define RAW_FIRST 256 /* an operation whose blob is not compressed */
#define RAW_END 512
#define ZEROS 0 /* content of blocks that hold nothing */

/* A new image, packed; a source and a target, in files. Contents are numbers. */
static int image_fd, blob_fd, source_fd, target_fd;
static uint64_t contents[N_BLOCKS];
static uint8_t block_index[N_BLOCKS * BLOCK_INDEX_ENTRY_BYTES];
static PartitionUpdate partition;
static Manifest manifest;
static PackedImage *packed;
static BlockMatch *match;
static AdaptivePlan *plan;
static uint64_t n_written_bytes;
static int write_answer;
static size_t frame_bytes; /* 0: of the default */
static size_t prefix_bytes;

/* Content that frames refer to: what is of two blocks, the first quarters of those that lie so many
 * before, stands in each block's second and third quarter. */
#define NEAR 1
#define FAR 20

static bool is_raw(uint64_t content)
{
    return content >= RAW_FIRST && content < RAW_END;
}

static void fill_own(uint64_t content, uint8_t *ret_data, size_t n_bytes)
{
    uint64_t x = content * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t at = 0; at < n_bytes; at += is_raw(content) ? 8 : 64) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(ret_data + at, &x, sizeof(x));
    }
}

static void fill(uint64_t content, uint8_t *ret_block)
{
    memset(ret_block, 0, BLOCK);
    if (content == ZEROS)
        return;
    fill_own(content, ret_block, BLOCK);
    if (is_raw(content))
        return;
    if (content > NEAR)
        fill_own(content - NEAR, ret_block + BLOCK / 4, BLOCK / 4);
    if (content > FAR)
        fill_own(content - FAR, ret_block + BLOCK / 2, BLOCK / 4);
}

static void put(int fd, uint64_t block, uint64_t content)
{
    uint8_t data[BLOCK];
    fill(content, data);
    ck_assert_int_eq(fd_pwrite_full(fd, data, BLOCK, block * BLOCK), 0);
}

static Sha256 digest_at(int fd, uint64_t block)
{
    uint8_t data[BLOCK];
    Sha256 digest;
    ck_assert_int_eq(fd_pread_full(fd, data, BLOCK, block * BLOCK), 0);
    ck_assert_int_eq(verity_hash_blocks(&partition.verity, data, 1, &digest), 0);
    return digest;
}

static int new_file(void)
{
    char path[] = "/tmp/flipside-adaptive-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    return fd;
}

static OperationType zstd_type(void)
{
    return prefix_bytes > 0 ? OPERATION_REPLACE_ZSTD_PREFIX : OPERATION_REPLACE_ZSTD;
}

static void set_up(void)
{
    image_fd = new_file(), blob_fd = new_file(), source_fd = new_file(), target_fd = new_file();
    partition = (PartitionUpdate){.has_verity = true,
            .verity = {.n_data_blocks = N_BLOCKS, .n_salt_bytes = 4, .salt = "salt"},
            .block_index = block_index,
            .size_bytes = N_BLOCKS * BLOCK};
    for (uint64_t i = 0; i < N_BLOCKS; i++) {
        contents[i] = i == 77 || i >= 690 ? ZEROS : i + 1;
        if (i == RAW_END - 1)
            contents[i] = RAW_FIRST;
        put(image_fd, i, contents[i]);
        Sha256 digest = digest_at(image_fd, i);
        block_index_fill(&digest, 1, block_index + i * BLOCK_INDEX_ENTRY_BYTES);
    }
    const ImagePackerOptions options = {
            .n_image_bytes = N_BLOCKS * BLOCK,
            .n_threads = 1,
            .frame_target_bytes = frame_bytes,
            .frame_prefix_bytes = prefix_bytes,
    };
    const Extent all = {.start_block = 0, .n_blocks = N_BLOCKS};
    uint64_t n_blob_bytes = 0;
    ErrorText error;
    ck_assert_int_eq(
            image_packer_run(&options, image_fd, &all, 1, blob_fd, &n_blob_bytes, &packed, &error),
            0);
    manifest = (Manifest){.format = 2, .partitions = &partition, .n_partitions = 1};
    manifest.frame_target_bytes = frame_bytes ? frame_bytes : IMAGE_PACKER_FRAME_BYTES;
    manifest.frame_prefix_bytes = prefix_bytes;
    manifest.operations = packed_image_operations(packed, &manifest.n_operations);
    manifest.n_blob_bytes = n_blob_bytes;
    ck_assert_uint_eq(manifest.n_operations, 3);
    ck_assert_int_eq(manifest.operations[0].type, zstd_type());
    ck_assert_int_eq(manifest.operations[1].type, OPERATION_REPLACE);
    ck_assert_int_eq(ftruncate(target_fd, N_BLOCKS * BLOCK), 0);
    ck_assert_int_eq(block_match_new(&partition, &match), 0);
    n_written_bytes = 0;
    write_answer = 0;
    plan = NULL;
}

static void set_up_prefix(void)
{
    prefix_bytes = MANIFEST_FRAME_PREFIX_MAX_BYTES;
    set_up();
}

static void tear_down(void)
{
    adaptive_plan_free(plan);
    block_match_free(match);
    packed_image_free(packed);
    close(image_fd), close(blob_fd), close(source_fd), close(target_fd);
}

/* The source gets this content as its next block, and the match hears of it. */
static void add_source(uint64_t *n_blocks, uint64_t content)
{
    put(source_fd, *n_blocks, content);
    Sha256 digest = digest_at(source_fd, *n_blocks);
    block_match_add_source((*n_blocks)++, &digest, 1, match);
}

static void hold(uint64_t block)
{
    put(target_fd, block, contents[block]);
    Sha256 digest = digest_at(target_fd, block);
    block_match_add_target(block, &digest, 1, match);
}

static void make_plan(void)
{
    ck_assert_int_eq(adaptive_plan_new(&manifest, &partition, match, &plan), 0);
}

static int on_write(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)userdata;
    ck_assert_uint_eq((uintptr_t)data % BLOCK, 0);
    n_written_bytes += n_bytes;
    return write_answer < 0 ? write_answer : fd_pwrite_full(target_fd, data, n_bytes, offset_bytes);
}

static int on_zero(uint64_t offset_bytes, uint64_t n_bytes, void *userdata)
{
    static const uint8_t zeros[N_BLOCKS * BLOCK];
    (void)userdata;
    return fd_pwrite_full(target_fd, zeros, n_bytes, offset_bytes);
}

static const OperationSink sink = {.write = on_write, .zero = on_zero};

/* What is fetched of an operation, piece by piece, some of them in two parts. */
static uint8_t *fetch(size_t i)
{
    uint64_t n_bytes = adaptive_plan_n_bytes(plan, i);
    uint8_t *blob = malloc(n_bytes + 1);
    for (uint64_t at = 0; at < n_bytes;) {
        AdaptivePiece piece = adaptive_plan_piece(plan, i, at);
        ck_assert_uint_gt(piece.n_bytes, 0);
        ck_assert_uint_le(at + piece.n_bytes, n_bytes);
        if (piece.n_bytes > 100)
            piece.n_bytes /= 2;
        ck_assert_int_eq(fd_pread_full(blob_fd, blob + at, piece.n_bytes, piece.offset_bytes), 0);
        at += piece.n_bytes;
    }
    return blob;
}

static UpdateError run(size_t i, uint8_t *blob, bool *ret_is_lacking)
{
    const AdaptivePlace place = {
            .plan = plan, .source = {.fd = source_fd}, .target = {.fd = target_fd}};
    ErrorText error = {};
    *ret_is_lacking = false;
    return adaptive_run(&place, &manifest.operations[i], i, blob, &sink, ret_is_lacking, &error);
}

/* All operations that are put together. Returns how many were found lacking. */
static unsigned run_all(void)
{
    unsigned n_lacking = 0;
    for (size_t i = 0; i < manifest.n_operations; i++) {
        if (!adaptive_plan_is_pieces(plan, i))
            continue;
        uint8_t *blob = fetch(i);
        bool is_lacking;
        ck_assert_int_eq(run(i, blob, &is_lacking), UPDATE_OK);
        n_lacking += is_lacking;
        free(blob);
    }
    return n_lacking;
}

static void assert_content(uint64_t block)
{
    Sha256 wanted = digest_at(image_fd, block), found = digest_at(target_fd, block);
    ck_assert_msg(sha256_equal(&wanted, &found), "block %d", (int)block);
}

static void assert_same(void)
{
    for (uint64_t i = 0; i < N_BLOCKS; i++)
        assert_content(i);
}

START_TEST(test_all_is_here)
{
    uint64_t n_blocks = 0;
    add_source(&n_blocks, 5000);
    for (size_t i = N_BLOCKS; i-- > 0;)
        add_source(&n_blocks, contents[i]);
    make_plan();
    ck_assert_uint_eq(adaptive_plan_n_all_bytes(plan), 0);
    ck_assert(adaptive_plan_is_worthwhile(plan));
    ck_assert_uint_eq(run_all(), 0);
    assert_same();
}
END_TEST

START_TEST(test_nothing_is_here)
{
    make_plan();
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(adaptive_plan_n_bytes(plan, i), manifest.operations[i].n_data_bytes);
        AdaptivePiece piece = adaptive_plan_piece(plan, i, 10);
        ck_assert_uint_eq(piece.offset_bytes, manifest.operations[i].data_offset_bytes + 10);
        ck_assert_uint_eq(piece.n_bytes, manifest.operations[i].n_data_bytes - 10);
    }
    ck_assert(!adaptive_plan_is_pieces(plan, 0));
    ck_assert(!adaptive_plan_is_worthwhile(plan));
}
END_TEST

/* Those that the source does not have. */
static bool is_missing(uint64_t block)
{
    return block == 0 || block == 9 || block == 10 || block == 253 || block == 300 ||
           block == 301 || block == 680;
}

static void add_all_but_missing(void)
{
    uint64_t n_blocks = 0;
    for (uint64_t i = 0; i < N_BLOCKS; i++)
        if (!is_missing(i) && contents[i] != ZEROS)
            add_source(&n_blocks, contents[i]);
}

START_TEST(test_some_is_here)
{
    add_all_but_missing();
    make_plan();
    const Operation *operations = manifest.operations;
    ck_assert_uint_eq(adaptive_plan_n_bytes(plan, 0), operations[0].frame_bytes[0] +
                                                              operations[0].frame_bytes[2] +
                                                              operations[0].frame_bytes[63]);
    ck_assert_uint_eq(adaptive_plan_n_bytes(plan, 1), 2 * BLOCK);
    ck_assert_uint_eq(adaptive_plan_n_bytes(plan, 2), operations[2].frame_bytes[42]);
    AdaptivePiece piece = adaptive_plan_piece(plan, 1, 0);
    ck_assert_uint_eq(piece.offset_bytes, operations[1].data_offset_bytes + 44 * BLOCK);
    ck_assert_uint_eq(piece.n_bytes, 2 * BLOCK);
    ck_assert_uint_eq(run_all(), 0);
    assert_same();
}
END_TEST

/* The same, in frames of each size: what they lack is fetched in whole frames, and no more. */
START_TEST(test_frames_of_each_size)
{
    tear_down();
    frame_bytes = BLOCK << _i;
    set_up();
    add_all_but_missing();
    make_plan();
    for (size_t i = 0; i < manifest.n_operations; i += 2) {
        const Operation *operation = &manifest.operations[i];
        size_t n_per_frame = frame_bytes / BLOCK, n_bytes = 0;
        ck_assert_int_eq(operation->type, zstd_type());
        ck_assert_uint_eq(adaptive_plan_frame_blocks(plan, i), n_per_frame);
        for (size_t frame = 0; frame < operation->n_frames; frame++) {
            bool is_fetched = false;
            for (size_t k = frame * n_per_frame; k < (frame + 1) * n_per_frame; k++)
                is_fetched = is_fetched ||
                             (k < operation->dst_extents[0].n_blocks &&
                                     is_missing(operation->dst_extents[0].start_block + k));
            n_bytes += is_fetched ? operation->frame_bytes[frame] : 0;
        }
        ck_assert_uint_eq(adaptive_plan_n_bytes(plan, i), n_bytes);
    }
    ck_assert_uint_eq(run_all(), 0);
    for (size_t i = 0; i < manifest.n_operations; i++)
        if (!adaptive_plan_is_pieces(plan, i)) /* all its frames are */
            for (size_t k = 0; k < RAW_FIRST && i * RAW_FIRST + k < N_BLOCKS; k++)
                put(target_fd, i * RAW_FIRST + k, contents[i * RAW_FIRST + k]);
    assert_same();
    frame_bytes = 0;
}
END_TEST

START_TEST(test_what_the_target_holds_is_not_written)
{
    add_all_but_missing();
    for (uint64_t i = 0; i < N_BLOCKS; i++)
        if (i % 2 == 1)
            hold(i);
    make_plan();
    ck_assert_uint_eq(run_all(), 0);
    assert_same();
    uint64_t n_zeros = 5; /* 690, 692, ... */
    ck_assert_uint_eq(n_written_bytes, (N_BLOCKS / 2 - n_zeros) * BLOCK);
}
END_TEST

START_TEST(test_a_source_that_lies)
{
    add_all_but_missing();
    make_plan();
    put(source_fd, 100, 4711);
    ck_assert_uint_eq(run_all(), 1);
    adaptive_plan_fetch_whole(plan, 0);
    ck_assert(!adaptive_plan_is_pieces(plan, 0));
    ck_assert_uint_eq(adaptive_plan_n_bytes(plan, 0), manifest.operations[0].n_data_bytes);
}
END_TEST

START_TEST(test_a_source_that_ends_early)
{
    add_all_but_missing();
    make_plan();
    ck_assert_int_eq(ftruncate(source_fd, 100 * BLOCK), 0);
    ck_assert_uint_eq(run_all(), 3);
}
END_TEST

/* One that was to stay, and one that is fetched with its frame and so repaired. */
START_TEST(test_a_target_that_lies)
{
    add_all_but_missing();
    hold(8);
    hold(20);
    make_plan();
    put(target_fd, 8, 4711);
    ck_assert_uint_eq(run_all(), 0);
    assert_same();
    put(target_fd, 20, 4711);
    ck_assert_uint_eq(run_all(), 1);
}
END_TEST

START_TEST(test_what_is_fetched_lies)
{
    add_all_but_missing();
    make_plan();
    for (size_t i = 0; i < manifest.n_operations; i++) {
        uint64_t n_bytes = adaptive_plan_n_bytes(plan, i);
        for (uint64_t at = 0; at < n_bytes; at += 1 + n_bytes / 50) {
            uint8_t *blob = fetch(i);
            bool is_lacking;
            blob[at] ^= 0x40;
            ck_assert_int_eq(run(i, blob, &is_lacking), UPDATE_ERROR_OPERATION_HASH);
            free(blob);
        }
    }
}
END_TEST

START_TEST(test_a_target_that_cannot_be_written)
{
    add_all_but_missing();
    make_plan();
    write_answer = -EIO;
    uint8_t *blob = fetch(0);
    bool is_lacking;
    ck_assert_int_eq(run(0, blob, &is_lacking), UPDATE_ERROR_WRITE);
    free(blob);
}
END_TEST

/* Blocks behind the data, which no index knows. */
START_TEST(test_what_is_not_in_the_index_comes_whole)
{
    uint64_t n_blocks = 0;
    for (size_t i = 0; i < N_BLOCKS; i++)
        add_source(&n_blocks, contents[i]);
    partition.verity.n_data_blocks = 600;
    make_plan();
    ck_assert(adaptive_plan_is_pieces(plan, 1));
    ck_assert(!adaptive_plan_is_pieces(plan, 2));
    ck_assert_uint_eq(adaptive_plan_n_bytes(plan, 2), manifest.operations[2].n_data_bytes);
}
END_TEST

/* --- frames that refer to what lies before them --------------------------------------------- */

/* The source has all blocks but these two frames: the first of group 1, which refers to group 0
 * alone, and one that refers to both groups, to a block of zeros (77) and to the other frame. */
#define FIRST_FRAME 16
#define OTHER_FRAME 20
#define FRAME_BLOCKS 4

static bool is_of_two_frames(uint64_t block)
{
    return block / FRAME_BLOCKS == FIRST_FRAME || block / FRAME_BLOCKS == OTHER_FRAME;
}

/* Where in the source each block is. */
static uint64_t source_blocks[N_BLOCKS];

static void add_all_but_two_frames(void)
{
    uint64_t n_blocks = 0;
    for (uint64_t i = 0; i < N_BLOCKS; i++) {
        source_blocks[i] = n_blocks;
        if (!is_of_two_frames(i) && contents[i] != ZEROS)
            add_source(&n_blocks, contents[i]);
    }
}

START_TEST(test_a_frame_refers_to_blocks_from_everywhere)
{
    add_all_but_two_frames();
    for (uint64_t i = 0; _i > 0 && i < N_BLOCKS; i++)
        if (i % 3 == 0 && !is_of_two_frames(i))
            hold(i);
    if (_i == 2)
        hold(FIRST_FRAME * FRAME_BLOCKS + 1); /* and one that is fetched all the same */
    make_plan();
    const Operation *operation = &manifest.operations[0];
    ck_assert_uint_eq(adaptive_plan_n_all_bytes(plan),
            operation->frame_bytes[FIRST_FRAME] + operation->frame_bytes[OTHER_FRAME]);
    ck_assert_uint_lt(operation->frame_bytes[OTHER_FRAME], operation->frame_bytes[0]);
    ck_assert_uint_eq(run_all(), 0);
    assert_same();
}
END_TEST

/* Whatever block on this machine has rotted, of those that a fetched frame refers to: it is this
 * machine's fault. */
START_TEST(test_rotten_blocks_are_no_damage_of_the_payload)
{
    add_all_but_two_frames();
    for (uint64_t i = 0; i < RAW_FIRST; i++)
        if (i % 3 == 0 && !is_of_two_frames(i))
            hold(i);
    make_plan();
    uint8_t *blob = fetch(0);
    for (uint64_t i = OTHER_FRAME * FRAME_BLOCKS - 32; i < OTHER_FRAME * FRAME_BLOCKS; i++) {
        bool is_lacking;
        if (is_of_two_frames(i) || contents[i] == ZEROS)
            continue;
        int fd = i % 3 == 0 ? target_fd : source_fd;
        uint64_t at = i % 3 == 0 ? i : source_blocks[i];
        put(fd, at, 4711);
        ck_assert_int_eq(run(0, blob, &is_lacking), UPDATE_OK);
        ck_assert_msg(is_lacking, "block %d", (int)i);
        put(fd, at, contents[i]);
    }
    bool is_lacking;
    ck_assert_int_eq(run(0, blob, &is_lacking), UPDATE_OK);
    ck_assert(!is_lacking);
    free(blob);
}
END_TEST

/* The other frame with a checksum, so that it cannot be decompressed after another prefix. */
static size_t make_checked_frame(uint8_t *ret_frame, size_t n_room_bytes)
{
    enum { FIRST = OTHER_FRAME * FRAME_BLOCKS - 32 };
    static uint8_t data[(32 + FRAME_BLOCKS) * MANIFEST_BLOCK_BYTES];
    ck_assert_int_eq(fd_pread_full(image_fd, data, sizeof(data), FIRST * BLOCK), 0);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_refPrefix(context, data, 32 * BLOCK);
    size_t n = ZSTD_compress2(
            context, ret_frame, n_room_bytes, data + 32 * BLOCK, FRAME_BLOCKS * BLOCK);
    ck_assert(!ZSTD_isError(n));
    ZSTD_freeCCtx(context);
    return n;
}

START_TEST(test_a_rotten_block_may_make_a_frame_fail)
{
    uint32_t sizes[RAW_FIRST / FRAME_BLOCKS];
    uint8_t frame[FRAME_BLOCKS * BLOCK];
    Operation operation = manifest.operations[0];
    ck_assert_uint_eq(operation.n_frames, ELEMENTS(sizes));
    memcpy(sizes, operation.frame_bytes, sizeof(sizes));
    sizes[OTHER_FRAME] = (uint32_t)make_checked_frame(frame, sizeof(frame));
    operation.frame_bytes = sizes;
    operation.n_data_bytes = UINT32_MAX; /* more than the frame */
    manifest.operations = &operation;
    manifest.n_operations = 1;
    for (uint64_t i = 0; i < RAW_FIRST; i++)
        if (i / FRAME_BLOCKS != OTHER_FRAME)
            hold(i);
    make_plan();
    ck_assert_uint_eq(adaptive_plan_n_bytes(plan, 0), sizes[OTHER_FRAME]);
    bool is_lacking;
    ck_assert_int_eq(run(0, frame, &is_lacking), UPDATE_OK);
    ck_assert(!is_lacking);
    assert_content(OTHER_FRAME * FRAME_BLOCKS);

    put(target_fd, OTHER_FRAME * FRAME_BLOCKS - 1, 4711);
    ck_assert_int_eq(run(0, frame, &is_lacking), UPDATE_OK);
    ck_assert(is_lacking);
    put(target_fd, OTHER_FRAME * FRAME_BLOCKS - 1, contents[OTHER_FRAME * FRAME_BLOCKS - 1]);
    frame[sizes[OTHER_FRAME] - 1] ^= 1;
    ck_assert_int_eq(run(0, frame, &is_lacking), UPDATE_ERROR_OPERATION_HASH);
    ck_assert(!is_lacking);
}
END_TEST

/* Both are wrong: what the machine has comes first, and the whole operation is fetched. */
START_TEST(test_damage_and_rot_together)
{
    add_all_but_two_frames();
    make_plan();
    uint8_t *blob = fetch(0);
    bool is_lacking;
    blob[manifest.operations[0].frame_bytes[FIRST_FRAME] + 20] ^= 0x40;
    ck_assert_int_eq(run(0, blob, &is_lacking), UPDATE_ERROR_OPERATION_HASH);
    put(source_fd, source_blocks[OTHER_FRAME * FRAME_BLOCKS + FRAME_BLOCKS], 4711); /* behind it */
    ck_assert_int_eq(run(0, blob, &is_lacking), UPDATE_OK);
    ck_assert(is_lacking);
    free(blob);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, SFun each_set_up)
{
    TCase *tcase = unit_case(suite, name);
    tcase_add_checked_fixture(tcase, each_set_up, tear_down);
    tcase_add_test(tcase, test_all_is_here);
    tcase_add_test(tcase, test_nothing_is_here);
    tcase_add_test(tcase, test_some_is_here);
    tcase_add_loop_test(tcase, test_frames_of_each_size, 0, 7);
    tcase_add_test(tcase, test_what_the_target_holds_is_not_written);
    tcase_add_test(tcase, test_a_source_that_lies);
    tcase_add_test(tcase, test_a_source_that_ends_early);
    tcase_add_test(tcase, test_a_target_that_lies);
    tcase_add_test(tcase, test_what_is_fetched_lies);
    tcase_add_test(tcase, test_a_target_that_cannot_be_written);
    tcase_add_test(tcase, test_what_is_not_in_the_index_comes_whole);
    return tcase;
}

Suite *unit_suite(void)
{
    Suite *suite = suite_create("adaptive");
    add_case(suite, "alone", set_up);
    TCase *tcase = add_case(suite, "prefix", set_up_prefix);
    tcase_add_loop_test(tcase, test_a_frame_refers_to_blocks_from_everywhere, 0, 3);
    tcase_add_test(tcase, test_rotten_blocks_are_no_damage_of_the_payload);
    tcase_add_test(tcase, test_a_rotten_block_may_make_a_frame_fail);
    tcase_add_test(tcase, test_damage_and_rot_together);
    return suite;
}
