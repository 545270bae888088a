/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/bspatch.h"

#include <bzlib.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define OLD_BYTES ((size_t)100 * 1000)
#define ROOM_BYTES ((size_t)1 << 20)
#define STREAM_MAX_BYTES 4096

/* What is patched, and what came out. */
static uint8_t *old_data;
static size_t n_old_bytes;
static uint8_t *result;
static size_t n_result_bytes;
static int old_answer;

static void setup(void)
{
    uint32_t random = 1;
    old_data = malloc(OLD_BYTES);
    result = malloc(ROOM_BYTES);
    for (size_t i = 0; i < OLD_BYTES; i++)
        old_data[i] = (uint8_t)((random = random * 1103515245 + 12345) >> 26);
    n_old_bytes = OLD_BYTES;
    old_answer = 0;
}

static void teardown(void)
{
    free(old_data);
    free(result);
}

static int read_old(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    ck_assert_ptr_eq(userdata, &old_data);
    ck_assert_uint_gt(n_bytes, 0);
    ck_assert_uint_le(offset_bytes, n_old_bytes);
    ck_assert_uint_le(n_bytes, n_old_bytes - offset_bytes);
    memcpy(ret_data, old_data + offset_bytes, n_bytes);
    return old_answer;
}

/* Patches in pieces of that size. */
static int apply(const uint8_t *patch, size_t n_patch_bytes, size_t n_max_bytes, size_t n_piece,
        ErrorText *error)
{
    const BspatchOld old = {n_old_bytes, read_old, &old_data};
    _cleanup_(bspatch_freep) Bspatch *bspatch = NULL;
    n_result_bytes = 0;
    *error = (ErrorText){0};
    int r = bspatch_new(patch, n_patch_bytes, &old, n_max_bytes, &bspatch, error);
    if (r < 0)
        return r;
    ck_assert_uint_le(bspatch_n_new_bytes(bspatch), n_max_bytes);
    for (;;) {
        size_t n;
        r = bspatch_read(bspatch, result + n_result_bytes, n_piece, &n, error);
        if (r < 0)
            return r;
        if (n == 0)
            break;
        ck_assert_uint_le(n, n_piece);
        n_result_bytes += n;
        ck_assert_uint_le(n_result_bytes, bspatch_n_new_bytes(bspatch));
    }
    ck_assert_uint_eq(n_result_bytes, bspatch_n_new_bytes(bspatch));
    return 0;
}

/* --- patches of the program bsdiff -------------------------------------------------------- */

static void write_file(const char *folder, const char *name, const uint8_t *data, size_t n_bytes)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, n_bytes, file), n_bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static uint8_t *make_patch(const uint8_t *new_data, size_t n_new_bytes, size_t *ret_n_bytes)
{
    const char *folder = unit_temp_dir();
    char command[4096], path[4096];
    char *patch = NULL;
    write_file(folder, "old", old_data, n_old_bytes);
    write_file(folder, "new", new_data, n_new_bytes);
    snprintf(command, sizeof(command), "cd '%s' && bsdiff old new patch", folder);
    ck_assert_msg(system(command) == 0, "is Debian's bsdiff installed?");
    snprintf(path, sizeof(path), "%s/patch", folder);
    ck_assert_int_eq(fd_read_file(AT_FDCWD, path, ROOM_BYTES, &patch, ret_n_bytes), 0);
    return (uint8_t *)patch;
}

/* Each makes something new out of what is old; returns its length. */
static size_t change_nothing(uint8_t *data)
{
    memcpy(data, old_data, OLD_BYTES);
    return OLD_BYTES;
}

static size_t change_bytes(uint8_t *data)
{
    memcpy(data, old_data, OLD_BYTES);
    for (size_t i = 0; i < OLD_BYTES; i += 4999)
        data[i] ^= 0x5a;
    return OLD_BYTES;
}

static size_t insert(uint8_t *data)
{
    memcpy(data, old_data, 1000);
    memset(data + 1000, 'x', 70 * 1000);
    memcpy(data + 71 * 1000, old_data + 1000, OLD_BYTES - 1000);
    return OLD_BYTES + 70 * 1000;
}

static size_t swap_halves(uint8_t *data)
{
    memcpy(data, old_data + OLD_BYTES / 2, OLD_BYTES / 2);
    memcpy(data + OLD_BYTES / 2, old_data, OLD_BYTES / 2);
    return OLD_BYTES;
}

static size_t cut(uint8_t *data)
{
    memcpy(data, old_data + OLD_BYTES - 5, 5);
    return 5;
}

static size_t share_nothing(uint8_t *data)
{
    memset(data, 0xff, 3 * 4096);
    return 3 * 4096;
}

/* The program takes no empty files. */
static size_t grow_from_a_byte(uint8_t *data)
{
    n_old_bytes = 1;
    return change_nothing(data);
}

static size_t shrink_to_a_byte(uint8_t *data)
{
    data[0] = 0xff;
    return 1;
}

static size_t (*const changes[])(uint8_t *data) = {
        change_nothing,
        change_bytes,
        insert,
        swap_halves,
        cut,
        share_nothing,
        grow_from_a_byte,
        shrink_to_a_byte,
};

START_TEST(patches_of_bsdiff_make_the_new)
{
    static const size_t pieces[] = {7, 4096, ROOM_BYTES / 4};
    _cleanup_free_ uint8_t *new_data = malloc(ROOM_BYTES);
    size_t n_new_bytes = changes[_i](new_data);
    size_t n_patch_bytes;
    _cleanup_free_ uint8_t *patch = make_patch(new_data, n_new_bytes, &n_patch_bytes);
    for (size_t i = 0; i < ELEMENTS(pieces); i++) {
        ErrorText error;
        int r = apply(patch, n_patch_bytes, n_new_bytes, pieces[i], &error);
        ck_assert_msg(r == 0, "%s", error.line);
        ck_assert_uint_eq(n_result_bytes, n_new_bytes);
        ck_assert(memcmp(result, new_data, n_new_bytes) == 0);
    }
}
END_TEST

START_TEST(a_cut_patch_is_refused)
{
    _cleanup_free_ uint8_t *new_data = malloc(ROOM_BYTES);
    n_old_bytes = 2000;
    memcpy(new_data, old_data + 500, 1500);
    memset(new_data + 1500, 'y', 500);
    size_t n_patch_bytes;
    _cleanup_free_ uint8_t *patch = make_patch(new_data, 2000, &n_patch_bytes);
    ErrorText error;
    ck_assert_int_eq(apply(patch, n_patch_bytes, 2000, 4096, &error), 0);
    for (size_t n = 0; n < n_patch_bytes; n += 5) {
        ck_assert_int_eq(apply(patch, n, 2000, 4096, &error), -EBADMSG);
        ck_assert_ptr_nonnull(strstr(error.line, "the payload was made wrong"));
    }
}
END_TEST

/* bzip2 has a checksum; the header has none. */
START_TEST(a_damaged_patch_never_does_harm)
{
    _cleanup_free_ uint8_t *new_data = malloc(ROOM_BYTES);
    n_old_bytes = 2000;
    size_t n_new_bytes = 2000, n_patch_bytes;
    memcpy(new_data, old_data, n_new_bytes);
    memset(new_data + 700, 'z', 10);
    _cleanup_free_ uint8_t *patch = make_patch(new_data, n_new_bytes, &n_patch_bytes);
    for (size_t i = 0; i < n_patch_bytes; i += i < BSPATCH_HEADER_BYTES ? 1 : 5) {
        ErrorText error;
        patch[i] ^= 0x81;
        int r = apply(patch, n_patch_bytes, n_new_bytes, ROOM_BYTES / 4, &error);
        ck_assert(r == -EBADMSG || (r == 0 && memcmp(result, new_data, n_result_bytes) == 0));
        patch[i] ^= 0x81;
    }
}
END_TEST

/* --- patches made by hand ------------------------------------------------------------------ */

typedef struct {
    int64_t n_difference, n_surplus, move;
} Step;

/* As the format has them; negative numbers, too. */
static Le64 number(int64_t n)
{
    return le64(n < 0 ? (uint64_t)-n | UINT64_C(1) << 63 : (uint64_t)n);
}

static size_t add_stream(uint8_t *out, const void *data, size_t n_bytes)
{
    unsigned n_out = STREAM_MAX_BYTES;
    ck_assert_int_eq(BZ2_bzBuffToBuffCompress((char *)out, &n_out, (char *)(uintptr_t)data,
                             (unsigned)n_bytes, 1, 0, 0),
            BZ_OK);
    return n_out;
}

static uint8_t built[BSPATCH_HEADER_BYTES + 3 * STREAM_MAX_BYTES];

static void set_number(size_t i, int64_t n)
{
    Le64 raw = number(n);
    memcpy(built + 8 * i, &raw, sizeof(raw));
}

/* Both streams are zeros. Returns the length of `built`. */
static size_t build_patch(const Step *steps, size_t n_steps, size_t n_difference, size_t n_surplus,
        int64_t n_new_bytes)
{
    _cleanup_free_ Le64 *raw = malloc(n_steps * 24 + 1);
    _cleanup_free_ uint8_t *zeros = calloc(1, n_difference + n_surplus + 1);
    for (size_t i = 0; i < n_steps; i++) {
        raw[3 * i] = number(steps[i].n_difference);
        raw[3 * i + 1] = number(steps[i].n_surplus);
        raw[3 * i + 2] = number(steps[i].move);
    }
    memcpy(built, "BSDIFF40", 8);
    set_number(3, n_new_bytes);
    size_t at = BSPATCH_HEADER_BYTES;
    size_t n = add_stream(built + at, raw, n_steps * 24);
    set_number(1, (int64_t)n);
    at += n;
    n = add_stream(built + at, zeros, n_difference);
    set_number(2, (int64_t)n);
    at += n;
    return at + add_stream(built + at, zeros, n_surplus);
}

static void assert_refused(size_t n_patch_bytes, const char *why)
{
    ErrorText error;
    int r = apply(built, n_patch_bytes, ROOM_BYTES / 2, 4096, &error);
    ck_assert_int_eq(r, -EBADMSG);
    ck_assert_msg(strstr(error.line, why), "%s", error.line);
}

START_TEST(steps_go_to_and_fro)
{
    /* The second is one that bsdiff makes where the first match is not at the beginning. */
    static const Step steps[] = {
            {0, 0, 90 * 1000}, {10 * 1000, 3, -100 * 1000}, {50, 0, INT64_MAX}};
    ErrorText error;
    size_t n = build_patch(steps, 3, 10050, 3, 10053);
    ck_assert_msg(apply(built, n, ROOM_BYTES / 2, 999, &error) == 0, "%s", error.line);
    ck_assert_mem_eq(result, old_data + 90 * 1000, 10 * 1000);
    ck_assert_mem_eq(result + 10 * 1000, "\0\0", 3);
    ck_assert_mem_eq(result + 10003, old_data, 50);
}
END_TEST

START_TEST(a_header_that_lies_is_refused)
{
    static const Step steps[] = {{100, 100, 0}};
    static const struct {
        size_t i;
        int64_t n;
        const char *why;
    } lies[] = {
            {1, -5, "negative length"},
            {2, -5, "negative length"},
            {3, -5, "negative length"},
            {1, INT64_MAX, "beyond its end"},
            {2, INT64_MAX, "beyond its end"},
            {3, INT64_MAX, "more than may be written"},
            {3, ROOM_BYTES / 2 + 1, "more than may be written"},
            {1, 0, "control stream is damaged"},
            {2, 0, "difference stream is damaged"},
            {3, 199, "more than it says"},
            {3, 201, "control stream is damaged"},
            {3, 0, "does not end with its result"},
            {0, 0, "not of the format"},
    };
    for (size_t i = 0; i < ELEMENTS(lies); i++) {
        size_t n = build_patch(steps, 1, 100, 100, 200);
        set_number(lies[i].i, lies[i].n);
        assert_refused(n, lies[i].why);
    }
    assert_refused(BSPATCH_HEADER_BYTES - 1, "too short");
    ErrorText error;
    size_t n = build_patch(steps, 1, 100, 100, 200);
    ck_assert_int_eq(apply(built, n, 199, 4096, &error), -EBADMSG);
    ck_assert_int_eq(apply(built, n, 200, 4096, &error), 0);
}
END_TEST

START_TEST(steps_that_lie_are_refused)
{
    static const struct {
        Step steps[2];
        const char *why;
    } lies[] = {
            {{{-1, 0, 0}}, "negative length"},
            {{{0, -1, 0}}, "negative length"},
            {{{INT64_MAX, INT64_MAX, 0}}, "more than it says"},
            {{{100, 101, 0}}, "more than it says"},
            {{{201, 0, 0}}, "more than it says"},
            {{{1, INT64_MAX, 0}}, "more than it says"},
            {{{0, 0, OLD_BYTES - 99}, {100, 100, 0}}, "behind the end of the old"},
            {{{100, 0, OLD_BYTES - 99}, {0, 100, 0}}, "leaves the old"},
            {{{0, 0, OLD_BYTES + 1}, {100, 100, 0}}, "leaves the old"},
            {{{100, 0, -101}, {0, 100, 0}}, "leaves the old"},
            {{{0, 0, INT64_MAX}, {100, 100, 0}}, "leaves the old"},
            {{{0, 0, -INT64_MAX}, {100, 100, 0}}, "leaves the old"},
            {{{100, 50, 0}, {0, 49, 0}}, "control stream is damaged"},
    };
    for (size_t i = 0; i < ELEMENTS(lies); i++)
        assert_refused(build_patch(lies[i].steps, 2, 100, 100, 200), lies[i].why);
    static const Step much[] = {{150, 50, 0}};
    n_old_bytes = 149;
    assert_refused(build_patch(much, 1, 150, 50, 200), "behind the end of the old");
}
END_TEST

START_TEST(streams_end_with_the_result)
{
    static const Step steps[] = {{100, 100, 0}, {0, 0, 0}};
    assert_refused(build_patch(steps, 1, 101, 100, 200), "does not end with its result");
    assert_refused(build_patch(steps, 1, 100, 101, 200), "does not end with its result");
    assert_refused(build_patch(steps, 2, 100, 100, 200), "does not end with its result");
    assert_refused(build_patch(steps, 1, 99, 100, 200), "difference stream is damaged");
    assert_refused(build_patch(steps, 1, 100, 99, 200), "surplus stream is damaged");
    size_t n = build_patch(steps, 1, 100, 100, 200);
    built[n] = 'x';
    assert_refused(n + 1, "does not end with its result");
}
END_TEST

/* What is all zeros takes a few bytes: here steps of 2 MB, and streams of 4 MiB. */
START_TEST(bombs_cost_what_their_result_may_have)
{
    size_t n_steps = 100 * 1000;
    _cleanup_free_ Step *steps = calloc(n_steps, sizeof(*steps));
    steps[n_steps - 1] = (Step){100, 100, 0};
    assert_refused(build_patch(steps, n_steps, 100, 100, 200), "more steps than");
    static const Step one[] = {{100, 100, 0}};
    assert_refused(build_patch(one, 1, 4 << 20, 100, 200), "does not end with its result");
    assert_refused(build_patch(one, 1, 100, 4 << 20, 200), "does not end with its result");
}
END_TEST

START_TEST(an_old_that_cannot_be_read_says_where)
{
    static const Step steps[] = {{0, 100, 300}, {100, 0, 0}};
    ErrorText error;
    old_answer = -ENXIO;
    size_t n = build_patch(steps, 2, 100, 100, 200);
    ck_assert_int_eq(apply(built, n, 200, 4096, &error), -EIO);
    ck_assert_ptr_nonnull(strstr(error.line, "at byte 300: No such device or address"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("bspatch");
    TCase *tcase = unit_case(suite, "bspatch");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, patches_of_bsdiff_make_the_new, 0, ELEMENTS(changes));
    tcase_add_test(tcase, a_cut_patch_is_refused);
    tcase_add_test(tcase, a_damaged_patch_never_does_harm);
    tcase_add_test(tcase, steps_go_to_and_fro);
    tcase_add_test(tcase, a_header_that_lies_is_refused);
    tcase_add_test(tcase, steps_that_lie_are_refused);
    tcase_add_test(tcase, streams_end_with_the_result);
    tcase_add_test(tcase, bombs_cost_what_their_result_may_have);
    tcase_add_test(tcase, an_old_that_cannot_be_read_says_where);
    return suite;
}
