/* SPDX-License-Identifier: Apache-2.0 */

/* The boot chooser's own libc, compiled under names that the host's does not have. */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define N 24

void *boot_memcpy(void *restrict to, const void *restrict from, size_t n);
void *boot_memmove(void *to, const void *from, size_t n);
void *boot_memset(void *to, int byte, size_t n);
int boot_memcmp(const void *a, const void *b, size_t n);
int boot_strcmp(const char *a, const char *b);
size_t boot_strlen(const char *text);
size_t boot_strnlen(const char *text, size_t n_max);
char *boot_strerror(int number);

static const char *const TEXTS[] = {"", "a", "ab", "abc", "b", "a\377", "a\1"};

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void fill(uint8_t *bytes, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
}

/* From every place to every other, of every length; expected is made byte by byte. */
START_TEST(bytes_are_moved)
{
    uint8_t bytes[N], expected[N], before[N];
    for (size_t from = 0; from < N; from++)
        for (size_t to = 0; to < N; to++)
            for (size_t n = 0; n <= N - (from > to ? from : to); n++) {
                fill(before, N);
                fill(bytes, N);
                fill(expected, N);
                for (size_t i = 0; i < n; i++)
                    expected[to + i] = before[from + i];
                ck_assert_ptr_eq(boot_memmove(bytes + to, bytes + from, n), bytes + to);
                ck_assert_mem_eq(bytes, expected, N);
                fill(bytes, N);
                ck_assert_ptr_eq(boot_memcpy(bytes + to, before + from, n), bytes + to);
                ck_assert_mem_eq(bytes, expected, N);
            }
}
END_TEST

START_TEST(bytes_are_set)
{
    uint8_t bytes[N];
    fill(bytes, N);
    ck_assert_ptr_eq(boot_memset(bytes + 3, 0x1a5, 7), bytes + 3);
    for (size_t i = 0; i < N; i++)
        ck_assert_uint_eq(bytes[i], i >= 3 && i < 10 ? 0xa5 : (uint8_t)(i * 37 + 11));
}
END_TEST

START_TEST(bytes_are_compared)
{
    static const uint8_t a[] = {1, 2, 0x80, 4}, b[] = {1, 2, 0x7f, 4};
    ck_assert_int_eq(boot_memcmp(a, b, 2), 0);
    ck_assert_int_eq(boot_memcmp(a, b, 0), 0);
    ck_assert_int_gt(boot_memcmp(a, b, 4), 0);
    ck_assert_int_lt(boot_memcmp(b, a, 3), 0);
}
END_TEST

START_TEST(texts_agree_with_the_hosts)
{
    for (size_t i = 0; i < ELEMENTS(TEXTS); i++) {
        ck_assert_uint_eq(boot_strlen(TEXTS[i]), strlen(TEXTS[i]));
        for (size_t n = 0; n < 5; n++)
            ck_assert_uint_eq(
                    boot_strnlen(TEXTS[i], n), n < strlen(TEXTS[i]) ? n : strlen(TEXTS[i]));
        for (size_t k = 0; k < ELEMENTS(TEXTS); k++)
            ck_assert_int_eq(
                    sign(boot_strcmp(TEXTS[i], TEXTS[k])), sign(strcmp(TEXTS[i], TEXTS[k])));
    }
}
END_TEST

START_TEST(errors_have_words)
{
    ck_assert_str_eq(boot_strerror(EIO), "the device reports an error");
    ck_assert_str_eq(boot_strerror(ENOMEM), "out of memory");
    ck_assert_str_eq(boot_strerror(EROFS), "the disk is read-only");
    ck_assert_str_eq(boot_strerror(ENOMEDIUM), "no medium");
    ck_assert_str_eq(boot_strerror(ERANGE), "error 34");
    ck_assert_str_eq(boot_strerror(-2147483647), "error -2147483647");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("libc");
    TCase *tcase = unit_case(suite, "libc");
    tcase_add_test(tcase, bytes_are_moved);
    tcase_add_test(tcase, bytes_are_set);
    tcase_add_test(tcase, bytes_are_compared);
    tcase_add_test(tcase, texts_agree_with_the_hosts);
    tcase_add_test(tcase, errors_have_words);
    return suite;
}
