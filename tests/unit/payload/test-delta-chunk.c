/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/delta-chunk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define BLOCK ((size_t)MANIFEST_BLOCK_BYTES)
#define OLD_BLOCKS ((size_t)2000)
#define NEW_BLOCKS ((size_t)256)

static char folder[256];
static uint8_t *old_data;
static uint8_t *new_data;

static void fill(uint8_t *data, size_t n_bytes, uint32_t random)
{
    for (size_t i = 0; i < n_bytes; i++)
        data[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "%s", unit_temp_dir());
    old_data = malloc(OLD_BLOCKS * BLOCK);
    new_data = malloc(NEW_BLOCKS * BLOCK);
    fill(old_data, OLD_BLOCKS * BLOCK, 1);
    memcpy(new_data, old_data, NEW_BLOCKS * BLOCK);
}

static void teardown(void)
{
    free(old_data);
    free(new_data);
}

static const char *write_file(const char *name, const uint8_t *data, size_t n_bytes)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path, data, n_bytes, 0600), 0);
    return path;
}

typedef struct {
    OldImage *old;
    BlockMap *map;
    DeltaChunk *chunk;
} Delta;

static void delta_init(Delta *delta, size_t n_old_bytes)
{
    ErrorText error = {0};
    ck_assert_msg(old_image_new(write_file("old", old_data, n_old_bytes), &delta->old, &error) == 0,
            "%s", error.line);
    int fd = open(write_file("new", new_data, NEW_BLOCKS * BLOCK), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(
            block_map_new(delta->old, fd, NEW_BLOCKS * BLOCK, NEW_BLOCKS, NULL, NULL, &delta->map),
            0);
    close(fd);
    ck_assert_int_eq(delta_chunk_new(delta->map, &delta->chunk), 0);
}

static void delta_done(Delta *delta)
{
    delta_chunk_free(delta->chunk);
    block_map_free(delta->map);
    old_image_free(delta->old);
}

static size_t divide_and_patch(Delta *delta)
{
    _cleanup_free_ uint8_t *patch = malloc(NEW_BLOCKS * BLOCK);
    size_t n_patch_bytes;
    ck_assert_int_eq(delta_chunk_divide(delta->chunk, 0, NEW_BLOCKS, new_data), 0);
    ck_assert_uint_gt(delta->chunk->rest.n_blocks, 0);
    ck_assert_int_eq(
            delta_chunk_patch(delta->chunk, new_data, patch, NEW_BLOCKS * BLOCK, &n_patch_bytes),
            0);
    return n_patch_bytes;
}

START_TEST(blocks_are_zeros_copies_or_new)
{
    Delta delta;
    memset(new_data + 10 * BLOCK, 0, 5 * BLOCK);
    memcpy(new_data + 20 * BLOCK, old_data + 500 * BLOCK, 3 * BLOCK);
    fill(new_data + 30 * BLOCK, 2 * BLOCK, 77);
    uint8_t *was = malloc(NEW_BLOCKS * BLOCK);
    memcpy(was, new_data, NEW_BLOCKS * BLOCK);
    delta_init(&delta, OLD_BLOCKS * BLOCK);
    ck_assert_int_eq(delta_chunk_divide(delta.chunk, 0, NEW_BLOCKS, new_data), 0);
    const DeltaChunk *chunk = delta.chunk;
    ck_assert_uint_eq(chunk->zeros.n_extents, 1);
    ck_assert_uint_eq(chunk->zeros.extents[0].start_block, 10);
    ck_assert_uint_eq(chunk->zeros.n_blocks, 5);
    ck_assert_uint_eq(chunk->rest.n_extents, 1);
    ck_assert_uint_eq(chunk->rest.extents[0].start_block, 30);
    ck_assert_uint_eq(chunk->rest.n_blocks, 2);
    ck_assert_mem_eq(new_data, was + 30 * BLOCK, 2 * BLOCK);
    ck_assert_uint_eq(chunk->copies.n_blocks, NEW_BLOCKS - 7);
    ck_assert_uint_eq(chunk->copy_sources.n_blocks, NEW_BLOCKS - 7);
    ck_assert_uint_eq(chunk->copy_sources.n_extents, 5);
    ck_assert_uint_eq(chunk->copy_sources.extents[2].start_block, 500);
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    Sha256 hash;
    ck_assert_int_eq(sha256_stream_new(&stream), 0);
    for (size_t i = 0; i < chunk->copy_sources.n_extents; i++) {
        const Extent *extent = &chunk->copy_sources.extents[i];
        sha256_stream_add(
                stream, old_data + extent->start_block * BLOCK, (size_t)extent->n_blocks * BLOCK);
    }
    sha256_stream_finish(stream, &hash);
    ck_assert(sha256_equal(&hash, &chunk->copy_hash));
    free(was);
    delta_done(&delta);
}
END_TEST

/* A run that goes on is one extent, whatever else holds the same block. */
START_TEST(a_block_that_is_there_twice_goes_on_with_the_one_before)
{
    Delta delta;
    memcpy(old_data + 1000 * BLOCK, old_data + 3 * BLOCK, BLOCK);
    memcpy(new_data, old_data + 999 * BLOCK, 3 * BLOCK);
    memcpy(new_data + 100 * BLOCK, old_data + 3 * BLOCK, BLOCK);
    memcpy(old_data + 100 * BLOCK, old_data + 3 * BLOCK, BLOCK);
    delta_init(&delta, OLD_BLOCKS * BLOCK);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(block_map_get(delta.map, i), 999 + i);
    ck_assert_uint_eq(block_map_get(delta.map, 3), 3);
    ck_assert_uint_eq(block_map_get(delta.map, 100), 100);
    delta_done(&delta);
}
END_TEST

START_TEST(an_old_image_ends_as_if_zeros_followed)
{
    Delta delta;
    uint8_t block[MANIFEST_BLOCK_BYTES];
    memset(new_data + 5 * BLOCK + 100, 0, BLOCK - 100);
    memcpy(new_data + 5 * BLOCK, old_data + 50 * BLOCK, 100);
    delta_init(&delta, 50 * BLOCK + 100);
    ck_assert_uint_eq(old_image_n_blocks(delta.old), 51);
    ck_assert_uint_eq(block_map_get(delta.map, 5), 50);
    ck_assert_int_eq(old_image_read(delta.old, 50, 1, block), 0);
    ck_assert_mem_eq(block, new_data + 5 * BLOCK, BLOCK);
    memset(old_data + 50 * BLOCK + 100, 0, BLOCK - 100);
    Sha256 hash = sha256_of(old_data, 51 * BLOCK);
    ck_assert(sha256_equal(&hash, old_image_hash(delta.old)));
    ck_assert(old_image_is_unchanged(delta.old));
    delta_done(&delta);
}
END_TEST

/* Nothing says where, but the content itself. */
START_TEST(what_moved_by_bytes_is_found_anywhere)
{
    Delta delta;
    memcpy(new_data, old_data + 1500 * BLOCK + 77, NEW_BLOCKS * BLOCK);
    delta_init(&delta, OLD_BLOCKS * BLOCK);
    size_t n = divide_and_patch(&delta);
    ck_assert_uint_eq(delta.chunk->rest.n_blocks, NEW_BLOCKS);
    ck_assert_uint_lt(n, BLOCK);
    ck_assert_uint_le(delta.chunk->window.n_blocks, NEW_BLOCKS + 50);
    delta_done(&delta);
}
END_TEST

START_TEST(bytes_that_changed_are_patched)
{
    Delta delta;
    for (size_t at = 0; at < NEW_BLOCKS * BLOCK; at += 10 * BLOCK)
        new_data[at + 5] ^= 1;
    delta_init(&delta, OLD_BLOCKS * BLOCK);
    size_t n = divide_and_patch(&delta);
    ck_assert_uint_eq(delta.chunk->rest.n_extents, 26);
    ck_assert_uint_lt(n, BLOCK);
    delta_done(&delta);
}
END_TEST

START_TEST(a_window_is_inside_the_image_and_bounded)
{
    Delta delta;
    for (size_t i = 0; i < NEW_BLOCKS; i++) /* from everywhere */
        memcpy(new_data + i * BLOCK, old_data + (i * 7 % 1999) * BLOCK + 9, BLOCK);
    delta_init(&delta, OLD_BLOCKS * BLOCK);
    (void)divide_and_patch(&delta);
    const DeltaExtents *window = &delta.chunk->window;
    uint64_t end = 0, n_blocks = 0;
    for (size_t i = 0; i < window->n_extents; i++) {
        ck_assert_uint_ge(window->extents[i].start_block, end);
        end = window->extents[i].start_block + window->extents[i].n_blocks;
        n_blocks += window->extents[i].n_blocks;
    }
    ck_assert_uint_le(end, OLD_BLOCKS);
    ck_assert_uint_eq(n_blocks, window->n_blocks);
    ck_assert_uint_le(n_blocks, DELTA_WINDOW_BLOCKS);
    delta_done(&delta);
}
END_TEST

START_TEST(what_is_no_image_is_refused)
{
    OldImage *old;
    ErrorText error = {0};
    ck_assert_int_eq(old_image_new(folder, &old, &error), -ENOTBLK);
    ck_assert_int_eq(old_image_new("/none/here", &old, &error), -ENOENT);
    ck_assert_int_eq(old_image_new(write_file("empty", old_data, 0), &old, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "it is empty"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("delta-chunk");
    TCase *tcase = unit_case(suite, "delta-chunk");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, blocks_are_zeros_copies_or_new);
    tcase_add_test(tcase, a_block_that_is_there_twice_goes_on_with_the_one_before);
    tcase_add_test(tcase, an_old_image_ends_as_if_zeros_followed);
    tcase_add_test(tcase, what_moved_by_bytes_is_found_anywhere);
    tcase_add_test(tcase, bytes_that_changed_are_patched);
    tcase_add_test(tcase, a_window_is_inside_the_image_and_bounded);
    tcase_add_test(tcase, what_is_no_image_is_refused);
    return suite;
}
