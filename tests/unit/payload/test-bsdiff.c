/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/bsdiff.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"
#include "updater/payload/bspatch.h"

#define OLD_BYTES ((size_t)150 * 1000)
#define ROOM_BYTES ((size_t)1 << 20)

static uint8_t *old_data;
static size_t n_old_bytes;
static uint8_t *new_data;

static void fill(uint8_t *data, size_t n_bytes, uint32_t random)
{
    for (size_t i = 0; i < n_bytes; i++)
        data[i] = (uint8_t)((random = random * 1103515245 + 12345) >> 26);
}

static void setup(void)
{
    old_data = malloc(OLD_BYTES);
    new_data = malloc(ROOM_BYTES);
    fill(old_data, OLD_BYTES, 1);
    n_old_bytes = OLD_BYTES;
}

static void teardown(void)
{
    free(old_data);
    free(new_data);
}

/* Each makes something new; returns its length, and how long the patch may be at most. */
static size_t change_nothing(size_t *ret_max)
{
    memcpy(new_data, old_data, OLD_BYTES);
    *ret_max = 200;
    return OLD_BYTES;
}

static size_t change_bytes(size_t *ret_max)
{
    memcpy(new_data, old_data, OLD_BYTES);
    for (size_t i = 0; i < OLD_BYTES; i += 4999)
        new_data[i] ^= 0x5a;
    *ret_max = 400;
    return OLD_BYTES;
}

static size_t insert_and_delete(size_t *ret_max)
{
    memcpy(new_data, old_data, 1000);
    fill(new_data + 1000, 500, 77);
    memcpy(new_data + 1500, old_data + 1000, 60000);
    memcpy(new_data + 61500, old_data + 70000, OLD_BYTES - 70000);
    *ret_max = 1000;
    return OLD_BYTES - 9000 + 500;
}

/* A step goes backwards. */
static size_t swap_halves(size_t *ret_max)
{
    memcpy(new_data, old_data + OLD_BYTES / 2, OLD_BYTES / 2);
    memcpy(new_data + OLD_BYTES / 2, old_data, OLD_BYTES / 2);
    *ret_max = 200;
    return OLD_BYTES;
}

/* As code changes whose addresses have moved. */
static size_t change_every_tenth(size_t *ret_max)
{
    memcpy(new_data, old_data, OLD_BYTES);
    for (size_t i = 0; i < OLD_BYTES; i += 10)
        new_data[i]++;
    *ret_max = 500;
    return OLD_BYTES;
}

static size_t share_nothing(size_t *ret_max)
{
    for (size_t i = 0; i < 50000; i++)
        new_data[i] = (uint8_t)(0x80 | i);
    *ret_max = 1500;
    return 50000;
}

static size_t one_byte(size_t *ret_max)
{
    new_data[0] = 1;
    *ret_max = 200;
    return 1;
}

static size_t from_one_byte(size_t *ret_max)
{
    n_old_bytes = 1;
    size_t n_bytes = change_nothing(ret_max);
    *ret_max = ROOM_BYTES;
    return n_bytes;
}

/* What a suffix array alone would be slow with. */
static size_t zeros_with_specks(size_t *ret_max)
{
    memset(old_data, 0, OLD_BYTES);
    memset(new_data, 0, ROOM_BYTES / 2);
    for (size_t i = 0; i < ROOM_BYTES / 2; i += 1013)
        new_data[i] = (uint8_t)(i >> 3);
    *ret_max = 6000;
    return ROOM_BYTES / 2;
}

static size_t (*const changes[])(size_t *ret_max) = {
        change_nothing,
        change_bytes,
        insert_and_delete,
        swap_halves,
        change_every_tenth,
        share_nothing,
        one_byte,
        from_one_byte,
        zeros_with_specks,
};

static size_t make(size_t n_new_bytes, uint8_t *patch)
{
    _cleanup_(bsdiff_old_freep) BsdiffOld *old = NULL;
    size_t n_patch_bytes;
    ck_assert_int_eq(bsdiff_old_new(old_data, n_old_bytes, &old), 0);
    ck_assert_int_eq(bsdiff_make(old, new_data, n_new_bytes, patch, ROOM_BYTES, &n_patch_bytes), 0);
    return n_patch_bytes;
}

static int read_old(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    (void)userdata;
    memcpy(ret_data, old_data + offset_bytes, n_bytes);
    return 0;
}

static void assert_makes_new(const uint8_t *patch, size_t n_patch_bytes, size_t n_new_bytes)
{
    _cleanup_free_ uint8_t *result = malloc(ROOM_BYTES);
    const BspatchOld old = {n_old_bytes, read_old, NULL};
    _cleanup_(bspatch_freep) Bspatch *bspatch = NULL;
    ErrorText error = {0};
    size_t n_done = 0, n;
    int r = bspatch_new(patch, n_patch_bytes, &old, n_new_bytes, &bspatch, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    do {
        r = bspatch_read(bspatch, result + n_done, ROOM_BYTES - n_done, &n, &error);
        ck_assert_msg(r == 0, "%s", error.line);
        n_done += n;
    } while (n > 0);
    ck_assert_uint_eq(n_done, n_new_bytes);
    ck_assert(memcmp(result, new_data, n_new_bytes) == 0);
}

static void write_file(const char *folder, const char *name, const uint8_t *data, size_t n_bytes)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, n_bytes, file), n_bytes);
    ck_assert_int_eq(fclose(file), 0);
}

/* A second opinion: the program that others patch with. */
static void assert_bspatch_makes_new(const uint8_t *patch, size_t n_patch_bytes, size_t n_new_bytes)
{
    const char *folder = unit_temp_dir();
    char command[4096], path[4096];
    write_file(folder, "old", old_data, n_old_bytes);
    write_file(folder, "patch", patch, n_patch_bytes);
    snprintf(command, sizeof(command), "cd '%s' && bspatch old new patch", folder);
    ck_assert_msg(system(command) == 0, "is Debian's bsdiff installed?");
    snprintf(path, sizeof(path), "%s/new", folder);
    char *result;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, path, ROOM_BYTES, &result, &n_bytes), 0);
    ck_assert_uint_eq(n_bytes, n_new_bytes);
    ck_assert(memcmp(result, new_data, n_bytes) == 0);
    free(result);
}

START_TEST(patches_make_the_new_and_are_small)
{
    size_t n_max;
    size_t n_new_bytes = changes[_i](&n_max);
    _cleanup_free_ uint8_t *patch = malloc(ROOM_BYTES), *again = malloc(ROOM_BYTES);
    size_t n = make(n_new_bytes, patch);
    ck_assert_uint_le(n, n_max);
    assert_makes_new(patch, n, n_new_bytes);
    assert_bspatch_makes_new(patch, n, n_new_bytes);
    ck_assert_uint_eq(make(n_new_bytes, again), n);
    ck_assert_mem_eq(patch, again, n);
}
END_TEST

START_TEST(a_patch_that_does_not_fit_is_none)
{
    size_t n_max, n;
    size_t n_new_bytes = insert_and_delete(&n_max);
    _cleanup_free_ uint8_t *patch = malloc(ROOM_BYTES);
    size_t n_whole = make(n_new_bytes, patch);
    _cleanup_(bsdiff_old_freep) BsdiffOld *old = NULL;
    ck_assert_int_eq(bsdiff_old_new(old_data, n_old_bytes, &old), 0);
    for (size_t n_room = 0; n_room < n_whole; n_room += 7) {
        uint8_t *room = malloc(n_room + 1); /* a sanitizer sees what is behind it */
        ck_assert_int_eq(bsdiff_make(old, new_data, n_new_bytes, room + 1, n_room, &n), -ENOSPC);
        free(room);
    }
    ck_assert_int_eq(bsdiff_make(old, new_data, n_new_bytes, patch, n_whole, &n), 0);
}
END_TEST

START_TEST(an_old_of_nothing_or_too_much_is_refused)
{
    BsdiffOld *old;
    ck_assert_int_eq(bsdiff_old_new(old_data, 0, &old), -EINVAL);
    ck_assert_int_eq(bsdiff_old_new(old_data, BSDIFF_OLD_MAX_BYTES + 1, &old), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("bsdiff");
    TCase *tcase = unit_case(suite, "bsdiff");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, patches_make_the_new_and_are_small, 0, ELEMENTS(changes));
    tcase_add_test(tcase, a_patch_that_does_not_fit_is_none);
    tcase_add_test(tcase, an_old_of_nothing_or_too_much_is_refused);
    return suite;
}
