/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/format.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/unit.h"

#define TEXT_BYTES 256

/* The compiler does not see which they are, for it would object to formats that are made here, and
 * to wrong ones. */
typedef int (*Formatter)(char *ret_text, size_t n_bytes, const char *format, ...);
static volatile Formatter ours = format_text, host = snprintf;

/* Both write the same, into buffers of every length, and nothing behind them. */
#define ASSERT_SAME(...)                                             \
    do {                                                             \
        char expected[TEXT_BYTES], found[TEXT_BYTES];                \
        int n_whole = host(expected, sizeof(expected), __VA_ARGS__); \
        ck_assert_int_lt(n_whole, TEXT_BYTES - 2);                   \
        for (size_t n = 0; n < (size_t)n_whole + 2; n++) {           \
            memset(expected, '#', sizeof(expected));                 \
            memset(found, '#', sizeof(found));                       \
            host(expected, n, __VA_ARGS__);                          \
            ck_assert_int_eq(ours(found, n, __VA_ARGS__), n_whole);  \
            ck_assert_mem_eq(found, expected, sizeof(found));        \
        }                                                            \
    } while (0)

static const char *const FLAGS[] = {"", "0", "-", "-0", "0-", "00"};
static const char *const WIDTHS[] = {"", "1", "2", "7", "20", "31"};

/* "<%" FLAGS WIDTH conversion ">", static until the next call. */
static const char *format_of(size_t flags, size_t width, const char *conversion)
{
    static char format[64];
    snprintf(format, sizeof(format), "<%%%s%s%s>", FLAGS[flags], WIDTHS[width], conversion);
    return format;
}

START_TEST(numbers)
{
    static const long long values[] = {
            0, 1, -1, 9, 10, -10, 1234567, INT_MAX, INT_MIN, UINT_MAX, LLONG_MAX, LLONG_MIN};
    for (size_t flags = 0; flags < ELEMENTS(FLAGS); flags++)
        for (size_t width = 0; width < ELEMENTS(WIDTHS); width++)
            for (size_t i = 0; i < ELEMENTS(values); i++) {
                ASSERT_SAME(format_of(flags, width, "d"), (int)values[i]);
                ASSERT_SAME(format_of(flags, width, "ld"), (long)values[i]);
                ASSERT_SAME(format_of(flags, width, "lld"), values[i]);
                ASSERT_SAME(format_of(flags, width, "u"), (unsigned)values[i]);
                ASSERT_SAME(format_of(flags, width, "lu"), (unsigned long)values[i]);
                ASSERT_SAME(format_of(flags, width, "llu"), (unsigned long long)values[i]);
                ASSERT_SAME(format_of(flags, width, "zu"), (size_t)values[i]);
                ASSERT_SAME(format_of(flags, width, "x"), (unsigned)values[i]);
                ASSERT_SAME(format_of(flags, width, "lx"), (unsigned long)values[i]);
                ASSERT_SAME(format_of(flags, width, "llx"), (unsigned long long)values[i]);
                ASSERT_SAME(format_of(flags, width, "zx"), (size_t)values[i]);
            }
}
END_TEST

/* 0 means nothing to a text, and no C library needs to say the same of it. */
START_TEST(texts)
{
    static const char *const values[] = {"", "a", "USR-A", "a text of more than twenty"};
    static const char *const precisions[] = {"s", ".s", ".0s", ".1s", ".5s", ".30s"};
    for (size_t flags = 0; flags < ELEMENTS(FLAGS); flags++)
        for (size_t width = 0; width < ELEMENTS(WIDTHS); width++) {
            if (strchr(FLAGS[flags], '0'))
                continue;
            for (size_t i = 0; i < ELEMENTS(values); i++)
                for (size_t k = 0; k < ELEMENTS(precisions); k++)
                    ASSERT_SAME(format_of(flags, width, precisions[k]), values[i]);
            ASSERT_SAME(format_of(flags, width, "c"), 'x');
        }
}
END_TEST

/* A text without an end is read as far as its precision goes. */
START_TEST(a_text_without_an_end)
{
    char *unended = malloc(3);
    ck_assert_ptr_nonnull(unended);
    memcpy(unended, "abc", 3);
    ASSERT_SAME("%.3s|%.2s", unended, unended);
    free(unended);
}
END_TEST

START_TEST(several_at_once)
{
    ASSERT_SAME("%s and %s: %u%% of %zu, %c%x", "a", "b", 5U, (size_t)7, '!', 0xbeefU);
    ASSERT_SAME("nothing to put in");
    ASSERT_SAME("%s", "");
    ASSERT_SAME("%%");
}
END_TEST

START_TEST(a_text_that_is_none)
{
    char text[16];
    ck_assert_int_eq(ours(text, sizeof(text), "<%s>", NULL), 8);
    ck_assert_str_eq(text, "<(null)>");
}
END_TEST

/* What it does not know stands there as it was, and takes no argument. */
START_TEST(unknown_directives)
{
    static const char *const formats[] = {"%", "a%", "%5", "%-05.3", "%l", "%ll", "%z", "%q", "%i",
            "%f", "%p", "%n", "%hhx", "%*d", "%.*s", "%lz", "%lllu", "%+d", "%#x", "% d"};
    char text[64];
    for (size_t i = 0; i < ELEMENTS(formats); i++) {
        ck_assert_int_eq(ours(text, sizeof(text), formats[i]), (int)strlen(formats[i]));
        ck_assert_str_eq(text, formats[i]);
    }
}
END_TEST

START_TEST(absurd_counts)
{
    char text[8];
    int n = ours(text, sizeof(text), "%99999999999999999999d", 1);
    ck_assert_int_gt(n, 0);
    ck_assert_str_eq(text, "       ");
    ck_assert_int_eq(ours(text, sizeof(text), "%.99999999999999999999s", "a"), 1);
    ck_assert_str_eq(text, "a");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("format");
    TCase *tcase = unit_case(suite, "format");
    tcase_add_test(tcase, numbers);
    tcase_add_test(tcase, texts);
    tcase_add_test(tcase, a_text_without_an_end);
    tcase_add_test(tcase, several_at_once);
    tcase_add_test(tcase, a_text_that_is_none);
    tcase_add_test(tcase, unknown_directives);
    tcase_add_test(tcase, absurd_counts);
    return suite;
}
