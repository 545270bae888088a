/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/operation.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/bytes.h"
#include "tests/unit/unit.h"

#define TARGET_BYTES ((size_t)150 * 4096) /* some buffers and a rest */

/* A partition in memory that records what is written to it. */
typedef struct {
    uint8_t *data;
    size_t n_written_bytes;
    size_t n_zeroed_bytes;
    int answer; /* of the callbacks */
} Target;

static int on_write(uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    Target *target = userdata;
    ck_assert_uint_eq((uintptr_t)data % 4096, 0);
    ck_assert_uint_eq(offset_bytes % 4096, 0);
    ck_assert_uint_eq(n_bytes % 4096, 0);
    ck_assert_uint_gt(n_bytes, 0);
    ck_assert_uint_le(offset_bytes + n_bytes, TARGET_BYTES);
    if (target->answer < 0)
        return target->answer;
    memcpy(target->data + offset_bytes, data, n_bytes);
    target->n_written_bytes += n_bytes;
    return 0;
}

static int on_zero(uint64_t offset_bytes, uint64_t n_bytes, void *userdata)
{
    Target *target = userdata;
    ck_assert_uint_le(offset_bytes + n_bytes, TARGET_BYTES);
    if (target->answer < 0)
        return target->answer;
    memset(target->data + offset_bytes, 0, n_bytes);
    target->n_zeroed_bytes += n_bytes;
    return 0;
}

/* Content that compresses, and its blobs, one per kind: made once for all tests. */
static uint8_t *content;
static struct {
    uint8_t *data;
    size_t n_bytes;
} whole_blobs[4];

/* What each test starts from: two extents in the wrong order. */
static Target target;
static const Extent extents[] = {{100, 50}, {0, 100}};
static Operation operation;
static uint8_t *blob;

static size_t make_zstd(const uint8_t *data, size_t n_bytes, uint8_t *out)
{
    size_t n_out = 0;
    for (size_t at = 0; at < n_bytes; at += MANIFEST_FRAME_BYTES) {
        size_t n = ZSTD_compress(out + n_out, TARGET_BYTES, data + at,
                MIN((size_t)MANIFEST_FRAME_BYTES, n_bytes - at), 3);
        ck_assert(!ZSTD_isError(n));
        n_out += n;
    }
    return n_out;
}

static size_t make_bzip2(const uint8_t *data, size_t n_bytes, uint8_t *out)
{
    unsigned n_out = TARGET_BYTES;
    ck_assert_int_eq(
            BZ2_bzBuffToBuffCompress((char *)out, &n_out, (char *)data, (unsigned)n_bytes, 9, 0, 0),
            BZ_OK);
    return n_out;
}

static size_t make_xz_with_dictionary(
        uint32_t n_dictionary_bytes, const uint8_t *data, size_t n_bytes, uint8_t *out)
{
    lzma_options_lzma options;
    ck_assert(!lzma_lzma_preset(&options, 0));
    options.dict_size = n_dictionary_bytes;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t n_out = 0;
    ck_assert_int_eq(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, data, n_bytes, out,
                             &n_out, TARGET_BYTES),
            LZMA_OK);
    return n_out;
}

static size_t make_xz(const uint8_t *data, size_t n_bytes, uint8_t *out)
{
    return make_xz_with_dictionary(1 << 20, data, n_bytes, out);
}

static size_t make_plain(const uint8_t *data, size_t n_bytes, uint8_t *out)
{
    memcpy(out, data, n_bytes);
    return n_bytes;
}

static const struct {
    OperationType type;
    size_t (*make)(const uint8_t *data, size_t n_bytes, uint8_t *out);
} kinds[] = {
        {OPERATION_REPLACE, make_plain},
        {OPERATION_REPLACE_BZ, make_bzip2},
        {OPERATION_REPLACE_XZ, make_xz},
        {OPERATION_REPLACE_ZSTD, make_zstd},
};

static void make_content(void)
{
    uint32_t random = 1;
    content = malloc(TARGET_BYTES);
    for (size_t i = 0; i < TARGET_BYTES; i++)
        content[i] = (uint8_t)((random = random * 1103515245 + 12345) >> 28);
    for (size_t i = 0; i < ELEMENTS(kinds); i++) {
        whole_blobs[i].data = malloc(TARGET_BYTES + 65536);
        whole_blobs[i].n_bytes = kinds[i].make(content, TARGET_BYTES, whole_blobs[i].data);
    }
}

static void free_content(void)
{
    free(content);
    for (size_t i = 0; i < ELEMENTS(kinds); i++)
        free(whole_blobs[i].data);
}

static void setup(void)
{
    target = (Target){.data = malloc(TARGET_BYTES)};
    memset(target.data, 0xee, TARGET_BYTES);
    operation = (Operation){
            .dst_extents = extents,
            .n_dst_extents = 2,
            .n_dst_bytes = TARGET_BYTES,
    };
    blob = aligned_alloc(4096, TARGET_BYTES + 65536);
}

static void teardown(void)
{
    free(target.data);
    free(blob);
}

/* Writes the blob of all of content to out. */
static size_t copy_whole_blob(int kind, uint8_t *out)
{
    memcpy(out, whole_blobs[kind].data, whole_blobs[kind].n_bytes);
    return whole_blobs[kind].n_bytes;
}

/* Takes the blob as it is, with its right hash. */
static UpdateError apply(const uint8_t *data, size_t n_bytes, ErrorText *error)
{
    static const OperationSink sink = {on_write, on_zero, &target};
    operation.n_data_bytes = n_bytes;
    operation.data_sha256 = sha256_of(data, n_bytes);
    *error = (ErrorText){0};
    return operation_apply(&operation, data, NULL, &sink, error);
}

static void assert_written(void)
{
    ck_assert_uint_eq(target.n_written_bytes, TARGET_BYTES);
    ck_assert_mem_eq(target.data + 100 * 4096, content, 50 * 4096);
    ck_assert_mem_eq(target.data, content + 50 * 4096, 100 * 4096);
}

START_TEST(each_type_fills_its_extents)
{
    ErrorText error;
    operation.type = kinds[_i].type;
    size_t n = copy_whole_blob(_i, blob);
    ck_assert_msg(apply(blob, n, &error) == UPDATE_OK, "%s", error.line);
    assert_written();
}
END_TEST

START_TEST(a_blob_may_lie_anywhere)
{
    ErrorText error;
    operation.type = kinds[_i].type;
    size_t n = copy_whole_blob(_i, blob + 1);
    ck_assert_msg(apply(blob + 1, n, &error) == UPDATE_OK, "%s", error.line);
    assert_written();
}
END_TEST

START_TEST(zeros_are_written_without_a_blob)
{
    static const OperationType types[] = {OPERATION_ZERO, OPERATION_DISCARD};
    static const OperationSink sink = {on_write, on_zero, &target};
    for (size_t i = 0; i < 2; i++) {
        operation.type = types[i];
        target.n_zeroed_bytes = 0;
        ck_assert_int_eq(operation_apply(&operation, NULL, NULL, &sink, NULL), UPDATE_OK);
        ck_assert_uint_eq(target.n_zeroed_bytes, TARGET_BYTES);
    }
    target.answer = -EIO;
    ErrorText error = {0};
    ck_assert_int_eq(operation_apply(&operation, NULL, NULL, &sink, &error), UPDATE_ERROR_WRITE);
    ck_assert_ptr_nonnull(strstr(error.line, "byte 409600: Input/output error"));
}
END_TEST

START_TEST(more_or_less_than_the_extents_is_refused)
{
    static const size_t lengths[] = {4096, TARGET_BYTES - 4096, TARGET_BYTES - 1, 256 * 1024};
    ErrorText error;
    operation.type = kinds[_i].type;
    for (size_t i = 0; i < ELEMENTS(lengths); i++) {
        size_t n = kinds[_i].make(content, lengths[i], blob);
        ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
        ck_assert_msg(strstr(error.line, "yields less than the 614400"), "%s", error.line);
    }
    static const Extent small[] = {{7, 3}};
    operation.dst_extents = small;
    operation.n_dst_extents = 1;
    operation.n_dst_bytes = 3 * 4096;
    memset(target.data, 0xee, TARGET_BYTES);
    size_t n = kinds[_i].make(content, 3 * 4096 + 1, blob);
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    ck_assert_msg(strstr(error.line, "yields more than the 12288"), "%s", error.line);
    n = copy_whole_blob(_i, blob);
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    size_t n_beside = 0; /* the extents */
    for (size_t i = 0; i < TARGET_BYTES; i++)
        n_beside += target.data[i] != 0xee && (i < 7 * 4096 || i >= 10 * 4096);
    ck_assert_uint_eq(n_beside, 0);
}
END_TEST

/* As the last operation of a partition in format 1 has it. */
START_TEST(data_may_end_where_it_may_be_short)
{
    ErrorText error;
    operation.type = kinds[_i].type;
    operation.n_short_bytes = TARGET_BYTES;
    size_t n = kinds[_i].make(content, 50 * 4096 + 5, blob);
    ck_assert_msg(apply(blob, n, &error) == UPDATE_OK, "%s", error.line);
    ck_assert_uint_eq(target.n_written_bytes, 51 * 4096);
    ck_assert_mem_eq(target.data + 100 * 4096, content, 50 * 4096);
    ck_assert_mem_eq(target.data, content + 50 * 4096, 5);
    for (size_t i = 5; i < 4096; i++)
        ck_assert_int_eq(target.data[i], 0);
    ck_assert_int_eq(target.data[4096], 0xee);

    operation.n_short_bytes = 4095;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    n = kinds[_i].make(content, TARGET_BYTES - 4095, blob);
    ck_assert_msg(apply(blob, n, &error) == UPDATE_OK, "%s", error.line);
}
END_TEST

START_TEST(holes_are_not_written)
{
    static const Extent with_hole[] = {{100, 40}, {EXTENT_HOLE, 10}, {0, 100}};
    ErrorText error;
    operation.type = kinds[_i].type;
    operation.dst_extents = with_hole;
    operation.n_dst_extents = 3;
    size_t n = copy_whole_blob(_i, blob);
    ck_assert_msg(apply(blob, n, &error) == UPDATE_OK, "%s", error.line);
    ck_assert_uint_eq(target.n_written_bytes, 140 * 4096);
    ck_assert_mem_eq(target.data, content + 50 * 4096, 100 * 4096);
}
END_TEST

START_TEST(damage_and_what_follows_is_refused)
{
    ErrorText error;
    operation.type = kinds[_i].type;
    size_t n = copy_whole_blob(_i, blob);
    ck_assert_int_eq(apply(blob, n - 1, &error), UPDATE_ERROR_OPERATION);
    ck_assert_int_eq(apply(blob, n / 2, &error), UPDATE_ERROR_OPERATION);
    ck_assert_int_eq(apply(blob, 1, &error), UPDATE_ERROR_OPERATION);
    blob[n] = 'x';
    ck_assert_int_eq(apply(blob, n + 1, &error), UPDATE_ERROR_OPERATION);
    if (operation.type == OPERATION_REPLACE)
        return;
    blob[0] ^= 0x55;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot be decompressed"));
}
END_TEST

START_TEST(the_hash_is_looked_at_first)
{
    static const OperationSink sink = {on_write, on_zero, &target};
    ErrorText error = {0};
    operation.type = kinds[_i].type;
    operation.data_offset_bytes = 77;
    operation.n_data_bytes = copy_whole_blob(_i, blob);
    operation.data_sha256 = sha256_of(blob, operation.n_data_bytes);
    operation.data_sha256.bytes[0] ^= 1;
    ck_assert_int_eq(
            operation_apply(&operation, blob, NULL, &sink, &error), UPDATE_ERROR_OPERATION_HASH);
    ck_assert_ptr_nonnull(strstr(error.line, "from 77"));
    ck_assert_uint_eq(target.n_written_bytes, 0);
}
END_TEST

START_TEST(a_write_that_fails_ends_it)
{
    ErrorText error;
    operation.type = kinds[_i].type;
    target.answer = -ENOSPC;
    size_t n = copy_whole_blob(_i, blob);
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_WRITE);
    ck_assert_ptr_nonnull(strstr(error.line, "No space left"));
}
END_TEST

/* 64 MiB of zeros in a blob that is allowed to write a block. */
START_TEST(bombs_cost_one_buffer)
{
    static const Extent small[] = {{0, 1}};
    size_t n_bomb = 64 << 20;
    uint8_t *zeros = calloc(1, n_bomb);
    uint8_t *bomb = malloc(1 << 20);
    ErrorText error;
    operation.dst_extents = small;
    operation.n_dst_extents = 1;
    operation.n_dst_bytes = 4096;
    operation.type = OPERATION_REPLACE_ZSTD;
    size_t n = ZSTD_compress(bomb, 1 << 20, zeros, n_bomb, 1);
    ck_assert(!ZSTD_isError(n));
    ck_assert_int_eq(apply(bomb, n, &error), UPDATE_ERROR_OPERATION); /* a window of 64 MiB */
    operation.type = OPERATION_REPLACE_BZ;
    unsigned n_bzip2 = 1 << 20;
    ck_assert_int_eq(
            BZ2_bzBuffToBuffCompress((char *)bomb, &n_bzip2, (char *)zeros, 2 << 20, 9, 0, 0),
            BZ_OK);
    ck_assert_int_eq(apply(bomb, n_bzip2, &error), UPDATE_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(error.line, "yields more"));
    operation.type = OPERATION_REPLACE_XZ;
    n = make_xz_with_dictionary((uint32_t)17 << 20, zeros, 1 << 20, bomb);
    ck_assert_int_eq(
            apply(bomb, n, &error), UPDATE_ERROR_OPERATION); /* more memory than is allowed */
    ck_assert_uint_eq(target.n_written_bytes, 0);
    free(zeros);
    free(bomb);
}
END_TEST

/* --- frames that refer to what lies before them --------------------------------------------- */

#define FRAMES_MAX (TARGET_BYTES / 4096)
#define AGAIN_BYTES 100003 /* content comes again after so many bytes */

static uint32_t frame_bytes[FRAMES_MAX];

/* Each frame's start looks like that of a dictionary, so that each prefix does. */
static void setup_frames(void)
{
    static const uint8_t magic[] = {0x37, 0xa4, 0x30, 0xec};
    for (size_t i = AGAIN_BYTES; i < TARGET_BYTES; i++)
        content[i] = content[i - AGAIN_BYTES];
    for (size_t i = 0; i < TARGET_BYTES; i += 4096)
        memcpy(content + i, magic, sizeof(magic));
    operation.type = OPERATION_REPLACE_ZSTD_PREFIX;
    operation.frame_target_bytes = 16384;
    operation.frame_prefix_bytes = 131072;
    operation.frame_bytes = frame_bytes;
}

/* Appends a frame of n_bytes of content, which may refer to n_prefix_bytes before them. */
static size_t add_frame(size_t at, size_t n_bytes, size_t n_prefix_bytes, size_t n_blob_bytes)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ck_assert_uint_eq(
            ZSTD_CCtx_refPrefix(context, content + at - n_prefix_bytes, n_prefix_bytes), 0);
    size_t n = ZSTD_compress2(context, blob + n_blob_bytes, TARGET_BYTES + 65536 - n_blob_bytes,
            content + at, n_bytes);
    ck_assert(!ZSTD_isError(n));
    ZSTD_freeCCtx(context);
    frame_bytes[operation.n_frames++] = (uint32_t)n;
    return n_blob_bytes + n;
}

/* The chain as it should be, but for one frame, which is of so many bytes more of content. */
static size_t make_chain(size_t odd_frame, ssize_t n_more_bytes)
{
    size_t n_blob = 0, n_target = operation.frame_target_bytes;
    operation.n_frames = 0;
    for (size_t at = 0; at < TARGET_BYTES; at += n_target) {
        size_t n = MIN(n_target, TARGET_BYTES - at);
        if (operation.n_frames == odd_frame)
            n = (size_t)((ssize_t)n + n_more_bytes);
        n_blob = add_frame(at, n, MIN(at, operation.frame_prefix_bytes), n_blob);
    }
    return n_blob;
}

START_TEST(frames_refer_to_those_before_them)
{
    static const struct {
        uint32_t target, prefix;
    } sizes[] = {{16384, 131072}, {4096, 4096}, {4096, 131072}, {65536, 20480}, {262144, 131072}};
    ErrorText error;
    operation.frame_target_bytes = sizes[_i].target;
    operation.frame_prefix_bytes = sizes[_i].prefix;
    size_t n = make_chain(SIZE_MAX, 0);
    ck_assert_msg(apply(blob, n, &error) == UPDATE_OK, "%s", error.line);
    assert_written();
    if (sizes[_i].prefix > AGAIN_BYTES)
        ck_assert_uint_lt(n, TARGET_BYTES / 4);

    /* What a frame refers to is what was said, and no more. */
    operation.frame_prefix_bytes = 4096;
    UpdateError failure = apply(blob, n, &error);
    ck_assert(failure == UPDATE_ERROR_OPERATION || failure == UPDATE_OK);
    if (sizes[_i].prefix > AGAIN_BYTES)
        ck_assert_int_eq(failure, UPDATE_ERROR_OPERATION);
}
END_TEST

START_TEST(each_frame_yields_its_part)
{
    static const ssize_t more[] = {-1, -4096, 1, 4096, 16384};
    ErrorText error;
    for (size_t i = 0; i < ELEMENTS(more); i++)
        for (size_t frame = 0; frame < 38; frame += frame == 0 ? 20 : 17) {
            bool is_last = frame == 37;
            size_t n = make_chain(frame, is_last && more[i] > 0 ? -1 : more[i]);
            ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
            ck_assert_msg(strstr(error.line, "cannot be decompressed"), "%s", error.line);
        }
    size_t n = make_chain(SIZE_MAX, 0);
    memcpy(blob + n, blob, frame_bytes[0]); /* one frame more than there is room for */
    frame_bytes[operation.n_frames++] = frame_bytes[0];
    ck_assert_int_eq(apply(blob, n + frame_bytes[0], &error), UPDATE_ERROR_OPERATION);
}
END_TEST

START_TEST(frames_that_are_none)
{
    ErrorText error;
    size_t n = make_chain(SIZE_MAX, 0), at = 0;
    for (size_t frame = 0; frame < 20; frame++)
        at += frame_bytes[frame];
    for (size_t i = 0; i < frame_bytes[20]; i++)
        blob[at + i] = (uint8_t)(i * 7 + 1);
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    ck_assert_uint_le(target.n_written_bytes, 262144);
    n = make_chain(SIZE_MAX, 0);
    ck_assert_int_eq(apply(blob, n - 1, &error), UPDATE_ERROR_OPERATION);
    blob[n] = 'x';
    ck_assert_int_eq(apply(blob, n + 1, &error), UPDATE_ERROR_OPERATION);
    blob[at] ^= 0x55;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot be decompressed"));
}
END_TEST

/* Which the manifest's check refuses, so that none of it comes here. */
START_TEST(lists_of_frames_that_lie)
{
    ErrorText error;
    size_t n = make_chain(SIZE_MAX, 0), n_frames = operation.n_frames;
    operation.n_frames = 0;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    operation.n_frames = n_frames - 1;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    operation.n_frames = n_frames;
    frame_bytes[3] += 5;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    frame_bytes[3] = UINT32_MAX;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    make_chain(SIZE_MAX, 0);
    operation.frame_target_bytes = 0;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    operation.frame_target_bytes = 8192;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
    operation.frame_target_bytes = 1 << 20;
    ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
}
END_TEST

/* 64 MiB of zeros in a frame that says so, and in one that does not. */
START_TEST(frames_that_are_bombs)
{
    size_t n_bomb = 64 << 20;
    _cleanup_free_ uint8_t *zeros = calloc(1, n_bomb);
    ErrorText error;
    for (int is_told = 0; is_told < 2; is_told++) {
        ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, is_told);
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 26);
        size_t n = ZSTD_compress2(context, blob, TARGET_BYTES, zeros, n_bomb);
        ck_assert(!ZSTD_isError(n));
        ZSTD_freeCCtx(context);
        operation.n_frames = 1;
        frame_bytes[0] = (uint32_t)n;
        ck_assert_int_eq(apply(blob, n, &error), UPDATE_ERROR_OPERATION);
        ck_assert_uint_eq(target.n_written_bytes, 0);
    }
}
END_TEST

static void add_frames_case(Suite *suite)
{
    TCase *tcase = unit_case(suite, "frames");
    tcase_add_checked_fixture(tcase, make_content, free_content);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_checked_fixture(tcase, setup_frames, NULL);
    tcase_add_loop_test(tcase, frames_refer_to_those_before_them, 0, 5);
    tcase_add_test(tcase, each_frame_yields_its_part);
    tcase_add_test(tcase, frames_that_are_none);
    tcase_add_test(tcase, lists_of_frames_that_lie);
    tcase_add_test(tcase, frames_that_are_bombs);
}

/* --- what reads a source ------------------------------------------------------------------- */

#define SOURCE_BYTES ((size_t)200 * 4096)

/* The slot that runs: its blocks 20 to 119 and 150 to 199 are what content is. */
static const Extent src_extents[] = {{20, 100}, {150, 50}};
static uint8_t *source_data;
static size_t n_reads_left; /* until reading fails */

static void setup_source(void)
{
    source_data = malloc(SOURCE_BYTES);
    memset(source_data, 0x55, SOURCE_BYTES);
    memcpy(source_data + 20 * 4096, content, 100 * 4096);
    memcpy(source_data + 150 * 4096, content + 100 * 4096, 50 * 4096);
    n_reads_left = SIZE_MAX;
    operation.src_extents = src_extents;
    operation.n_src_extents = 2;
    operation.n_src_bytes = TARGET_BYTES;
    operation.has_src_sha256 = true;
    operation.src_sha256 = sha256_of(content, TARGET_BYTES);
}

static void teardown_source(void)
{
    free(source_data);
}

static int on_read(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    ck_assert_ptr_eq(userdata, &source_data);
    ck_assert_uint_eq(offset_bytes % 4096, 0);
    ck_assert_uint_eq(n_bytes % 4096, 0);
    ck_assert_uint_gt(n_bytes, 0);
    ck_assert_uint_le(offset_bytes + n_bytes, SOURCE_BYTES);
    if (n_reads_left == 0)
        return -EIO;
    n_reads_left--;
    memcpy(ret_data, source_data + offset_bytes, n_bytes);
    return 0;
}

static const OperationSource source = {on_read, &source_data};

static UpdateError apply_with(const OperationSource *from, OperationType type, const uint8_t *data,
        size_t n_bytes, ErrorText *error)
{
    static const OperationSink sink = {on_write, on_zero, &target};
    operation.type = type;
    operation.n_data_bytes = n_bytes;
    if (n_bytes > 0)
        operation.data_sha256 = sha256_of(data, n_bytes);
    *error = (ErrorText){0};
    return operation_apply(&operation, data, from, &sink, error);
}

/* A patch of one step, whose difference is all of one byte. Returns its length. */
static size_t make_patch(uint8_t difference, size_t n_bytes, uint8_t *out)
{
    _cleanup_free_ uint8_t *data = malloc(n_bytes + 1);
    memset(data, difference, n_bytes);
    const Le64 step[3] = {le64(n_bytes), le64(0), le64(0)};
    size_t n_control = make_bzip2((const uint8_t *)step, sizeof(step), out + 32);
    size_t n_difference = make_bzip2(data, n_bytes, out + 32 + n_control);
    const Le64 lengths[3] = {le64(n_control), le64(n_difference), le64(n_bytes)};
    memcpy(out, "BSDIFF40", 8);
    memcpy(out + 8, lengths, sizeof(lengths));
    return 32 + n_control + n_difference + make_bzip2(data, 0, out + 32 + n_control + n_difference);
}

static const OperationType delta_types[] = {
        OPERATION_SOURCE_COPY, OPERATION_SOURCE_BSDIFF, OPERATION_MOVE, OPERATION_BSDIFF};

/* All make what the source is. */
static UpdateError apply_delta(const OperationSource *from, int i, ErrorText *error)
{
    size_t n = i % 2 == 0 ? 0 : make_patch(0, TARGET_BYTES, blob);
    return apply_with(from, delta_types[i], blob, n, error);
}

START_TEST(a_source_fills_the_extents)
{
    ErrorText error;
    ck_assert_msg(apply_delta(&source, _i, &error) == UPDATE_OK, "%s", error.line);
    assert_written();
    target.n_written_bytes = 0;
    operation.has_src_sha256 = false; /* as in format 1 */
    ck_assert_msg(apply_delta(&source, _i, &error) == UPDATE_OK, "%s", error.line);
    assert_written();
}
END_TEST

START_TEST(a_patch_changes_the_source)
{
    ErrorText error;
    size_t n = make_patch(3, TARGET_BYTES, blob);
    ck_assert_msg(apply_with(&source, OPERATION_SOURCE_BSDIFF, blob, n, &error) == UPDATE_OK, "%s",
            error.line);
    for (size_t i = 0; i < TARGET_BYTES; i++)
        content[i] = (uint8_t)(content[i] + 3);
    assert_written();
}
END_TEST

START_TEST(a_source_that_is_another_is_never_used)
{
    ErrorText error;
    source_data[199 * 4096] ^= 1;
    ck_assert_int_eq(apply_delta(&source, _i, &error), UPDATE_ERROR_SOURCE);
    ck_assert_ptr_nonnull(strstr(error.line, "614400 bytes from block 20"));
    ck_assert_uint_eq(target.n_written_bytes, 0);
    ck_assert_int_eq(apply_delta(NULL, _i, &error), UPDATE_ERROR_SOURCE);
    ck_assert_ptr_nonnull(strstr(error.line, "nothing here"));
}
END_TEST

START_TEST(a_source_that_cannot_be_read_ends_it)
{
    ErrorText error;
    for (size_t n = 0; n < 8; n++) {
        n_reads_left = n;
        ck_assert_int_eq(apply_delta(&source, _i, &error), UPDATE_ERROR_SOURCE);
        ck_assert_msg(strstr(error.line, "Input/output error") != NULL, "%s", error.line);
    }
}
END_TEST

START_TEST(a_source_does_not_excuse_a_write_that_fails)
{
    ErrorText error;
    target.answer = -ENOSPC;
    ck_assert_int_eq(apply_delta(&source, _i, &error), UPDATE_ERROR_WRITE);
}
END_TEST

START_TEST(holes_of_a_source_are_zeros)
{
    static const Extent with_hole[] = {{20, 100}, {EXTENT_HOLE, 50}};
    ErrorText error;
    operation.src_extents = with_hole;
    operation.has_src_sha256 = false;
    ck_assert_msg(apply_delta(&source, _i, &error) == UPDATE_OK, "%s", error.line);
    memset(content + 100 * 4096, 0, 50 * 4096);
    assert_written();
}
END_TEST

START_TEST(patches_that_lie_are_refused)
{
    ErrorText error;
    size_t n = make_patch(0, TARGET_BYTES, blob);
    ck_assert_int_eq(apply_with(&source, OPERATION_SOURCE_BSDIFF, blob, n - 1, &error),
            UPDATE_ERROR_OPERATION);
    blob[n] = 0;
    ck_assert_int_eq(apply_with(&source, OPERATION_SOURCE_BSDIFF, blob, n + 1, &error),
            UPDATE_ERROR_OPERATION);
    n = make_patch(0, TARGET_BYTES - 4096, blob);
    ck_assert_int_eq(
            apply_with(&source, OPERATION_SOURCE_BSDIFF, blob, n, &error), UPDATE_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(error.line, "yields less"));
    target.n_written_bytes = 0;
    n = make_patch(0, TARGET_BYTES + 1, blob);
    ck_assert_int_eq(
            apply_with(&source, OPERATION_SOURCE_BSDIFF, blob, n, &error), UPDATE_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(error.line, "more than may be written"));
    ck_assert_uint_eq(target.n_written_bytes, 0);
}
END_TEST

/* As in format 1; what is read of it is whole blocks all the same. */
START_TEST(a_source_may_end_inside_a_block)
{
    ErrorText error;
    operation.n_src_bytes -= 77;
    operation.has_src_sha256 = false;
    operation.n_short_bytes = 77;
    size_t n = make_patch(3, TARGET_BYTES - 77, blob);
    ck_assert_msg(
            apply_with(&source, OPERATION_BSDIFF, blob, n, &error) == UPDATE_OK, "%s", error.line);
    for (size_t i = 0; i < TARGET_BYTES; i++)
        content[i] = i < TARGET_BYTES - 77 ? (uint8_t)(content[i] + 3) : 0;
    assert_written();
}
END_TEST

static void add_delta_case(Suite *suite)
{
    TCase *tcase = unit_case(suite, "delta");
    tcase_add_checked_fixture(tcase, make_content, free_content);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_checked_fixture(tcase, setup_source, teardown_source);
    tcase_add_loop_test(tcase, a_source_fills_the_extents, 0, 4);
    tcase_add_test(tcase, a_patch_changes_the_source);
    tcase_add_loop_test(tcase, a_source_that_is_another_is_never_used, 0, 4);
    tcase_add_loop_test(tcase, a_source_that_cannot_be_read_ends_it, 0, 4);
    tcase_add_loop_test(tcase, a_source_does_not_excuse_a_write_that_fails, 0, 4);
    tcase_add_loop_test(tcase, holes_of_a_source_are_zeros, 0, 4);
    tcase_add_test(tcase, patches_that_lie_are_refused);
    tcase_add_test(tcase, a_source_may_end_inside_a_block);
}

Suite *unit_suite(void)
{
    Suite *suite = suite_create("operation");
    TCase *tcase = unit_case(suite, "operation");
    tcase_add_unchecked_fixture(tcase, make_content, free_content);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_type_fills_its_extents, 0, 4);
    tcase_add_loop_test(tcase, a_blob_may_lie_anywhere, 0, 4);
    tcase_add_test(tcase, zeros_are_written_without_a_blob);
    tcase_add_loop_test(tcase, more_or_less_than_the_extents_is_refused, 0, 4);
    tcase_add_loop_test(tcase, data_may_end_where_it_may_be_short, 0, 4);
    tcase_add_loop_test(tcase, holes_are_not_written, 0, 4);
    tcase_add_loop_test(tcase, damage_and_what_follows_is_refused, 0, 4);
    tcase_add_loop_test(tcase, the_hash_is_looked_at_first, 0, 4);
    tcase_add_loop_test(tcase, a_write_that_fails_ends_it, 0, 4);
    tcase_add_test(tcase, bombs_cost_one_buffer);
    add_frames_case(suite);
    add_delta_case(suite);
    return suite;
}
